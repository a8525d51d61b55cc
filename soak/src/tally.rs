//! The clients' view: each request, and its response.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Number of faults reported in detail; the rest are counted.
const FAULTS_TOLD: usize = 20;

/// Requests and responses.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Requests whose heads were sent, as far as the client knows.
    pub(crate) sent: u64,
    /// Responses, by the outcome they name.
    pub(crate) answered: BTreeMap<String, u64>,
    /// Requests whose clients disconnected; the server may or may not have seen them.
    pub(crate) left: u64,
    /// Requests without a response although the client was connected.
    pub(crate) unanswered: u64,
    pub(crate) faults: u64,
    pub(crate) told: Vec<String>,
    /// Completed actions by kind.
    pub(crate) done: BTreeMap<&'static str, u64>,
    latencies: BTreeMap<&'static str, Histogram<u64>>,
}

/// Latencies of good requests.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

impl Tally {
    pub(crate) const fn new() -> Self {
        Self {
            sent: 0,
            answered: BTreeMap::new(),
            left: 0,
            unanswered: 0,
            faults: 0,
            told: Vec::new(),
            done: BTreeMap::new(),
            latencies: BTreeMap::new(),
        }
    }

    pub(crate) fn answer(&mut self, outcome: &str) {
        *self.answered.entry(outcome.to_owned()).or_default() += 1;
    }

    pub(crate) fn answers(&self) -> u64 {
        self.answered.values().sum()
    }

    pub(crate) fn fault(&mut self, text: String) {
        self.faults += 1;
        if self.told.len() < FAULTS_TOLD {
            self.told.push(text);
        }
    }

    pub(crate) fn done(&mut self, kind: &'static str) {
        *self.done.entry(kind).or_default() += 1;
    }

    pub(crate) fn took(&mut self, kind: &'static str, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        if let Some(histogram) = self.latencies.get_mut(kind) {
            histogram.saturating_record(us);
        } else if let Ok(mut histogram) = Histogram::new_with_bounds(1, 120_000_000, 2) {
            histogram.saturating_record(us);
            self.latencies.insert(kind, histogram);
        }
    }

    /// The measurements so far, by kind and, as `all`, together; starts over.
    pub(crate) fn take_latencies(&mut self) -> BTreeMap<&'static str, Latency> {
        let kinds = std::mem::take(&mut self.latencies);
        let mut all: Option<Histogram<u64>> = None;
        let mut taken = BTreeMap::new();
        for (kind, histogram) in kinds {
            taken.insert(kind, Latency::of(&histogram));
            match &mut all {
                // They have the same bounds.
                Some(all) => drop(all.add(&histogram)),
                None => all = Some(histogram),
            }
        }
        if let Some(all) = all {
            taken.insert("all", Latency::of(&all));
        }
        taken
    }
}

impl Latency {
    #[expect(clippy::cast_precision_loss, reason = "shown with few digits")]
    fn of(histogram: &Histogram<u64>) -> Self {
        let ms = |us: u64| us as f64 / 1000.0;
        Self {
            count: histogram.len(),
            p50_ms: ms(histogram.value_at_quantile(0.5)),
            p99_ms: ms(histogram.value_at_quantile(0.99)),
            max_ms: ms(histogram.max()),
        }
    }
}
