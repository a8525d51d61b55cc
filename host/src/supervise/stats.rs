//! Statistics of a supervisor: counters for a bounded number of names.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use isopod_pool::BreakerState;
use serde::Serialize;

/// Name for all names that are not counted separately.
const OTHERS: &str = "(others)";

/// A snapshot of a supervisor's statistics.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct SupervisorStats {
    /// The sum of all names.
    pub total: TaskStats,
    /// Counts by name. Names beyond the limit are counted together under `(others)`.
    pub names: BTreeMap<String, TaskStats>,
    /// The breakers, by name.
    pub breakers: BTreeMap<String, BreakerState>,
}

/// Tasks and children.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TaskStats {
    /// Running.
    pub active: u64,
    /// Succeeded.
    pub finished: u64,
    /// Returned an error, or panicked.
    pub crashed: u64,
    /// Exceeded their time limit.
    pub timed_out: u64,
    /// Canceled.
    pub canceled: u64,
    /// Refused by a breaker.
    pub refused: u64,
    /// Restarts of children.
    pub restarts: u64,
}

/// Counted end of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Finished,
    Crashed,
    TimedOut,
    Canceled,
}

/// The counters of one name.
#[derive(Debug, Default)]
pub(super) struct Counters {
    begun: AtomicU64,
    finished: AtomicU64,
    crashed: AtomicU64,
    timed_out: AtomicU64,
    canceled: AtomicU64,
    refused: AtomicU64,
    restarts: AtomicU64,
}

impl Counters {
    pub(super) fn begun(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(&self, ended: Ended) {
        let counter = match ended {
            Ended::Finished => &self.finished,
            Ended::Crashed => &self.crashed,
            Ended::TimedOut => &self.timed_out,
            Ended::Canceled => &self.canceled,
        };
        // Pairs with `Acquire` in `stats`: a reader that sees an end also sees its start.
        counter.fetch_add(1, Ordering::Release);
    }

    pub(super) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    fn stats(&self) -> TaskStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let (finished, crashed) = (count(&self.finished), count(&self.crashed));
        let (timed_out, canceled) = (count(&self.timed_out), count(&self.canceled));
        TaskStats {
            active: count(&self.begun) - finished - crashed - timed_out - canceled,
            finished,
            crashed,
            timed_out,
            canceled,
            refused: count(&self.refused),
            restarts: count(&self.restarts),
        }
    }
}

impl TaskStats {
    fn add(&mut self, other: Self) {
        self.active += other.active;
        self.finished += other.finished;
        self.crashed += other.crashed;
        self.timed_out += other.timed_out;
        self.canceled += other.canceled;
        self.refused += other.refused;
        self.restarts += other.restarts;
    }
}

/// The counters of all names.
#[derive(Debug)]
pub(super) struct Names {
    names_max: usize,
    known: Mutex<HashMap<Arc<str>, Arc<Counters>>>,
    others: Arc<Counters>,
}

impl Names {
    pub(super) fn new(names_max: usize) -> Self {
        Self {
            names_max,
            known: Mutex::default(),
            others: Arc::default(),
        }
    }

    /// Returns the name to store, and its counters.
    pub(super) fn get(&self, name: &str) -> (Arc<str>, Arc<Counters>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((name, counters)) = known.get_key_value(name) {
            return (Arc::clone(name), Arc::clone(counters));
        }
        let name: Arc<str> = name.into();
        if known.len() >= self.names_max {
            return (name, Arc::clone(&self.others));
        }
        let counters = Arc::clone(known.entry(Arc::clone(&name)).or_default());
        (name, counters)
    }

    pub(super) fn stats(&self, breakers: BTreeMap<String, BreakerState>) -> SupervisorStats {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut names: BTreeMap<_, _> = known
            .iter()
            .map(|(name, counters)| (name.to_string(), counters.stats()))
            .collect();
        let others = self.others.stats();
        if others != TaskStats::default() {
            names.entry(OTHERS.to_owned()).or_default().add(others);
        }
        let mut total = TaskStats::default();
        names.values().for_each(|stats| total.add(*stats));
        SupervisorStats { total, names, breakers }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_limit_are_counted_together() {
        let names = Names::new(2);
        for name in ["a", "b", "c", "d", "a"] {
            let (kept, counters) = names.get(name);
            assert_eq!(&*kept, name);
            counters.begun();
            counters.ended(Ended::Crashed);
        }
        let stats = names.stats(BTreeMap::new());
        let crashed: Vec<_> = stats
            .names
            .iter()
            .map(|(name, stats)| (name.as_str(), stats.crashed))
            .collect();
        assert_eq!(crashed, [("(others)", 2), ("a", 2), ("b", 1)]);
        assert_eq!((stats.total.crashed, stats.total.active), (5, 0));
    }
}
