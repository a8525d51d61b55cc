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

/// The server's own metrics.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) connections: AtomicU64,
    pub(crate) connections_open: AtomicU64,
    pub(crate) requests_open: AtomicU64,
    requests: [AtomicU64; REFUSED + 1],
    durations: [AtomicU64; BOUNDS.len() + 1],
    duration_us: AtomicU64,
    bytes_sent: AtomicU64,
    pub(crate) sockets: AtomicU64,
    pub(crate) sockets_open: AtomicU64,
    pub(crate) messages_received: AtomicU64,
    pub(crate) messages_sent: AtomicU64,
    pub(crate) cuts: Cuts,
}

impl Counts {
    pub(crate) fn record(&self, outcome: Option<Outcome>, duration: Duration, bytes: u64) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.requests[outcome.map_or(REFUSED, Outcome::index)].fetch_add(1, Relaxed);
        self.durations[BOUNDS.partition_point(|&bound| bound < us)].fetch_add(1, Relaxed);
        self.duration_us.fetch_add(us, Relaxed);
        self.bytes_sent.fetch_add(bytes, Relaxed);
    }

    /// Returns the number of answered requests, including rejected ones and excluding those canceled by clients.
    pub(crate) fn answered(&self) -> u64 {
        let canceled = Outcome::Canceled.index();
        self.requests
            .iter()
            .enumerate()
            .filter(|(place, _)| *place != canceled)
            .map(|(_, count)| count.load(Relaxed))
            .sum()
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "figures are shown as floating point numbers by convention"
    )]
    pub(crate) fn snapshot(&self) -> Vec<Metric> {
        use MetricKind::{Counter, Gauge, Histogram};
        let load = |count: &AtomicU64| count.load(Relaxed) as f64;
        let mut requests = Metric::new("isopod_http_requests_total", "Requests answered, by outcome.", Counter);
        for (outcome, count) in Outcome::ALL
            .iter()
            .map(|o| o.as_str())
            .chain(["refused"])
            .zip(&self.requests)
        {
            requests = requests.labelled("outcome", outcome, load(count));
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
        for (bound, count) in bounds.zip(&self.durations) {
            sum += load(count);
            durations = durations.sample("_bucket", vec![("le".into(), bound)], sum);
        }
        durations = durations
            .sample("_sum", Vec::new(), load(&self.duration_us) / 1e6)
            .sample("_count", Vec::new(), sum);
        let plain =
            |name: &'static str, help: &'static str, kind, count| Metric::new(name, help, kind).value(load(count));
        vec![
            requests,
            durations,
            plain(
                "isopod_http_requests_open",
                "Requests in flight.",
                Gauge,
                &self.requests_open,
            ),
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
                "isopod_http_response_bytes_total",
                "Bytes of response bodies.",
                Counter,
                &self.bytes_sent,
            ),
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
