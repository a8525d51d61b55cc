//! What a pool has done and does. Counters are atomics, times are histograms of the thread that measured them, and both
//! are put together only when someone asks.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use isopod_outcome::Outcome;
use serde::Serialize;

use crate::observe::RetireReason;

/// What a pool has done and does, at one moment.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct PoolStats {
    /// The threads.
    pub threads: ThreadStats,
    /// Events accepted and not ended.
    pub open: usize,
    /// Events accepted since the pool was made.
    pub accepted: u64,
    /// Events handed back at dispatch.
    pub refused: u64,
    /// Ended events by outcome; their sum and `open` make `accepted`.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Each deployed script by name.
    pub scripts: BTreeMap<String, ScriptStats>,
    /// From acceptance to begin.
    pub queue_wait: Timing,
    /// From the begin of a boot to a worker that is ready.
    pub boot: Timing,
    /// From begin to end.
    pub execution: Timing,
}

/// The threads of a pool.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct ThreadStats {
    /// How many there are.
    pub alive: usize,
    /// How many host a worker that holds events.
    pub busy: usize,
    /// How many panicked, could not start or did not come back.
    pub lost: u64,
    /// How many run code that does not come back, now.
    pub stuck: usize,
    /// How many took the place of a lost one.
    pub respawned: u64,
}

/// One deployed script.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct ScriptStats {
    /// The version that gets new events.
    pub version: u64,
    /// Workers that are ready, of any version.
    pub workers: usize,
    /// Workers that boot.
    pub booting: usize,
    /// Bytes that its workers hold, as they said last.
    pub memory_bytes: usize,
    /// Events that workers hold.
    pub in_flight: usize,
    /// Events that wait.
    pub queued: usize,
    /// Events accepted.
    pub accepted: u64,
    /// Events handed back at dispatch.
    pub refused: u64,
    /// Ended events by outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Workers that became ready.
    pub boots: u64,
    /// Boots that failed.
    pub boots_failed: u64,
    /// Workers gone by reason.
    pub retired: BTreeMap<&'static str, u64>,
}

/// How long something took.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Timing {
    /// Within the last minute, to ten seconds.
    pub recent: Percentiles,
    /// Since the pool was made.
    pub total: Percentiles,
}

/// A distribution, precise to 1% and a microsecond.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// The median.
    pub p50: Duration,
    /// 90 of 100 were at most this.
    pub p90: Duration,
    /// 99 of 100 were at most this.
    pub p99: Duration,
    /// The longest.
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

/// What has happened to one script, or to all of them.
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
