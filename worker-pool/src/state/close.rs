//! The supervisor's work: expires events that wait too long, joins and replaces threads, and shuts the pool down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use isopod_outcome::{Failure, Outcome};

use crate::engine::Engine;
use crate::observe::{PoolEvent, RetireReason};
use crate::shutdown::ShutdownReport;
use crate::state::{Assignment, Effects, Life, Mail, Phase, State};
use crate::sync::channel;
use crate::sync::thread::JoinHandle;
use crate::time::after;

/// Progress of a shutdown.
pub(crate) struct Closing {
    /// Time of the cut.
    cut_at: Instant,
    /// Grace for canceled events, and then for threads.
    grace: Duration,
    /// True if threads end too.
    stop: bool,
    open_at_start: usize,
    /// Number of events of sessions accepted since the start.
    accepted: usize,
    sessions_cut: usize,
    /// Time of the cut, and the number of events that were open then.
    cut: Option<(Instant, usize)>,
    /// Time at which threads were asked to end.
    stopping: Option<Instant>,
    drained: Vec<channel::Sender<ShutdownReport>>,
    stopped: Vec<channel::Sender<ShutdownReport>>,
    /// The last report, once every thread has ended.
    ended: Option<ShutdownReport>,
}

/// A thread to be spawned.
pub(crate) struct Spawn<E: Engine> {
    pub(crate) thread: usize,
    pub(crate) name: String,
    pub(crate) mailbox: channel::Receiver<Assignment<E>>,
}

/// The supervisor's work outside the lock.
pub(crate) struct Todo<E: Engine> {
    pub(crate) join: Vec<JoinHandle<()>>,
    pub(crate) spawn: Vec<Spawn<E>>,
    pub(crate) reports: Vec<(channel::Sender<ShutdownReport>, ShutdownReport)>,
    /// Time of the next check if nothing happens before.
    pub(crate) next: Option<Instant>,
    /// Every thread has ended, so the supervisor ends too.
    pub(crate) done: bool,
}

impl Closing {
    /// Returns the time at which sessions and unfinished events are cut.
    pub(super) const fn cut_at(&self) -> Instant {
        self.cut_at
    }

    /// Counts an accepted event of a session.
    pub(super) const fn accepted(&mut self) {
        self.accepted += 1;
    }

    /// Returns whether unfinished events have been cut.
    pub(super) const fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    pub(super) const fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }
}

impl<E: Engine> State<E> {
    /// Starts a drain: no more events are accepted, and unfinished ones are cut at `cut_at`. Later calls can only make that
    /// earlier.
    pub(crate) fn close(
        &mut self,
        cut_at: Instant,
        stop: bool,
        report: Option<channel::Sender<ShutdownReport>>,
        now: Instant,
        fx: &mut Effects<E>,
    ) {
        let (grace, open) = (self.settings.stop_grace, self.open);
        if self.closing.is_none() {
            fx.tell(PoolEvent::Draining);
        }
        // The supervisor has ended, so the report is sent here.
        if let (Some(ended), Some(to)) = (
            self.closing.as_ref().and_then(|closing| closing.ended.as_ref()),
            &report,
        ) {
            return fx.report(to.clone(), ended.clone());
        }
        let closing = self.closing.get_or_insert_with(|| Closing {
            cut_at,
            grace,
            stop,
            open_at_start: open,
            accepted: 0,
            sessions_cut: 0,
            cut: None,
            stopping: None,
            drained: Vec::new(),
            stopped: Vec::new(),
            ended: None,
        });
        closing.cut_at = closing.cut_at.min(cut_at);
        closing.stop |= stop;
        match report {
            Some(report) if stop => closing.stopped.push(report),
            Some(report) => closing.drained.push(report),
            None => {}
        }
        fx.wake_supervisor();
        fx.sessions_must_be_told();
        self.lose_stranded(None, now, fx);
        for waiter in self.scripts.values_mut().flat_map(|script| script.warming.drain(..)) {
            fx.answer(
                waiter,
                Err(Failure::new(Outcome::Canceled, "the pool is shutting down")),
            );
        }
    }

    /// Performs all checks once.
    pub(crate) fn supervise(&mut self, now: Instant, fx: &mut Effects<E>) -> Todo<E> {
        let mut todo = Todo {
            join: Vec::new(),
            spawn: Vec::new(),
            reports: Vec::new(),
            next: None,
            done: false,
        };
        self.expire(now, &mut todo, fx);
        if let Some(due) = self.give_up_lost(now, fx) {
            todo.look_at(due);
        }
        if let Some(due) = self.end_graces(now, fx) {
            todo.look_at(due);
        }
        self.mend(now, &mut todo, fx);
        self.keep_warm(now, &mut todo, fx);
        if let Some(due) = self.place_waiting(now, fx) {
            todo.look_at(due);
        }
        for (thread, slot) in self.threads.iter_mut().enumerate() {
            if let Some(mailbox) = slot.unspawned.take() {
                todo.spawn.push(Spawn {
                    thread,
                    name: slot.name.clone(),
                    mailbox,
                });
            }
        }
        self.advance(now, &mut todo, fx);
        self.looks_at = todo.next;
        todo
    }

    /// Ends queued events that have waited too long or have passed their deadlines.
    fn expire(&mut self, now: Instant, todo: &mut Todo<E>, fx: &mut Effects<E>) {
        let (wait_max, retry_after) = (self.settings.queue_wait_max, self.settings.retry_after);
        let mut count = 0;
        let mut emptied = Vec::new();
        for (name, script) in self.scripts.iter_mut().filter(|(_, script)| !script.queue.is_empty()) {
            let retry_after = script.queue.retry_after(retry_after, self.events);
            let (expired, next) = script.queue.expire(wait_max, now);
            if let Some(next) = next {
                todo.look_at(next);
            }
            count += expired.len();
            for job in expired {
                let failure = if job.deadline.is_some_and(|deadline| deadline <= now) {
                    Failure::new(
                        Outcome::ExceededWall,
                        "the event's deadline passed while it waited for a worker",
                    )
                } else {
                    Failure::new(Outcome::LoadShed, "the event waited too long for a worker")
                        .with_retry_after(retry_after)
                };
                fx.tell(PoolEvent::EventFailed {
                    script: Arc::clone(name),
                    outcome: failure.outcome,
                });
                fx.fail(job, failure);
            }
            if script.leaving && script.queue.is_empty() {
                emptied.push(Arc::clone(name));
            }
        }
        self.ended(count, fx);
        emptied.iter().for_each(|name| self.remove_if_done(name, fx));
    }

    /// Joins threads that have ended and replaces those that were lost.
    fn mend(&mut self, now: Instant, todo: &mut Todo<E>, fx: &mut Effects<E>) {
        let stopping = self.is_stopping();
        for slot in &mut self.threads {
            let Life::Ended { again } = slot.life else { continue };
            todo.join.extend(slot.handle.take());
            match again {
                Some(at) if !stopping && at > now => todo.look_at(at),
                Some(_) if !stopping => {
                    slot.revive();
                    self.threads_respawned += 1;
                    fx.tell(PoolEvent::ThreadRespawned {
                        thread: slot.name.clone(),
                    });
                }
                _ => slot.life = Life::Joined,
            }
        }
    }

    /// Boots workers that are kept warm and could not boot before.
    fn keep_warm(&mut self, now: Instant, todo: &mut Todo<E>, fx: &mut Effects<E>) {
        if self.closing.is_some() {
            return;
        }
        let kept = self
            .scripts
            .values()
            .filter(|script| script.current.limits.workers_min > 0);
        let names: Vec<_> = kept
            .map(|script| (Arc::clone(&script.current.name), script.breaker.opens_at()))
            .collect();
        for (name, opens_at) in names {
            match opens_at {
                Some(at) if at > now => todo.look_at(at),
                _ => self.grow(&name, now, fx),
            }
        }
    }

    fn advance(&mut self, now: Instant, todo: &mut Todo<E>, fx: &mut Effects<E>) {
        let (open, sessions) = (self.open, self.placed_sessions());
        let Some(closing) = self.closing.as_mut() else { return };
        if open + sessions > 0 && closing.cut.is_none() {
            if closing.cut_at > now {
                return todo.look_at(closing.cut_at);
            }
            closing.cut = Some((now, open));
            return self.cut(now, todo, fx);
        }
        let cut_over = closing.cut.is_some_and(|(at, _)| now >= after(at, closing.grace));
        if open > 0 && !cut_over {
            return todo.look_at(after(closing.cut.map_or(now, |(at, _)| at), closing.grace));
        }
        if open > 0 {
            // The grace of the events is over.
            self.give_up_all(now, fx);
        }
        let Some(closing) = self.closing.as_mut() else { return };
        let cut = closing.cut.map_or(0, |(_, count)| count);
        let mut report = ShutdownReport {
            finished: (closing.open_at_start + closing.accepted).saturating_sub(cut),
            cut,
            sessions_cut: closing.sessions_cut,
            threads_joined: 0,
            threads_stuck: 0,
        };
        todo.reports
            .extend(closing.drained.drain(..).map(|to| (to, report.clone())));
        if !closing.stop {
            return;
        }
        let stopping = *closing.stopping.get_or_insert(now);
        for hosted in self.threads.iter_mut().filter_map(|thread| thread.hosted.as_mut()) {
            hosted.retire(RetireReason::Shutdown, fx);
        }
        self.dismiss_vacant(fx);
        self.threads
            .iter_mut()
            .filter(|thread| matches!(thread.life, Life::Ended { .. }))
            .for_each(|thread| {
                todo.join.extend(thread.handle.take());
                thread.life = Life::Joined;
            });
        report.threads_joined = self.threads.iter().filter(|thread| thread.life == Life::Joined).count();
        report.threads_stuck = self.threads.len() - report.threads_joined;
        let Some(closing) = self.closing.as_mut() else { return };
        todo.done = report.threads_stuck == 0;
        closing.ended = todo.done.then(|| report.clone());
        if todo.done || now >= after(stopping, closing.grace) {
            todo.reports
                .extend(closing.stopped.drain(..).map(|to| (to, report.clone())));
        } else {
            todo.look_at(after(stopping, closing.grace));
        }
    }

    /// Ends events that have not begun, and has running ones canceled by their worker.
    fn cut(&mut self, now: Instant, todo: &mut Todo<E>, fx: &mut Effects<E>) {
        let mut count = 0;
        for script in self.scripts.values_mut() {
            for job in script.queue.drain() {
                fx.fail(job, Failure::new(Outcome::Canceled, "the pool was shut down"));
                count += 1;
            }
        }
        for hosted in self.threads.iter_mut().filter_map(|thread| thread.hosted.as_mut()) {
            fx.post(&hosted.mailbox, Mail::Cut);
            if hosted.phase == Phase::Booting {
                hosted.phase = Phase::Retiring(RetireReason::Shutdown);
            }
        }
        let sessions = self.revoke_all_sessions(now, fx);
        if let Some(closing) = &mut self.closing {
            closing.sessions_cut = sessions;
        }
        self.ended(count, fx);
        todo.look_at(after(now, self.settings.stop_grace));
        fx.wake_supervisor();
    }

    /// Ends threads without workers while the pool stops, by closing their mailboxes.
    pub(super) fn dismiss_vacant(&mut self, fx: &mut Effects<E>) {
        if !self.is_stopping() {
            return;
        }
        for thread in &mut self.threads {
            if thread.hosted.is_none() && thread.mailbox.take().is_some() {
                // A thread that was never spawned ends at once.
                if thread.unspawned.take().is_some() && thread.handle.is_none() {
                    thread.life = Life::Joined;
                    fx.wake_supervisor();
                }
            }
        }
    }
}

impl<E: Engine> Todo<E> {
    fn look_at(&mut self, at: Instant) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}
