//! One metric, and Prometheus' text format.

use std::{borrow::Cow, fmt::Write};

use serde::Serialize;

/// A metric with its samples, as in Prometheus.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
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
#[non_exhaustive]
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

    pub(crate) fn sample(
        mut self,
        suffix: &'static str,
        labels: Vec<(Cow<'static, str>, Cow<'static, str>)>,
        value: f64,
    ) -> Self {
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
