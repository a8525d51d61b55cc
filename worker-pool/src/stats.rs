//! Statistics: atomic counters, and histograms per thread that are combined on request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use isopod_outcome::Outcome;
use serde::Serialize;

use crate::observe::RetireReason;

/// A snapshot of a pool's statistics.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct PoolStats {
    /// The threads.
    pub threads: ThreadStats,
    /// Accepted events that have not ended.
    pub open: usize,
    /// Open sessions.
    pub sessions: usize,
    /// Events accepted since the pool was built.
    pub accepted: u64,
    /// Events refused at dispatch.
    pub refused: u64,
    /// Ended events by outcome. Their sum plus `open` equals `accepted`.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Deployed scripts by name.
    pub scripts: BTreeMap<String, ScriptStats>,
    /// Time from acceptance to begin of an event.
    pub queue_wait: Timing,
    /// Time from the begin of a boot to a ready worker.
    pub boot: Timing,
    /// Time from begin to end of an event.
    pub execution: Timing,
}

/// The threads of a pool.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct ThreadStats {
    /// Number of live threads.
    pub alive: usize,
    /// Maximum number of threads, and so of workers.
    pub max: usize,
    /// Number of threads whose worker has events.
    pub busy: usize,
    /// Number of threads that panicked, could not start or got stuck.
    pub lost: u64,
    /// Number of threads currently stuck in uninterruptible code.
    pub stuck: usize,
    /// Number of replaced threads.
    pub respawned: u64,
}

/// Statistics of a deployed script.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct ScriptStats {
    /// Version that gets new events.
    pub version: u64,
    /// Ready workers, of any version.
    pub workers: usize,
    /// Booting workers.
    pub booting: usize,
    /// Memory of its workers in bytes, as last reported.
    pub memory_bytes: usize,
    /// Events held by workers.
    pub in_flight: usize,
    /// Queued events.
    pub queued: usize,
    /// Open sessions.
    pub sessions: usize,
    /// [Tasks attached](crate::AttachedTask) to its workers.
    pub attached_tasks: usize,
    /// Events accepted.
    pub accepted: u64,
    /// Events refused at dispatch.
    pub refused: u64,
    /// Ended events by outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Workers that became ready.
    pub boots: u64,
    /// Boots that failed.
    pub boots_failed: u64,
    /// Retired workers by reason.
    pub retired: BTreeMap<&'static str, u64>,
}

/// Distribution of a duration.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Timing {
    /// Over the last minute, with a resolution of ten seconds.
    pub recent: Percentiles,
    /// Since the pool was built.
    pub total: Percentiles,
}

/// Percentiles, precise to 1% and a microsecond.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Percentiles {
    /// Number of measurements.
    pub count: u64,
    /// The median.
    pub p50: Duration,
    /// The 90th percentile.
    pub p90: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The maximum.
    pub max: Duration,
}

impl Percentiles {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
        Self {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            max: Duration::from_micros(histogram.max()),
        }
    }
}

/// Counters of a script or the pool.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    accepted: AtomicU64,
    refused: AtomicU64,
    outcomes: [AtomicU64; Outcome::ALL.len()],
    boots: AtomicU64,
    boots_failed: AtomicU64,
    retired: [AtomicU64; RetireReason::ALL.len()],
}

impl Counters {
    pub(crate) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn ended(&self, outcome: Outcome) {
        self.outcomes[outcome.index()].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn booted(&self) {
        self.boots.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn boot_failed(&self) {
        self.boots_failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn retired(&self, reason: RetireReason) {
        self.retired[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn accepted_count(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    pub(crate) fn refused_count(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(crate) fn boot_counts(&self) -> (u64, u64) {
        (
            self.boots.load(Ordering::Relaxed),
            self.boots_failed.load(Ordering::Relaxed),
        )
    }

    pub(crate) fn outcome_counts(&self) -> BTreeMap<&'static str, u64> {
        Outcome::ALL
            .iter()
            .map(|o| (o.as_str(), self.outcomes[o.index()].load(Ordering::Relaxed)))
            .collect()
    }

    pub(crate) fn retired_counts(&self) -> BTreeMap<&'static str, u64> {
        RetireReason::ALL
            .iter()
            .map(|r| (r.as_str(), self.retired[*r as usize].load(Ordering::Relaxed)))
            .collect()
    }
}
