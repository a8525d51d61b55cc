//! Memory of all workers, and the actions near its budget: idle workers end, then no worker boots, then events are refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::engine::Engine;
use crate::observe::RetireReason;
use crate::overload::Pressure;
use crate::state::{Effects, Hosted, Phase, State};

/// The last reported memory of one worker, which also updates the sum over all workers.
#[derive(Debug)]
pub(crate) struct Gauge {
    own: AtomicUsize,
    total: Arc<AtomicUsize>,
}

/// Mark of a departed worker, for which a lost thread may still report.
const DEPARTED: usize = usize::MAX;

impl Gauge {
    pub(super) fn new(total: &Arc<AtomicUsize>) -> Self {
        Self {
            own: AtomicUsize::new(0),
            total: Arc::clone(total),
        }
    }

    /// Reports the worker's memory.
    pub(crate) fn set(&self, bytes: usize) {
        let bytes = bytes.min(DEPARTED - 1);
        let known = |own: usize| (own != DEPARTED).then_some(bytes);
        if let Ok(before) = self.own.fetch_update(Ordering::Relaxed, Ordering::Relaxed, known) {
            self.total.fetch_add(bytes, Ordering::Relaxed);
            self.total.fetch_sub(before, Ordering::Relaxed);
        }
    }

    /// Subtracts the worker's memory from the sum.
    pub(super) fn departs(&self) {
        let before = self.own.swap(DEPARTED, Ordering::Relaxed);
        if before != DEPARTED {
            self.total.fetch_sub(before, Ordering::Relaxed);
        }
    }

    fn bytes(&self) -> usize {
        let own = self.own.load(Ordering::Relaxed);
        if own == DEPARTED { 0 } else { own }
    }
}

impl<E: Engine> State<E> {
    pub(super) fn pressure(&self) -> Pressure {
        let used = self.memory.load(Ordering::Relaxed);
        let budget = self.settings.size.memory;
        budget.map_or(Pressure::Calm, |budget| budget.pressure(used))
    }

    /// Returns whether there is memory for a boot. A default budget always has room for as many workers as there are initial threads.
    pub(super) fn has_memory(&self) -> bool {
        let is_limit = self.settings.size.memory.is_some_and(|budget| budget.is_limit);
        self.pressure() < Pressure::Hold || (!is_limit && self.hosted_count() < self.settings.size.threads)
    }

    fn hosted_count(&self) -> usize {
        self.threads.iter().filter(|thread| thread.hosted.is_some()).count()
    }

    /// Ends idle workers, longest idle first, until the memory of the rest is below the level.
    pub(super) fn relieve(&mut self, fx: &mut Effects<E>) {
        let Some(budget) = self.settings.size.memory.filter(|_| self.pressure() >= Pressure::Evict) else {
            return;
        };
        let hosted = self.threads.iter().filter_map(|thread| thread.hosted.as_ref());
        let stays = |hosted: &&Hosted<E>| !matches!(hosted.phase, Phase::Retiring(_));
        let mut used: usize = hosted.filter(stays).map(Hosted::memory_bytes).sum();
        while budget.pressure(used) >= Pressure::Evict {
            let idle = self.longest_idle(false);
            // Workers with sessions are ended only as a last resort.
            let pinned = || {
                (budget.pressure(used) >= Pressure::Hold)
                    .then(|| self.longest_idle(true))
                    .flatten()
            };
            let Some(thread) = idle.or_else(pinned) else { break };
            let Some(hosted) = &mut self.threads[thread].hosted else {
                break;
            };
            used = used.saturating_sub(hosted.memory_bytes());
            hosted.retire(RetireReason::Pressure, fx);
        }
    }

    /// Returns the longest idle worker that is not kept warm, among workers with or without sessions.
    fn longest_idle(&self, with_sessions: bool) -> Option<usize> {
        let idle = self.threads.iter().enumerate().filter_map(|(thread, slot)| {
            let hosted = slot.hosted.as_ref()?;
            let ready = matches!(hosted.phase, Phase::Ready { .. }) && with_sessions != hosted.pins.is_empty();
            (ready && hosted.load(0) == 0 && !self.is_kept(hosted)).then_some((hosted.idle_since, thread))
        });
        Some(idle.min()?.1)
    }
}

impl<E: Engine> Hosted<E> {
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_sum_follows_reports_and_departures() {
        let total = Arc::new(AtomicUsize::new(0));
        let (one, other) = (Gauge::new(&total), Gauge::new(&total));
        one.set(10);
        other.set(5);
        one.set(7);
        assert_eq!((total.load(Ordering::Relaxed), one.bytes()), (12, 7));
        one.departs();
        one.set(100);
        one.departs();
        assert_eq!((total.load(Ordering::Relaxed), one.bytes()), (5, 0));
    }
}
