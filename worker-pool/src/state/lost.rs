//! Lost threads, which are stuck in uninterruptible native code. The supervisor finds them by deadlines long past, ends
//! their events, and replaces the threads, up to a limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use isopod_outcome::{Failure, Outcome};

use crate::engine::{Engine, SlotId, Stop, WorkerId};
use crate::health::Unhealthy;
use crate::machine::OsTimes;
use crate::observe::{PoolEvent, RetireReason};
use crate::state::slots::Running;
use crate::state::{Departure, Effects, Hosted, Life, Mail, Phase, State};
use crate::time::after;

/// Time for a worker whose code was terminated to report this itself, with more detail.
const FIRST_SAY: Duration = Duration::from_millis(30);

/// Maximum time without a processor that does not count before a thread is lost, in multiples of the time that it has. Callers of a
/// start wait for that.
const HELD_UP_MAX: u32 = 9;

impl<E: Engine> State<E> {
    /// Records that the engine told a worker to stop, so that the supervisor detects a stuck thread.
    pub(crate) fn told_to_stop(
        &mut self,
        thread: usize,
        worker: WorkerId,
        stop: Stop,
        now: Instant,
        fx: &mut Effects<E>,
    ) {
        let hosted = self.threads[thread].hosted.as_mut();
        if let Some(hosted) = hosted.filter(|hosted| hosted.id == worker)
            && hosted.told.is_none()
        {
            hosted.told = Some((now, stop));
            self.look_by(now, fx);
        }
    }

    /// Makes the supervisor check no later than this, and wakes it if it would sleep longer.
    pub(super) fn look_by(&mut self, due: Instant, fx: &mut Effects<E>) {
        if self.looks_at.is_none_or(|looks_at| due < looks_at) {
            self.looks_at = Some(due);
            fx.wake_supervisor();
        }
    }

    /// Gives up threads that are overdue. Returns the time at which the next thread becomes overdue.
    pub(super) fn give_up_lost(&mut self, now: Instant, fx: &mut Effects<E>) -> Option<Instant> {
        let grace = self.settings.lost_grace;
        let mut nearest: Option<Instant> = None;
        for thread in 0..self.threads.len() {
            if !self.threads[thread].hosted.as_ref().is_some_and(Hosted::may_be_overdue) {
                continue;
            }
            let overdue = self.end_overdue(thread, now, fx);
            nearest = nearest.into_iter().chain(overdue).min();
            let slot = &mut self.threads[thread];
            let Some(hosted) = &mut slot.hosted else {
                continue;
            };
            let patience = grace.saturating_add(E::native_max(&hosted.version.script));
            let next = match hosted.back_by(self.settings.wall_grace, now) {
                Some(due) if due <= now => {
                    let times = slot.os.times();
                    let overdue = Overdue::since(hosted.overdue, due, now, times);
                    hosted.overdue = Some(overdue);
                    overdue.lost_at(patience, now, times)
                }
                Some(due) => due,
                None => continue,
            };
            if next <= now {
                self.give_up(thread, Outcome::WorkerLost, now, fx);
            } else {
                nearest = Some(nearest.map_or(next, |nearest| nearest.min(next)));
            }
        }
        self.replace_lost(now, fx);
        nearest
    }

    /// Ends events that have passed their deadlines while code of other events blocks their worker, which survives. Returns
    /// the time at which the next event is due.
    fn end_overdue(&mut self, thread: usize, now: Instant, fx: &mut Effects<E>) -> Option<Instant> {
        let grace = self.settings.wall_grace.saturating_add(FIRST_SAY);
        let hosted = self.threads[thread].hosted.as_mut()?;
        let by = now
            .checked_sub(grace)
            .filter(|_| E::stops_code(&hosted.version.script))?;
        let (running, nearest) = {
            let mut slots = hosted.table.lock();
            (slots.take_overdue(by), slots.nearest_untaken())
        };
        let wall_timeout = hosted.version.limits.wall_timeout;
        let is_due = |mail: &Mail<E::Event>| mail.due(wall_timeout).is_some_and(|due| due <= by);
        let unread = hosted.mailbox.take_where(is_due);
        let (waits, _) = hosted.mailbox.least(|mail| mail.due(wall_timeout));
        let name = Arc::clone(&hosted.version.name);
        let mut failed = 0;
        for job in unread.into_iter().filter_map(Mail::event) {
            failed += 1;
            hosted.forget(|held| held == job.id);
            hosted.pins.unread_failed(&job);
            fx.fail_overdue(&name, job);
        }
        for (tally, line, outcome) in running {
            let message = "the event did not end by its deadline";
            fx.give_up(tally, &line, Failure::new(outcome, message));
            fx.tell(PoolEvent::EventFailed {
                script: Arc::clone(&name),
                outcome,
            });
        }
        if let Some(script) = self.scripts.get_mut(&name) {
            script.in_flight -= failed;
        }
        self.ended(failed, fx);
        let next = nearest.into_iter().chain(waits).min()?;
        Some(after(next, grace))
    }

    /// Gives up workers that still hold events; the pool no longer waits for them.
    pub(super) fn give_up_all(&mut self, now: Instant, fx: &mut Effects<E>) {
        for thread in 0..self.threads.len() {
            let holds = |hosted: &Hosted<E>| !hosted.held.is_empty();
            if self.threads[thread].hosted.as_ref().is_some_and(holds) {
                self.give_up(thread, Outcome::Canceled, now, fx);
            }
        }
    }

    /// Ends the events of the worker on this thread, and abandons the thread. `others` is the outcome of events that have
    /// not reached a limit themselves.
    fn give_up(&mut self, thread: usize, others: Outcome, now: Instant, fx: &mut Effects<E>) {
        let Some(hosted) = &mut self.threads[thread].hosted else {
            return;
        };
        hosted.attached.close();
        fx.evict(&hosted.attached);
        let (phase, mailbox, told) = (hosted.phase, Arc::clone(&hosted.mailbox), hosted.told.take());
        let script = Arc::clone(&hosted.version.name);
        let table = Arc::clone(&hosted.table);
        // The worker must not notice before all callers are answered.
        let mut slots = table.lock();
        let running = slots.give_up();
        let blamed = told.and_then(|(_, stop)| Some((blamed(&stop, &running)?, stop.outcome)));
        for (slot, running) in running {
            let outcome = match (blamed, running.canceled) {
                (Some((blamed, outcome)), _) if blamed == slot => outcome,
                (_, Some(canceled)) => canceled,
                _ if running.deadline <= now => Outcome::ExceededWall,
                _ => others,
            };
            let mut failure = Failure::new(
                outcome,
                "the event's code cannot be interrupted, and its thread is lost",
            );
            failure.retry_after = (outcome == Outcome::WorkerLost).then_some(self.settings.retry_after);
            let Some(tally) = running.tally else { continue };
            fx.give_up(tally, &running.line, failure);
            fx.tell(PoolEvent::EventFailed {
                script: Arc::clone(&script),
                outcome,
            });
        }
        drop(slots);
        self.threads_lost += 1;
        let slot = &mut self.threads[thread];
        slot.mailbox = None;
        slot.life = Life::Lost;
        let message = "it is stuck in uninterruptible native code".to_owned();
        tracing::error!(thread = slot.name, message, "lost a worker thread");
        fx.tell(PoolEvent::ThreadLost {
            thread: slot.name.clone(),
            message,
        });
        let departure = match phase {
            Phase::Booting => Departure::BootFailed(Failure::new(
                Outcome::BootFailed,
                "the script's top-level code cannot be interrupted, and its thread is lost",
            )),
            _ => Departure::Retired(RetireReason::Lost),
        };
        self.depart(thread, departure, now, fx);
        self.unreserve(thread, fx);
        // The thread may return at this moment, and go to sleep.
        fx.post(&mailbox, Mail::Retire);
    }

    /// Replaces lost threads, up to the limit.
    pub(super) fn replace_lost(&mut self, now: Instant, fx: &mut Effects<E>) {
        if self.is_stopping() || self.stuck() > self.settings.lost_threads_max {
            return;
        }
        while self.serving() < self.settings.size.threads {
            let thread = self.add_thread(now);
            self.threads_respawned += 1;
            fx.tell(PoolEvent::ThreadRespawned {
                thread: self.threads[thread].name.clone(),
            });
        }
    }

    /// Returns the number of stuck threads.
    pub(crate) fn stuck(&self) -> usize {
        self.threads.iter().filter(|thread| thread.life == Life::Lost).count()
    }

    /// Returns the number of threads that host workers or can host one.
    pub(super) fn serving(&self) -> usize {
        let serves = |life| matches!(life, Life::Alive | Life::Ended { again: Some(_) });
        self.threads.iter().filter(|thread| serves(thread.life)).count()
    }

    /// Returns the maximum length of the list of threads, to which replaced threads are added. While the operating system
    /// refuses to start a thread, no other is added.
    pub(super) fn places_max(&self) -> usize {
        let (mut stuck, mut gone, mut is_refused) = (0, 0, false);
        for thread in &self.threads {
            match thread.life {
                Life::Alive => {}
                Life::Ended { again: Some(_) } => is_refused |= thread.start_failures > 0,
                Life::Lost => (stuck, gone) = (stuck + 1, gone + 1),
                Life::Ended { again: None } | Life::Joined => gone += 1,
            }
        }
        if is_refused || stuck > self.settings.lost_threads_max {
            return self.threads.len();
        }
        self.settings.size.threads_max + gone
    }

    pub(crate) fn health(&self) -> Result<(), Unhealthy> {
        let (stuck, replaced_max) = (self.stuck(), self.settings.lost_threads_max);
        if self.closing.is_some() {
            Err(Unhealthy::ShuttingDown)
        } else if stuck > replaced_max {
            Err(Unhealthy::ThreadsLost { stuck, replaced_max })
        } else if !self.threads.iter().any(|thread| thread.is_alive()) {
            Err(Unhealthy::NoThreads)
        } else {
            Ok(())
        }
    }
}

impl<E: Engine> Hosted<E> {
    /// Returns whether the worker does anything that can become overdue. Most workers are idle.
    fn may_be_overdue(&self) -> bool {
        !self.held.is_empty() || self.told.is_some() || self.phase == Phase::Booting
    }

    /// Returns the time by which its thread should return: that of the stop, the deadline of the boot, or the first deadline
    /// among the events that are running or in the mailbox. If the engine terminates code at the deadline of its own event, the
    /// last deadline of the running events counts instead.
    fn back_by(&self, wall_grace: Duration, now: Instant) -> Option<Instant> {
        let wall_timeout = self.version.limits.wall_timeout;
        let stops_code = E::stops_code(&self.version.script);
        let (begun, last, running) = {
            let table = self.table.lock();
            (table.nearest_deadline(), table.last_deadline(), table.len())
        };
        let patient = |due: Instant| match last.filter(|_| stops_code) {
            Some(last) => after(due.max(last), wall_grace),
            None => due,
        };
        // Read after the table, so that an event that moves there may be missed, but is never counted twice.
        let (unread, waiting) = self.mailbox.least(|mail| mail.due(wall_timeout));
        // Such an event is moving to the table, or its end is not reported yet. Check again later.
        let unseen = self.held.len() > running + waiting;
        let due = [
            self.told.as_ref().map(|(at, _)| *at),
            (self.phase == Phase::Booting).then_some(after(self.boot_ends, wall_grace)),
            begun.map(patient),
            unread.map(patient),
            unseen.then_some(now),
        ];
        due.into_iter().flatten().min()
    }
}

/// A thread that should have returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overdue {
    due: Instant,
    /// The time at which the supervisor saw it. The supervisor may be late, too.
    seen: Instant,
    /// The thread's times until then.
    times: OsTimes,
}

impl Overdue {
    /// Returns `before` if it is about the same time, or a new record.
    fn since(before: Option<Self>, due: Instant, now: Instant, times: OsTimes) -> Self {
        let new = Self { due, seen: now, times };
        before.filter(|before| before.due == due).unwrap_or(new)
    }

    /// Returns the time at which the thread is lost if it goes on as it does. Time without a processor does not count, on a machine
    /// with more to do than it can, up to [`HELD_UP_MAX`].
    fn lost_at(&self, patience: Duration, now: Instant, times: OsTimes) -> Instant {
        let held_up = match times.is_runnable {
            // Includes the wait that has not ended.
            true => now
                .saturating_duration_since(self.seen)
                .saturating_sub(times.ran.saturating_sub(self.times.ran)),
            false => times.waited.saturating_sub(self.times.waited),
        };
        after(self.seen, patience.saturating_add(held_up.min(patience * HELD_UP_MAX)))
    }
}

/// Returns the event that caused a stop.
fn blamed(stop: &Stop, running: &[(SlotId, Running)]) -> Option<SlotId> {
    stop.slot.or_else(|| {
        let last = running.iter().max_by_key(|(_, running)| running.started);
        last.map(|(slot, _)| *slot)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(1);

    fn seconds(ran: u64, waited: u64, is_runnable: bool) -> OsTimes {
        OsTimes {
            ran: Duration::from_secs(ran),
            waited: Duration::from_secs(waited),
            is_runnable,
        }
    }

    #[test]
    fn a_thread_that_has_a_processor_or_sleeps_has_the_grace() {
        let due = Instant::now();
        let seen = due + Duration::from_millis(5);
        for is_runnable in [true, false] {
            let overdue = Overdue::since(None, due, seen, seconds(70, 30, is_runnable));
            assert_eq!(overdue.lost_at(GRACE, seen, seconds(70, 30, is_runnable)), seen + GRACE);
        }
        let overdue = Overdue::since(None, due, seen, seconds(70, 30, true));
        assert_eq!(
            overdue.lost_at(GRACE, seen + GRACE, seconds(71, 30, true)),
            seen + GRACE
        );
        assert_eq!(
            overdue.lost_at(GRACE, seen + GRACE, seconds(70, 30, false)),
            seen + GRACE
        );
        // The system does not tell any more.
        assert_eq!(overdue.lost_at(GRACE, seen + GRACE, OsTimes::default()), seen + GRACE);
    }

    #[test]
    fn time_without_a_processor_does_not_count_up_to_a_limit() {
        let due = Instant::now();
        let overdue = Overdue::since(None, due, due, seconds(70, 30, true));
        // It still waits.
        let now = due + 3 * GRACE;
        assert_eq!(overdue.lost_at(GRACE, now, seconds(70, 30, true)), now + GRACE);
        // It has waited, and sleeps.
        assert_eq!(overdue.lost_at(GRACE, now, seconds(70, 32, false)), due + 3 * GRACE);
        let late = due + 60 * GRACE;
        assert_eq!(overdue.lost_at(GRACE, late, seconds(70, 30, true)), due + 10 * GRACE);
    }

    #[test]
    fn the_first_look_counts_until_something_else_is_due() {
        let due = Instant::now();
        let first = Overdue::since(None, due, due, OsTimes::default());
        let (later, times) = (due + GRACE, seconds(1, 1, true));
        assert_eq!(Overdue::since(Some(first), due, later, times), first);
        let other = Overdue::since(Some(first), later, later, times);
        assert_eq!((other.due, other.seen, other.times), (later, later, times));
    }
}
