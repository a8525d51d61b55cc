//! Reports of a running worker: it is ready, events have ended, it may retire.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::job::{EventId, Job};
use crate::observe::{PoolEvent, RetireReason};
use crate::state::queue::Waited;
use crate::state::{Effects, Mail, Phase, State, Version};
use crate::time::after;

/// A worker's next action.
#[must_use]
pub(crate) enum Next {
    /// The worker continues with its events and its mailbox.
    Stay,
    /// The worker ends and is dropped.
    Leave(RetireReason),
}

impl<E: Engine> State<E> {
    /// Records that a worker has booted.
    pub(crate) fn ready(&mut self, thread: usize, now: Instant, fx: &mut Effects<E>) -> Next {
        let Some(hosted) = self.threads[thread].hosted.as_mut() else {
            return Next::Leave(RetireReason::Lost);
        };
        if hosted.phase == Phase::Booting {
            hosted.phase = Phase::Ready { since: now };
        }
        (hosted.idle_since, hosted.ready_at) = (now, now);
        self.boots.end(thread);
        let (worker, version) = (hosted.id, Arc::clone(&hosted.version));
        version.counters.booted();
        fx.tell(PoolEvent::WorkerReady {
            worker,
            script: Arc::clone(&version.name),
        });
        if let Some(script) = self
            .scripts
            .get_mut(&version.name)
            .filter(|s| s.current.number == version.number)
        {
            script.breaker.succeeded();
            script.last_boot_failure = None;
            self.answer_warming(&version.name, &Ok(()), fx);
        }
        let next = self.pull(thread, now, fx);
        // Other workers left it a share of the queue while it booted.
        self.nudge(&version.name, fx);
        next
    }

    /// Records that the boot on this thread waits, so that it does not count towards the limit on boots.
    pub(crate) fn boot_waits(&mut self, thread: usize) {
        self.boots.end(thread);
    }

    /// Moves events from the queue to the worker's mailbox while it has room, leaving a share to booting workers of the script.
    pub(crate) fn pull(&mut self, thread: usize, now: Instant, fx: &mut Effects<E>) -> Next {
        let Some(hosted) = self.threads[thread].hosted.as_mut() else {
            return Next::Leave(RetireReason::Lost);
        };
        (hosted.nudged, hosted.in_long_turn) = (false, false);
        let takes_sessions = hosted.pins.has_room(&hosted.version.limits);
        let script = self.scripts.get(&hosted.version.name);
        let first = script.and_then(|script| script.queue.first_for(takes_sessions));
        if !hosted.has_room(first.unwrap_or(0)) {
            return self.may_leave(thread);
        }
        if script.is_none_or(|script| script.queue.is_empty()) {
            return self.rest(thread, now, fx);
        }
        let version = Arc::clone(&hosted.version);
        let fill_to = self.fill_to(&version);
        let (mut nearest, mut given, mut stale) = (None, 0, Vec::new());
        if let Some(hosted) = self.threads[thread].hosted.as_mut()
            && let Some(script) = self.scripts.get_mut(&version.name)
        {
            while hosted.takes_from(&script.queue, fill_to)
                && let Some(waited) = script.queue.next(hosted.pins.has_room(&version.limits), now)
            {
                let job = match waited {
                    Waited::Served(job) => job,
                    Waited::TooLong(job) => {
                        stale.push(job);
                        continue;
                    }
                };
                given += 1;
                let due = self.sessions.give(thread, hosted, script, job, now, fx);
                nearest = Some(nearest.map_or(due, |nearest: Instant| nearest.min(due)));
            }
            script.queue.moved(given, now);
        }
        if let Some(due) = nearest {
            self.look_by(after(due, self.settings.wall_grace.min(self.settings.lost_grace)), fx);
        }
        self.shed_stale(&version.name, stale, fx);
        // The rest may have been left to a worker that has become ready.
        let _ = self.line_up(&version.name);
        if given == 0 {
            self.rest(thread, now, fx)
        } else {
            Next::Stay
        }
    }

    /// Returns the number of events that a worker takes from the queue, which leaves a share for booting workers.
    fn fill_to(&self, version: &Version<E>) -> usize {
        if self.census(version).coming > 0 {
            version.limits.spread_at
        } else {
            version.limits.concurrency
        }
    }

    /// Sheds events that have waited too long in a standing queue, before they use a worker.
    fn shed_stale(&mut self, name: &Arc<str>, stale: Vec<Job<E::Event>>, fx: &mut Effects<E>) {
        let Some(script) = self.scripts.get(name).filter(|_| !stale.is_empty()) else {
            return;
        };
        let retry_after = script.queue.retry_after(self.settings.retry_after, self.events);
        self.shed(name, stale, retry_after, "the event waited too long for a worker", fx);
        self.remove_if_done(name, fx);
    }

    /// Handles an empty queue: the worker may yield to a script without workers.
    fn rest(&mut self, thread: usize, now: Instant, fx: &mut Effects<E>) -> Next {
        if self.may_yield(thread, now) {
            self.have_yield(thread, now, fx);
        }
        self.may_leave(thread)
    }

    /// Records ended events of this worker, in the order of their ids. `tired` is a reason to replace the worker.
    pub(crate) fn end(
        &mut self,
        thread: usize,
        events: &[EventId],
        tired: Option<RetireReason>,
        now: Instant,
        fx: &mut Effects<E>,
    ) -> Next {
        if tired.is_none() && !self.waiting.is_empty() && self.may_yield(thread, now) {
            self.have_yield(thread, now, fx);
        }
        let Some(hosted) = self.threads[thread].hosted.as_mut() else {
            return Next::Leave(RetireReason::Lost);
        };
        let held = hosted.held.len();
        hosted.forget(|held| events.binary_search(&held).is_ok());
        let ended = held - hosted.held.len();
        if let Some(reason) = tired {
            hosted.finish(reason, fx);
        }
        if hosted.held.is_empty() {
            hosted.idle_since = now;
        }
        // Reference counts shared with other threads are slow to change, so names are cloned only if necessary.
        let mut leaving = None;
        if let Some(script) = self.scripts.get_mut(&hosted.version.name) {
            script.in_flight -= ended;
            leaving = script.leaving.then(|| Arc::clone(&hosted.version.name));
        }
        self.ended(ended, fx);
        self.session_events_ended(thread, events, now, fx);
        self.relieve(fx);
        if let Some(name) = leaving {
            self.remove_if_done(&name, fx);
        }
        self.pull(thread, now, fx)
    }

    /// Returns the next action of a worker, which ends if it is retiring without events and sessions.
    pub(crate) fn may_leave(&self, thread: usize) -> Next {
        match &self.threads[thread].hosted {
            None => Next::Leave(RetireReason::Lost),
            Some(hosted) => match hosted.phase {
                Phase::Retiring(reason) if hosted.is_free() => Next::Leave(reason),
                _ => Next::Stay,
            },
        }
    }

    /// Retires a worker that is too old or has been idle for too long. Idle workers that are kept warm stay.
    pub(crate) fn tire(&mut self, thread: usize, reason: RetireReason, now: Instant, fx: &mut Effects<E>) -> Next {
        let Some(hosted) = &self.threads[thread].hosted else {
            return Next::Leave(RetireReason::Lost);
        };
        let timeout = self.settings.idle_timeout.unwrap_or(Duration::ZERO);
        // Its last session may have ended meanwhile, unnoticed by its thread.
        let busy = !hosted.is_free() || after(hosted.idle_since, timeout) > now;
        let kept = self.census(&hosted.version).ready <= hosted.version.limits.workers_min;
        if reason == RetireReason::Idle && (busy || kept) {
            return Next::Stay;
        }
        if let Some(hosted) = self.threads[thread].hosted.as_mut() {
            hosted.finish(reason, fx);
        }
        self.may_leave(thread)
    }

    /// Wakes warm workers that have room for queued events.
    pub(super) fn nudge(&mut self, name: &str, fx: &mut Effects<E>) {
        let Some(script) = self.scripts.get(name).filter(|script| !script.queue.is_empty()) else {
            return;
        };
        let version = Arc::clone(&script.current);
        let fill_to = self.fill_to(&version);
        for home in &script.homes {
            let Some(hosted) = self.threads[*home].hosted.as_mut() else {
                continue;
            };
            let takes = hosted.takes_from(&script.queue, fill_to);
            if hosted.version.number == version.number && takes && !hosted.nudged {
                hosted.nudged = true;
                fx.post(&hosted.mailbox, Mail::Pull);
            }
        }
    }
}
