//! Metrics, as Prometheus text or JSON.

use std::{
    borrow::Cow,
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use serde::Serialize;

use isopod_outcome::Outcome;

use crate::cut::Cuts;

/// A metric with its samples, as in Prometheus.
#[derive(Clone, Debug, Serialize)]
pub struct Metric {
    /// Name such as `isopod_pool_queue_length`; counters end in `_total`, times in `_seconds`.
    pub name: Cow<'static, str>,
    /// One line of help.
    pub help: Cow<'static, str>,
    /// Kind.
    pub kind: MetricKind,
    /// Its values.
    pub samples: Vec<Sample>,
}

/// Kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// A value that only increases.
    Counter,
    /// A value that can increase and decrease.
    Gauge,
    /// A distribution with samples `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// A value of a metric.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// `_bucket`, `_sum` or `_count` in a histogram, else empty.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub suffix: &'static str,
    /// Label names and values.
    pub labels: Vec<(Cow<'static, str>, Cow<'static, str>)>,
    /// The value.
    pub value: f64,
}

impl Metric {
    /// Creates a metric without samples.
    pub fn new(name: impl Into<Cow<'static, str>>, help: impl Into<Cow<'static, str>>, kind: MetricKind) -> Self {
        Self {
            name: name.into(),
            help: help.into(),
            kind,
            samples: Vec::new(),
        }
    }

    /// Adds a sample without labels.
    #[must_use]
    pub fn value(self, value: f64) -> Self {
        self.sample("", Vec::new(), value)
    }

    /// Adds a sample with one label.
    #[must_use]
    pub fn labelled(self, label: impl Into<Cow<'static, str>>, of: impl Into<Cow<'static, str>>, value: f64) -> Self {
        self.sample("", vec![(label.into(), of.into())], value)
    }

    fn sample(mut self, suffix: &'static str, labels: Vec<(Cow<'static, str>, Cow<'static, str>)>, value: f64) -> Self {
        self.samples.push(Sample { suffix, labels, value });
        self
    }
}

/// Formats metrics in Prometheus' text format.
pub(crate) fn prometheus(metrics: &[Metric]) -> String {
    let mut text = String::new();
    for metric in metrics {
        let kind = match metric.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        let help = metric.help.replace('\\', "\\\\").replace('\n', "\\n");
        // Writing to a String cannot fail.
        let _ = write!(text, "# HELP {0} {help}\n# TYPE {0} {kind}\n", metric.name);
        for sample in &metric.samples {
            let _ = write!(text, "{}{}", metric.name, sample.suffix);
            for (place, (label, value)) in sample.labels.iter().enumerate() {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                let _ = write!(text, "{}{label}=\"{value}\"", if place == 0 { '{' } else { ',' });
            }
            let _ = writeln!(
                text,
                "{} {}",
                if sample.labels.is_empty() { "" } else { "}" },
                sample.value
            );
        }
    }
    text
}

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
            self.cuts.metric(),
        ]
    }
}
