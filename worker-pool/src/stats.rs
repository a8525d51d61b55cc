//! Statistics: atomic counters, and histograms per thread that are combined on request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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

/// Number of parts that events are counted in.
const PARTS: usize = 8;

/// Counters of a script or the pool.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Split into parts, because a counter that several processors change at the same time is slow.
    events: [Events; PARTS],
    refused: AtomicU64,
    boots: AtomicU64,
    boots_failed: AtomicU64,
    retired: [AtomicU64; RetireReason::ALL.len()],
    /// The pool's counters, which count the events of its scripts too.
    pool: Option<Arc<Counters>>,
}

/// The events counted by some of the threads, aligned so that parts share no cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Events {
    accepted: AtomicU64,
    outcomes: [AtomicU64; Outcome::ALL.len()],
}

/// Returns the part that the current thread counts in.
fn part() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static PART: usize = THREADS.fetch_add(1, Ordering::Relaxed) % PARTS);
    // While the thread ends, it may still drop events.
    PART.try_with(|part| *part).unwrap_or(0)
}

impl Counters {
    /// Creates the counters of a script of this pool.
    pub(crate) fn of_script(pool: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self {
            pool: Some(Arc::clone(pool)),
            ..Self::default()
        })
    }

    pub(crate) fn accepted(&self) {
        self.count(|events| &events.accepted);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn ended(&self, outcome: Outcome) {
        self.count(|events| &events.outcomes[outcome.index()]);
    }

    /// Counts an event here and in the pool.
    fn count(&self, which: impl Fn(&Events) -> &AtomicU64) {
        let part = part();
        for counters in [Some(self), self.pool.as_deref()].into_iter().flatten() {
            which(&counters.events[part]).fetch_add(1, Ordering::Relaxed);
        }
    }

    fn sum(&self, which: impl Fn(&Events) -> &AtomicU64) -> u64 {
        let counts = self.events.iter().map(|events| which(events).load(Ordering::Relaxed));
        counts.sum()
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
        self.sum(|events| &events.accepted)
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
            .map(|o| (o.as_str(), self.sum(|events| &events.outcomes[o.index()])))
            .collect()
    }

    pub(crate) fn retired_counts(&self) -> BTreeMap<&'static str, u64> {
        RetireReason::ALL
            .iter()
            .map(|r| (r.as_str(), self.retired[*r as usize].load(Ordering::Relaxed)))
            .collect()
    }
}
