//! The end of a worker, with its events, the events that wait for it and its thread's next assignment; and the end of a thread.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isopod_outcome::{Failure, Outcome};

use crate::engine::{Engine, WorkerId};
use crate::job::Job;
use crate::machine::OsThread;
use crate::observe::{PoolEvent, RetireReason};
use crate::state::{Assignment, Closing, Effects, Hosted, Life, Mail, Phase, State, Version};

/// End of a worker.
#[derive(Clone, Debug)]
pub(crate) enum Departure {
    /// The worker had been ready.
    Retired(RetireReason),
    /// The boot failed.
    BootFailed(Failure),
    /// The boot was canceled.
    BootAborted,
}

/// Maximum pause between attempts to start a thread.
const RESPAWN_PAUSE_MAX: Duration = Duration::from_secs(1);

impl<E: Engine> State<E> {
    /// Handles a worker after its last turn. Dropping it may take a while, in which its thread does not count as lost.
    /// Events that it had not begun return to the head of the queue.
    pub(crate) fn let_go(
        &mut self,
        thread: usize,
        worker: WorkerId,
        reason: RetireReason,
        now: Instant,
        fx: &mut Effects<E>,
    ) {
        let hosted = self.threads[thread].hosted.as_mut();
        let Some(hosted) = hosted.filter(|hosted| hosted.id == worker) else {
            return;
        };
        hosted.told = None;
        hosted.finish(RetireReason::Condemned, fx);
        let version = Arc::clone(&hosted.version);
        let name = Arc::clone(&version.name);
        let (held, pins) = (std::mem::take(&mut hosted.held), std::mem::take(&mut hosted.pins));
        hosted.nested.clear();
        let mut unbegun: Vec<_> = hosted.mailbox.drain().into_iter().filter_map(Mail::event).collect();
        self.sessions_depart(pins, &held, &mut unbegun, reason, now, fx);
        self.put_back(&version, held.len(), unbegun, now, fx);
        self.remove_if_done(&name, fx);
        let _ = self.line_up(&name);
        self.nudge(&name, fx);
    }

    /// Puts the events that a worker had not begun back into the queue; the others of `held` have ended. Events whose
    /// deadlines have passed end here: with the next worker they would get their whole time again.
    pub(super) fn put_back(
        &mut self,
        version: &Version<E>,
        held: usize,
        mut unbegun: Vec<Job<E::Event>>,
        now: Instant,
        fx: &mut Effects<E>,
    ) {
        let name = &version.name;
        if E::stops_code(&version.script) {
            let is_due = |job: &mut Job<E::Event>| job.due(version.limits.wall_timeout) <= now;
            for job in unbegun.extract_if(.., is_due) {
                fx.fail_overdue(name, job);
            }
        }
        self.ended(held - unbegun.len().min(held), fx);
        let cut = self.closing.as_ref().is_some_and(Closing::is_cut);
        let Some(script) = self.scripts.get_mut(name) else {
            return;
        };
        script.in_flight -= held;
        if cut {
            // The queue was cut already, so the events would wait forever.
            self.ended(unbegun.len(), fx);
            for job in unbegun {
                fx.fail(job, Failure::new(Outcome::Canceled, "the pool was shut down"));
            }
            return;
        }
        let wait_max = self.settings.queue_wait_max;
        let expires = unbegun.iter().map(|job| job.expires(wait_max)).min();
        unbegun.into_iter().for_each(|job| script.queue.put(job));
        if let Some(expires) = expires {
            self.look_by(expires, fx);
        }
    }

    /// Handles the end of a worker. Events that it had not begun return to the head of the queue.
    pub(crate) fn depart(&mut self, thread: usize, departure: Departure, now: Instant, fx: &mut Effects<E>) {
        let Some(Hosted {
            id: worker,
            version,
            held,
            phase,
            mailbox,
            pins,
            memory,
            ..
        }) = self.threads[thread].hosted.take()
        else {
            return;
        };
        memory.departs();
        self.rehome(thread, &version.name);
        // If this worker was displaced, the next one boots now.
        if self.threads[thread].reserved.is_none() {
            self.boots.end(thread);
        }
        // Posting requires this lock, so the mailbox stays empty.
        let mut unbegun: Vec<_> = mailbox.drain().into_iter().filter_map(Mail::event).collect();
        let name = Arc::clone(&version.name);
        let reason = match departure {
            Departure::Retired(reason) => reason,
            _ => RetireReason::Lost,
        };
        self.sessions_depart(pins, &held, &mut unbegun, reason, now, fx);
        self.put_back(&version, held.len(), unbegun, now, fx);
        let departure = match departure {
            Departure::Retired(RetireReason::Lost) if phase == Phase::Booting => Departure::BootFailed(Failure::new(
                Outcome::BootFailed,
                "the worker's thread panicked while it booted",
            )),
            other => other,
        };
        match departure {
            Departure::Retired(reason) => {
                version.counters.retired(reason);
                if reason == RetireReason::Displaced {
                    self.displaced(&name, now, fx);
                }
                fx.tell(PoolEvent::WorkerRetired {
                    worker,
                    script: Arc::clone(&name),
                    reason,
                });
            }
            Departure::BootAborted => {
                // The reason was recorded when the boot was canceled, unless the thread ended.
                let reason = if let Phase::Retiring(reason) = phase {
                    reason
                } else {
                    RetireReason::Lost
                };
                fx.tell(PoolEvent::WorkerRetired {
                    worker,
                    script: Arc::clone(&name),
                    reason,
                });
                if let Some(script) = self
                    .scripts
                    .get_mut(&name)
                    .filter(|s| s.current.number == version.number)
                {
                    script.breaker.aborted(now);
                }
            }
            Departure::BootFailed(failure) => {
                version.counters.boot_failed();
                fx.tell(PoolEvent::BootFailed {
                    worker,
                    script: Arc::clone(&name),
                    failure: failure.clone(),
                });
                self.boot_failed(&name, version.number, &failure, now, fx);
            }
        }
        self.remove_if_done(&name, fx);
        let _ = self.line_up(&name);
        self.relieve(fx);
        self.nudge(&name, fx);
    }

    /// Counts a displacement, and reports when many of them show that there are too few threads.
    fn displaced(&mut self, name: &Arc<str>, now: Instant, fx: &mut Effects<E>) {
        let Some(report) = self.crowd.displaced(name, self.events, now) else {
            return;
        };
        let (displaced, scripts, within) = (report.displaced, report.scripts, report.within);
        let hosted = self.threads.iter().filter_map(|thread| thread.hosted.as_ref());
        let hosted: HashSet<_> = hosted.map(|hosted| Arc::clone(&hosted.version.name)).collect();
        let (scripts, threads) = (scripts.union(&hosted).count(), self.settings.size.threads_max);
        let setting = if self.settings.size.threads_are_set {
            "`threads` or `pool.workers_max`"
        } else {
            "`pool.workers_max`, or give workers more memory (`pool.memory`),"
        };
        tracing::warn!(
            scripts,
            threads,
            displaced,
            "more scripts are in use than there are threads for their workers: within {within:?} {displaced} workers were \
             displaced by another script, and each of those had to start; raise {setting} to {scripts}"
        );
        fx.tell(PoolEvent::ThreadsScarce {
            scripts,
            threads,
            displaced,
            within,
        });
    }

    /// Ends the events that waited for this boot, unless another worker is booting.
    fn boot_failed(&mut self, name: &Arc<str>, version: u64, failure: &Failure, now: Instant, fx: &mut Effects<E>) {
        let Some(current) = self.scripts.get(name).map(|script| Arc::clone(&script.current)) else {
            return;
        };
        let census = self.census(&current);
        let Some(script) = self.scripts.get_mut(name).filter(|_| current.number == version) else {
            return;
        };
        script.breaker.failed(now);
        script.last_boot_failure = Some(failure.clone());
        if census.ready + census.coming == 0 {
            let waited = script.queue.drain();
            self.ended(waited.len(), fx);
            for job in waited {
                fx.tell(PoolEvent::EventFailed {
                    script: Arc::clone(name),
                    outcome: failure.outcome,
                });
                fx.fail(job, failure.clone());
            }
            self.answer_warming(name, &Err(failure.clone()), fx);
        }
        // Workers that are to be kept warm boot again when the breaker allows.
        fx.wake_supervisor();
    }

    /// Returns the next action of a thread after its worker has ended. `None`: it waits for its mailbox.
    pub(crate) fn after_departure(
        &mut self,
        thread: usize,
        now: Instant,
        fx: &mut Effects<E>,
    ) -> Option<Assignment<E>> {
        let next = self.next_assignment(thread, now, fx);
        if self.closing.is_some() {
            self.dismiss_vacant(fx);
        }
        next
    }

    /// Records that a thread is about to end, so that it gets no other worker.
    pub(crate) fn dismiss(&mut self, thread: usize) {
        self.threads[thread].mailbox = None;
    }

    /// Returns whether a thread that has been vacant for a while should end, because there are more threads than initially.
    pub(crate) fn is_surplus(&mut self, thread: usize) -> bool {
        let alive = self.threads.iter().filter(|thread| thread.is_alive()).count();
        let is_surplus = self.threads[thread].is_vacant() && alive > self.settings.size.threads;
        if is_surplus {
            self.dismiss(thread);
        }
        is_surplus
    }

    /// Records that a thread has started.
    pub(crate) fn thread_started(&mut self, thread: usize, os: OsThread) {
        let slot = &mut self.threads[thread];
        (slot.start_failures, slot.os) = (0, os);
    }

    /// Records that a thread panicked or could not start; the supervisor replaces it.
    pub(crate) fn thread_lost(
        &mut self,
        thread: usize,
        message: &str,
        could_start: bool,
        now: Instant,
        fx: &mut Effects<E>,
    ) {
        if self.threads[thread].life == Life::Lost {
            // The thread was counted and replaced before.
            return self.thread_ended(thread, fx);
        }
        self.threads_lost += 1;
        let slot = &mut self.threads[thread];
        let pause = if could_start {
            Duration::ZERO
        } else {
            slot.start_failures += 1;
            (Duration::from_millis(10) * 2u32.saturating_pow(slot.start_failures.min(10))).min(RESPAWN_PAUSE_MAX)
        };
        slot.mailbox = None;
        slot.life = Life::Ended {
            again: Some(now + pause),
        };
        fx.tell(PoolEvent::ThreadLost {
            thread: slot.name.clone(),
            message: message.to_owned(),
        });
        self.unreserve(thread, fx);
        fx.wake_supervisor();
    }

    /// Makes the script for which this thread was reserved wait for another thread.
    pub(super) fn unreserve(&mut self, thread: usize, fx: &mut Effects<E>) {
        if let Some((name, _)) = self.threads[thread].reserved.take() {
            self.rehome(thread, &name);
            self.boots.end(thread);
            let _ = self.line_up(&name);
            self.nudge(&name, fx);
        }
    }

    /// Records that a thread ended as requested, or returned after it was given up.
    pub(crate) fn thread_ended(&mut self, thread: usize, fx: &mut Effects<E>) {
        let slot = &mut self.threads[thread];
        if slot.life == Life::Lost {
            fx.tell(PoolEvent::ThreadReturned {
                thread: slot.name.clone(),
            });
        }
        slot.mailbox = None;
        slot.life = Life::Ended { again: None };
        fx.wake_supervisor();
    }
}
