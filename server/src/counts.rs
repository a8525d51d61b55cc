//! The server's own metrics.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use isopod_outcome::Outcome;

use crate::{
    cut::Cuts,
    metric::{Metric, MetricKind},
};

/// Upper bounds of the duration histogram, in microseconds; one more bucket holds the rest.
const BOUNDS: [u64; 14] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000, 30_000_000,
];
/// Index of requests rejected by the server itself, after the outcomes.
const REFUSED: usize = Outcome::ALL.len();

/// Number of parts that requests are counted in.
const PARTS: usize = 16;

/// The server's own metrics.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) connections: AtomicU64,
    pub(crate) connections_open: AtomicU64,
    /// Number of moves between threads, of connections that have ended.
    pub(crate) connection_moves: AtomicU64,
    /// Split into parts, because a counter that several processors change at the same time is slow.
    requests: [Requests; PARTS],
    pub(crate) sockets: AtomicU64,
    pub(crate) sockets_open: AtomicU64,
    pub(crate) messages_received: AtomicU64,
    pub(crate) messages_sent: AtomicU64,
    pub(crate) cuts: Cuts,
}

/// The requests counted by some of the threads, aligned so that parts share no cache line.
#[derive(Default)]
#[repr(align(128))]
struct Requests {
    begun: AtomicU64,
    ended: [AtomicU64; REFUSED + 1],
    durations: [AtomicU64; BOUNDS.len() + 1],
    duration_us: AtomicU64,
    bytes_sent: AtomicU64,
}

/// The part that counts a request, from its begin to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part(usize);

impl Part {
    /// Returns the part for requests that begin on the thread with this number.
    #[expect(clippy::cast_possible_truncation, reason = "a remainder")]
    pub(crate) const fn of(thread: u64) -> Self {
        Self((thread % PARTS as u64) as usize)
    }
}

impl Counts {
    pub(crate) fn begin(&self, part: Part) {
        self.requests[part.0].begun.fetch_add(1, Relaxed);
    }

    pub(crate) fn end(&self, part: Part, outcome: Option<Outcome>, duration: Duration, bytes: u64) {
        self.requests[part.0].end(outcome, duration, bytes);
    }

    /// Returns the number of requests in flight.
    pub(crate) fn requests_open(&self) -> u64 {
        // Ended requests are read first, so that one that ends meanwhile counts as open and the difference is never negative.
        let ended: u64 = self.each_ended(|_| true);
        self.sum(|part| &part.begun).saturating_sub(ended)
    }

    fn sum(&self, of: impl Fn(&Requests) -> &AtomicU64) -> u64 {
        self.requests.iter().map(|part| of(part).load(Relaxed)).sum()
    }

    /// Returns the number of requests that ended with the selected outcomes.
    fn each_ended(&self, which: impl Fn(usize) -> bool) -> u64 {
        let places = (0..=REFUSED).filter(|place| which(*place));
        places.map(|place| self.sum(|part| &part.ended[place])).sum()
    }
}

impl Requests {
    fn end(&self, outcome: Option<Outcome>, duration: Duration, bytes: u64) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.ended[outcome.map_or(REFUSED, Outcome::index)].fetch_add(1, Relaxed);
        self.durations[BOUNDS.partition_point(|&bound| bound < us)].fetch_add(1, Relaxed);
        self.duration_us.fetch_add(us, Relaxed);
        self.bytes_sent.fetch_add(bytes, Relaxed);
    }
}

impl Counts {
    /// Returns the number of answered requests, including rejected ones and excluding those canceled by clients.
    pub(crate) fn answered(&self) -> u64 {
        self.each_ended(|place| place != Outcome::Canceled.index())
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "figures are shown as floating point numbers by convention"
    )]
    pub(crate) fn snapshot(&self) -> Vec<Metric> {
        use MetricKind::{Counter, Gauge, Histogram};
        let load = |count: &AtomicU64| count.load(Relaxed) as f64;
        let mut requests = Metric::new("isopod_http_requests_total", "Requests answered, by outcome.", Counter);
        for (place, outcome) in Outcome::ALL.iter().map(|o| o.as_str()).chain(["refused"]).enumerate() {
            let count = self.sum(|part| &part.ended[place]);
            requests = requests.labelled("outcome", outcome, count as f64);
        }
        let mut durations = Metric::new(
            "isopod_http_request_duration_seconds",
            "Time from reading a request's head to sending its response.",
            Histogram,
        );
        let mut sum = 0.0;
        let bounds = BOUNDS
            .iter()
            .map(|&us| Cow::Owned((us as f64 / 1e6).to_string()))
            .chain([Cow::Borrowed("+Inf")]);
        for (place, bound) in bounds.enumerate() {
            sum += self.sum(|part| &part.durations[place]) as f64;
            durations = durations.sample("_bucket", vec![("le".into(), bound)], sum);
        }
        durations = durations
            .sample("_sum", Vec::new(), self.sum(|part| &part.duration_us) as f64 / 1e6)
            .sample("_count", Vec::new(), sum);
        let plain =
            |name: &'static str, help: &'static str, kind, count| Metric::new(name, help, kind).value(load(count));
        vec![
            requests,
            durations,
            Metric::new("isopod_http_requests_open", "Requests in flight.", Gauge).value(self.requests_open() as f64),
            plain(
                "isopod_http_connections_total",
                "Connections accepted.",
                Counter,
                &self.connections,
            ),
            plain(
                "isopod_http_connections_open",
                "Connections open.",
                Gauge,
                &self.connections_open,
            ),
            plain(
                "isopod_http_connection_moves_total",
                "Moves of ended connections between the server's threads and those of workers.",
                Counter,
                &self.connection_moves,
            ),
            Metric::new("isopod_http_response_bytes_total", "Bytes of response bodies.", Counter)
                .value(self.sum(|part| &part.bytes_sent) as f64),
            plain(
                "isopod_websockets_total",
                "WebSockets accepted.",
                Counter,
                &self.sockets,
            ),
            plain("isopod_websockets_open", "WebSockets open.", Gauge, &self.sockets_open),
            Metric::new(
                "isopod_websocket_messages_total",
                "Messages of WebSockets that have ended.",
                Counter,
            )
            .labelled("direction", "received", load(&self.messages_received))
            .labelled("direction", "sent", load(&self.messages_sent)),
            self.cuts.metric(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_once_on_any_thread() {
        let counts = Counts::default();
        // More threads than parts.
        for thread in 0..40 {
            counts.begin(Part::of(thread));
        }
        for thread in 0..30 {
            let outcome = (thread % 3 > 0).then_some(Outcome::Ok);
            counts.end(Part::of(thread), outcome, Duration::from_micros(200), 5);
        }
        counts.end(Part::of(30), Some(Outcome::Canceled), Duration::from_secs(60), 0);
        assert_eq!((counts.requests_open(), counts.answered()), (9, 30));
        let metrics = counts.snapshot();
        let shown = |name: &str, suffix: &str, label: &str| {
            let metric = metrics.iter().find(|metric| metric.name == name).expect("a metric");
            let is_it = |sample: &&crate::Sample| {
                sample.suffix == suffix && sample.labels.iter().all(|(_, value)| value == label)
            };
            metric.samples.iter().find(is_it).expect("a sample").value
        };
        assert_eq!(shown("isopod_http_requests_total", "", "ok"), 20.0);
        assert_eq!(shown("isopod_http_requests_total", "", "refused"), 10.0);
        assert_eq!(shown("isopod_http_requests_open", "", ""), 9.0);
        assert_eq!(shown("isopod_http_response_bytes_total", "", ""), 150.0);
        let durations = "isopod_http_request_duration_seconds";
        assert_eq!(shown(durations, "_bucket", "0.00025"), 30.0);
        assert_eq!(shown(durations, "_count", ""), 31.0);
    }
}
