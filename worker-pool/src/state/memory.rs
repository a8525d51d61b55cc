//! Memory of all workers, and actions near the limit: idle workers are ended, then no worker boots, then events are refused.

use std::sync::atomic::Ordering;

use crate::engine::Engine;
use crate::observe::RetireReason;
use crate::overload::Pressure;
use crate::state::{Effects, Hosted, Phase, State};

impl<E: Engine> State<E> {
    /// The bytes that all workers hold, as each said when it was last asked.
    pub(crate) fn memory_bytes(&self) -> usize {
        let hosted = self.threads.iter().filter_map(|thread| thread.hosted.as_ref());
        hosted.map(Hosted::memory_bytes).sum()
    }

    pub(super) fn pressure(&self) -> Pressure {
        let max = self.settings.memory_bytes_max;
        max.map_or(Pressure::Calm, |max| Pressure::of(self.memory_bytes(), max))
    }

    /// Returns whether there is memory for a boot.
    pub(super) fn has_memory(&self) -> bool {
        self.pressure() < Pressure::Hold
    }

    /// Has idle workers go until the rest are calm, the one that has been idle longest first.
    pub(super) fn relieve(&mut self, fx: &mut Effects<E>) {
        let Some(max) = self.settings.memory_bytes_max else {
            return;
        };
        let hosted = self.threads.iter().filter_map(|thread| thread.hosted.as_ref());
        let stays = |hosted: &&Hosted<E>| !matches!(hosted.phase, Phase::Retiring(_));
        let mut used: usize = hosted.filter(stays).map(Hosted::memory_bytes).sum();
        while Pressure::of(used, max) >= Pressure::Evict {
            let idle = self.longest_idle(false);
            // Sessions are told to go only where nothing else helps.
            let pinned = || {
                (Pressure::of(used, max) >= Pressure::Hold)
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

    /// Returns the longest idle worker that is not kept warm, of those with sessions or without.
    fn longest_idle(&self, with_sessions: bool) -> Option<usize> {
        let idle = self.threads.iter().enumerate().filter_map(|(thread, slot)| {
            let hosted = slot.hosted.as_ref()?;
            let ready = matches!(hosted.phase, Phase::Ready { .. }) && with_sessions != hosted.pins.is_empty();
            let min = hosted.version.limits.workers_min;
            let kept = min > 0 && self.census(hosted.version.number).ready <= min;
            (ready && !kept && hosted.load() == 0).then_some((hosted.idle_since, thread))
        });
        Some(idle.min()?.1)
    }
}

impl<E: Engine> Hosted<E> {
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }
}
