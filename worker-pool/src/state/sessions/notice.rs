//! Sessions whose worker must end: their holders are notified, and after a grace period the worker ends regardless.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::{Engine, SessionId};
use crate::observe::RetireReason;
use crate::session::Closing;
use crate::state::sessions::Place;
use crate::state::{Effects, Hosted, Mail, Phase, State};
use crate::time::after;

/// The smallest difference of two times.
const NEXT: Duration = Duration::from_nanos(1);

impl<E: Engine> State<E> {
    /// Records the failed events of sessions in this critical section, which may free workers.
    pub(in crate::state) fn end_failed_of_sessions(&mut self, now: Instant, fx: &mut Effects<E>) {
        for event in fx.take_failed_of_sessions() {
            self.session_event_ended(event, now, fx);
        }
    }

    /// Notifies the sessions of workers that must end.
    pub(in crate::state) fn tell_all_sessions(&mut self, now: Instant, fx: &mut Effects<E>) {
        for thread in 0..self.threads.len() {
            self.tell_sessions(thread, now, fx);
        }
    }

    fn tell_sessions(&mut self, thread: usize, now: Instant, fx: &mut Effects<E>) {
        let Some(hosted) = &self.threads[thread].hosted else {
            return;
        };
        if hosted.pins.is_empty() || hosted.pins.told {
            return;
        }
        let Some(reason) = self.reason_to_go(hosted) else {
            return;
        };
        let grace = hosted.version.limits.sessions.grace;
        let until = match (reason, &self.closing) {
            (RetireReason::Shutdown, Some(closing)) => closing.cut_at(),
            _ => after(now, grace),
        };
        let Some(hosted) = self.threads[thread].hosted.as_mut() else {
            return;
        };
        let closing = *hosted.pins.closing.get_or_insert(Closing { reason, until });
        hosted.pins.told = true;
        // The holders are ending the sessions, so the worker no longer yields but ends.
        hosted.yields = None;
        for id in &hosted.pins.sessions {
            if let Some(entry) = self.sessions.entries.get_mut(id).filter(|entry| entry.told.is_none()) {
                entry.told = Some(closing);
                fx.session_closing(&entry.notice, closing);
            }
        }
        self.look_by(closing.until, fx);
    }

    /// Returns the reason why the sessions of a worker must end. A worker that retires by its policy keeps them.
    pub(super) fn reason_to_go(&self, hosted: &Hosted<E>) -> Option<RetireReason> {
        match hosted.phase {
            Phase::Retiring(reason) if reason != RetireReason::Policy => return Some(reason),
            _ => {}
        }
        if self.closing.is_some() {
            return Some(RetireReason::Shutdown);
        }
        let script = self.scripts.get(&hosted.version.name);
        script
            .is_some_and(|script| script.undeployed)
            .then_some(RetireReason::Undeployed)
    }

    /// Ends the sessions whose grace is over. Returns the end of the next grace.
    pub(in crate::state) fn end_graces(&mut self, now: Instant, fx: &mut Effects<E>) -> Option<Instant> {
        let mut next = None::<Instant>;
        for thread in 0..self.threads.len() {
            let hosted = self.threads[thread].hosted.as_ref();
            match hosted.and_then(|hosted| hosted.pins.closing) {
                // The cut of a shutdown ends and counts these sessions.
                Some(Closing {
                    reason: RetireReason::Shutdown,
                    ..
                }) => {}
                Some(closing) if closing.until <= now => self.revoke_sessions(thread, closing.reason, now, fx),
                Some(closing) => next = next.into_iter().chain([closing.until]).min(),
                None => {}
            }
        }
        next
    }

    /// Ends the sessions of the worker on this thread, and cancels their events.
    fn revoke_sessions(&mut self, thread: usize, reason: RetireReason, now: Instant, fx: &mut Effects<E>) {
        let Some(hosted) = self.threads[thread].hosted.as_mut() else {
            return;
        };
        for event in &hosted.held {
            if self.sessions.events.contains_key(event) {
                fx.post(&hosted.mailbox, Mail::Cancel(*event));
            }
        }
        for id in std::mem::take(&mut hosted.pins.sessions) {
            self.sessions.lose(id, reason, now, fx);
        }
        self.unpinned(thread, now, fx);
    }

    /// Ends all sessions, for the cut of a shutdown.
    pub(in crate::state) fn revoke_all_sessions(&mut self, now: Instant, fx: &mut Effects<E>) -> usize {
        let placed = self.placed_sessions();
        for thread in 0..self.threads.len() {
            if self.threads[thread]
                .hosted
                .as_ref()
                .is_some_and(|hosted| !hosted.pins.is_empty())
            {
                self.revoke_sessions(thread, RetireReason::Shutdown, now, fx);
            }
        }
        placed
    }

    /// Returns the number of sessions that have a worker.
    pub(in crate::state) fn placed_sessions(&self) -> usize {
        let hosted = self.threads.iter().filter_map(|thread| thread.hosted.as_ref());
        hosted.map(|hosted| hosted.pins.len()).sum()
    }

    /// Ends the sessions, of this script or of all, that can no longer be placed.
    pub(in crate::state) fn lose_stranded(&mut self, script: Option<&str>, now: Instant, fx: &mut Effects<E>) {
        let of = |name: &Arc<str>| script.is_none_or(|script| **name == *script);
        let entries = self.sessions.entries.iter();
        let ids: Vec<SessionId> = entries
            .filter(|(_, entry)| of(&entry.script))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.lose_if_stranded(id, now, fx);
        }
    }

    /// Ends a session without a worker and events if it can no longer be placed.
    pub(super) fn lose_if_stranded(&mut self, id: SessionId, now: Instant, fx: &mut Effects<E>) {
        let Some(entry) = self.sessions.entries.get(&id) else {
            return;
        };
        if entry.place != Place::Unplaced || entry.events > 0 {
            return;
        }
        let undeployed = self.scripts.get(&entry.script).is_none_or(|script| script.undeployed);
        let reason = match (&self.closing, undeployed) {
            (Some(_), _) => RetireReason::Shutdown,
            (None, true) => RetireReason::Undeployed,
            (None, false) => return,
        };
        self.sessions.lose(id, reason, now, fx);
    }

    /// Displaces pinned workers for scripts that have waited too long for their first worker. Returns the time at which
    /// another check may find more.
    pub(in crate::state) fn displace_sessions(&mut self, now: Instant, fx: &mut Effects<E>) -> Option<Instant> {
        if !self.sessions.are_any_placed() {
            return None;
        }
        let (mut starved, _) = self.starved_for_long(now);
        while starved > self.being_freed(now) {
            match self.displaceable(now) {
                Ok(thread) => self.displace(thread, now, fx),
                Err(ripe) => return self.starved_for_long(now).1.into_iter().chain(ripe).min(),
            }
            starved -= 1;
        }
        let (_, next) = self.starved_for_long(now);
        // Yielding workers may not finish in time.
        let hosted = self.threads.iter().filter_map(|thread| thread.hosted.as_ref());
        let yields = hosted.filter_map(|hosted| hosted.yields).filter(|_| starved > 0);
        let over = yields.map(|since| after(since, self.settings.yield_after + NEXT));
        over.filter(|over| *over > now).chain(next).min()
    }

    fn displace(&mut self, thread: usize, now: Instant, fx: &mut Effects<E>) {
        self.have_yield(thread, now, fx);
        let hosted = self.threads[thread].hosted.as_ref();
        // If its script waited for another worker, its wait for the only one starts now.
        if let Some(script) = hosted.and_then(|hosted| self.scripts.get_mut(&hosted.version.name)) {
            script.waits_since = script.waits_since.map(|_| now);
        }
    }

    /// Returns the number of scripts that have waited too long for their first worker, and the time at which there will be
    /// one more. Zero while threads may be added.
    pub(super) fn starved_for_long(&self, now: Instant) -> (usize, Option<Instant>) {
        if !self.is_full() {
            return (0, None);
        }
        let dues = self
            .starving_since(now)
            .map(|since| after(since, self.settings.displace_after));
        dues.fold((0, None), |(count, next), due| {
            if due <= now {
                (count + 1, next)
            } else {
                (count, next.into_iter().chain([due]).min())
            }
        })
    }

    /// Returns the pinned worker whose displacement does the least harm, or the time at which there may be one.
    pub(super) fn displaceable(&self, now: Instant) -> Result<usize, Option<Instant>> {
        let mut best: Option<((bool, usize, Instant), usize)> = None;
        let mut ripe: Option<Instant> = None;
        for (thread, slot) in self.threads.iter().enumerate() {
            let Some(hosted) = slot.hosted.as_ref().filter(|_| slot.is_alive()) else {
                continue;
            };
            let stays = matches!(
                hosted.phase,
                Phase::Ready { .. } | Phase::Retiring(RetireReason::Policy)
            );
            // A script does not displace the worker of its own sessions.
            let is_own = !self
                .starving(now)
                .any(|script| script.current.name != hosted.version.name);
            if hosted.pins.is_empty() || hosted.pins.is_closing() || !stays || is_own {
                continue;
            }
            let may_go = after(hosted.ready_at, self.settings.yield_after);
            if may_go > now {
                ripe = ripe.into_iter().chain([may_go]).min();
                continue;
            }
            // Prefers workers without running events, with few sessions, and long idle.
            let harm = (hosted.load(0) > 0, hosted.pins.len(), hosted.idle_since);
            if best.is_none_or(|(least, _)| harm < least) {
                best = Some((harm, thread));
            }
        }
        best.map(|(_, thread)| thread).ok_or(ripe)
    }
}
