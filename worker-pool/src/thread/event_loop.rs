//! A worker's event loop: reads mail in bursts, begins events, polls the worker, reports ended events, checks deadlines.

mod returned;
mod timing;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use isopod_outcome::{Failure, Outcome};

use crate::engine::{Engine, Event as _, SlotId, Trim, Turn, Worker as _};
use crate::job::{EventId, Job};
use crate::mailbox::Park;
use crate::observe::RetireReason;
use crate::recorder::{Recorder, Series};
use crate::shared::Shared;
use crate::state::slots::{Running, Slots};
use crate::state::{Assignment, Departure, Mail, Next};
use crate::sync::{Mutex, MutexGuard, clock};
use crate::thread::linger::Linger;
use crate::thread::pulse::Pulse;
use crate::time::after;

/// Number of turns after which the `LocalSet` is polled.
const TURNS_PER_POLL: usize = 64;

/// Time after which the `LocalSet` is polled if there are attached tasks, which wait meanwhile.
const TIME_PER_POLL: Duration = Duration::from_micros(500);

/// Duration from which a poll counts as having run code.
const POLL_WITH_CODE: Duration = Duration::from_micros(50);

/// Minimum intervals between reports of memory, for a configured limit of all workers, and for a share of the machine's memory.
const WEIGH: Duration = Duration::from_millis(10);
const WEIGH_FOR_SHARE: Duration = Duration::from_millis(200);

/// Duration of a turn after which deadlines of other events may have passed.
const LONG_TURN: Duration = Duration::from_millis(5);

type Step<T = ()> = Result<T, Departure>;

/// Result of a round of the loop.
enum Round {
    /// There may be more work.
    Busy,
    /// The loop may sleep until it is woken.
    Rests,
}

pub(super) struct EventLoop<'a, E: Engine> {
    shared: &'a Shared<E>,
    thread: usize,
    assignment: &'a Assignment<E>,
    worker: &'a mut E::Worker,
    /// The worker's waker, which wakes this loop if it sleeps, and is remembered otherwise.
    bell: Waker,
    recorder: Arc<Mutex<Recorder>>,
    /// Ended events that are not reported yet. They are reported together, because this takes the pool's lock.
    ended: Vec<EventId>,
    ready_at: Instant,
    idle_since: Instant,
    /// The last reading of the clock, which is read once per step.
    at: Instant,
    linger: Linger,
    /// Measurement for adaptive concurrency, if enabled.
    pulse: Option<Pulse>,
    /// Time of the next report of memory.
    weighs_at: Instant,
    /// Armed for the nearest deadline or an earlier time, so that most events do not touch it.
    timer: Option<(Instant, Pin<Box<clock::Sleep>>)>,
    /// Set by [`Mail::Cut`], after which events are canceled.
    cut: bool,
    /// True if the worker's age was reported to the pool.
    aged: bool,
    /// The last resource that the worker released since its last event.
    trimmed: Option<Trim>,
}

impl<'a, E: Engine> EventLoop<'a, E> {
    pub(super) fn new(
        shared: &'a Shared<E>,
        thread: usize,
        assignment: &'a Assignment<E>,
        worker: &'a mut E::Worker,
        recorder: Arc<Mutex<Recorder>>,
    ) -> Self {
        let now = clock::now();
        Self {
            shared,
            thread,
            assignment,
            worker,
            bell: Waker::from(Arc::clone(&assignment.mail)),
            recorder,
            ended: Vec::new(),
            ready_at: now,
            idle_since: now,
            at: now,
            linger: Linger::new(shared.settings.linger),
            pulse: Pulse::of(assignment, now),
            weighs_at: now,
            timer: None,
            cut: false,
            aged: false,
            trimmed: None,
        }
    }

    pub(super) async fn run(&mut self) -> Departure {
        let _ = self.weighs_too_much(self.ready_at);
        // Other workers may have left events in the queue for this one.
        let next = self.shared.with(|state, fx| state.ready(self.thread, clock::now(), fx));
        if let Err(departure) = follow(next) {
            return departure;
        }
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Departure> {
        let began = clock::now();
        self.at = began;
        if let Some(pulse) = &mut self.pulse {
            pulse.wakes(began);
        }
        // Before the next turn, cancels events whose deadlines passed while the thread did not run.
        if self.timer.as_ref().is_some_and(|(at, _)| *at <= began)
            && let Err(departure) = self.expire(began)
        {
            return Poll::Ready(departure);
        }
        for _ in 0..TURNS_PER_POLL {
            match self.round(cx) {
                Ok(Round::Busy) if self.has_attached() && self.at.duration_since(began) >= TIME_PER_POLL => break,
                Ok(Round::Busy) => {}
                Ok(Round::Rests) => return Poll::Pending,
                Err(departure) => return Poll::Ready(departure),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads all mail and polls the worker once. Without further work, reports ended events and sleeps.
    fn round(&mut self, cx: &mut Context<'_>) -> Step<Round> {
        let looks_away = self.worker.is_in_long_turn();
        if looks_away {
            self.assignment.mail.look_away(cx.waker());
        }
        // Events in the mailbox of a condemned worker return to the queue when it departs.
        while !looks_away
            && !self.worker.is_condemned()
            && let Some(mail) = self.assignment.mail.take()
        {
            self.read(mail)?;
        }
        self.assignment.attached.start_arrivals();
        let began = self.at;
        let polled = self.worker.poll(&mut Context::from_waker(&self.bell));
        self.at = clock::now();
        let took = self.at.saturating_duration_since(began);
        if took >= POLL_WITH_CODE {
            self.assignment.attached.turned(took);
        }
        if let Poll::Ready(turn) = polled {
            self.turn(turn)?;
            return Ok(Round::Busy);
        }
        self.report(None)?;
        if self.poll_timer(cx).is_ready() {
            self.expire(clock::now())?;
            return Ok(Round::Busy);
        }
        if looks_away {
            return Ok(Round::Rests);
        }
        // Open events and attached tasks depend on work that has to be polled.
        if !self.runs() && !self.has_attached() && self.linger.finds(|| self.assignment.mail.stirs()) {
            return Ok(Round::Busy);
        }
        Ok(match self.assignment.mail.park(cx.waker()) {
            Park::Asleep => {
                if let Some(pulse) = &mut self.pulse {
                    pulse.sleeps(clock::now());
                }
                Round::Rests
            }
            Park::Mail => Round::Busy,
            // The worker woke itself, and may do so repeatedly, so other tasks of this thread are polled first.
            Park::Rung => {
                cx.waker().wake_by_ref();
                Round::Rests
            }
        })
    }

    fn read(&mut self, mail: Mail<E::Event>) -> Step {
        let step = match mail {
            Mail::Event(job) => return self.begin(job),
            Mail::Cancel(event) => {
                self.cancel(Outcome::Canceled, |running| running.id == event);
                Ok(())
            }
            Mail::Dismiss(event) => {
                let slot = self.slots().slot_of(event);
                slot.map_or(Ok(()), |slot| self.put_off(slot))
            }
            Mail::Cut => {
                self.cut = true;
                self.cancel(Outcome::Canceled, |_| true);
                Ok(())
            }
            Mail::Pull => follow(self.shared.with(|state, fx| state.pull(self.thread, clock::now(), fx))),
            Mail::Retire => {
                self.report(None)?;
                follow(self.shared.with(|state, _| state.may_leave(self.thread)))
            }
        };
        self.at = clock::now();
        step
    }

    /// Begins an event, unless its deadline has passed.
    fn begin(&mut self, job: Job<E::Event>) -> Step {
        let (now, id) = (self.at, job.id);
        let deadline = job.due(self.assignment.version.limits.wall_timeout);
        let (line, terms) = (Arc::clone(&job.line), job.terms());
        if self.cut {
            job.fail(Failure::new(Outcome::Canceled, "the pool was shut down"));
            self.ended.push(id);
            return Ok(());
        }
        if deadline <= now {
            job.fail(Failure::new(
                Outcome::ExceededWall,
                "the event's deadline passed while it waited for a worker",
            ));
            self.ended.push(id);
            return Ok(());
        }
        self.record(Series::QueueWait, job.accepted, now);
        self.linger.came(job.accepted);
        let Some((event, tally)) = job.start() else {
            self.ended.push(id);
            return Ok(());
        };
        // Inserted first, so that the event is in the table if `begin` panics.
        let running = Running {
            id,
            started: now,
            deadline,
            canceled: None,
            tally: Some(tally),
            line,
            terms,
        };
        self.trimmed = None;
        let slot = self.slots().insert(running);
        match slot {
            Ok(slot) => {
                self.stop_at(slot, deadline);
                self.worker.begin(slot, event);
            }
            // Dropping the tally counts the event.
            Err(_) => event.fail(Failure::new(Outcome::WorkerLost, "the worker was abandoned")),
        }
        // Deadlines of other events may have passed meanwhile, and mail may have arrived.
        let after = clock::now();
        self.at = after;
        self.assignment.attached.turned(after.saturating_duration_since(now));
        if after.saturating_duration_since(now) >= LONG_TURN && !self.worker.is_condemned() {
            return self.expire(after);
        }
        Ok(())
    }

    /// Sets the time at which the worker terminates code of this event.
    fn stop_at(&mut self, slot: SlotId, deadline: Instant) {
        self.worker
            .stop_at(slot, after(deadline, self.shared.settings.wall_grace));
    }

    fn turn(&mut self, turn: Turn) -> Step {
        match turn {
            // After the cut, the remaining work of answered events is canceled.
            Turn::Answered { slot } | Turn::Session { slot } if self.cut => {
                self.worker.cancel(slot, Outcome::Canceled);
                Ok(())
            }
            Turn::Streaming { slot } => {
                let deadline = after(clock::now(), self.assignment.version.limits.stream_timeout);
                if self.slots().streams(slot, deadline) {
                    self.stop_at(slot, deadline);
                }
                Ok(())
            }
            Turn::Session { slot } => self.stand(slot),
            Turn::Answered { slot } => self.put_off(slot),
            Turn::Ended { slot, outcome } => {
                let running = self.slots().remove(slot);
                let Some(running) = running else {
                    if self.slots().is_lost() {
                        return Err(Departure::Retired(RetireReason::Lost));
                    }
                    tracing::error!(?slot, %outcome, "a worker reported the end of an event that it does not have");
                    return Ok(());
                };
                let now = self.at;
                self.record(Series::Execution, running.started, now);
                if let Some(tally) = running.tally {
                    tally.finish(outcome);
                }
                self.adapt(now);
                if self.worker.is_condemned() {
                    // The slot is not reused, but given up with the worker.
                    return Ok(());
                }
                let heavy = self.weighs_too_much(now);
                self.ended.push(running.id);
                // While other events run, the next turn may end some of them too.
                if heavy {
                    return self.report(Some(RetireReason::Memory));
                }
                if !self.runs() {
                    self.idle_since = now;
                    return self.report(None);
                }
                Ok(())
            }
            Turn::Returned { slot, is_lost } => self.give_back(slot, is_lost),
            Turn::Condemned { outcome, reason } => Err(self.condemn(outcome, &reason)),
        }
    }

    /// Makes an event a standing one if it has a session, which frees its room.
    fn stand(&mut self, slot: SlotId) -> Step {
        let Some(event) = self.slots().id_of(slot) else {
            return Ok(());
        };
        let stood = self.shared.with(|state, fx| {
            let stands = state.event_stands(self.thread, event);
            stands.then(|| state.pull(self.thread, clock::now(), fx))
        });
        let Some(next) = stood else {
            return self.put_off(slot);
        };
        let deadline = after(clock::now(), Duration::MAX);
        if self.slots().streams(slot, deadline) {
            self.stop_at(slot, deadline);
        }
        follow(next)
    }

    /// Handles an answered event, whose `waitUntil` work has its own time limit.
    fn put_off(&mut self, slot: SlotId) -> Step {
        let deadline = after(clock::now(), self.assignment.version.limits.wait_until_timeout);
        if self.slots().put_off(slot, deadline) {
            self.stop_at(slot, deadline);
        }
        Ok(())
    }

    /// Handles an ended event, which may change the adaptive concurrency.
    fn adapt(&mut self, now: Instant) {
        let at_once = self.slots().len() + 1;
        if let Some(room) = self.pulse.as_mut().and_then(|pulse| pulse.ended(at_once, now)) {
            self.assignment.room.store(room, Ordering::Relaxed);
        }
    }

    /// Returns whether the worker exceeds the memory at which it is recycled, and reports its memory to the pool at intervals.
    fn weighs_too_much(&mut self, now: Instant) -> bool {
        let max = self.assignment.version.limits.memory_bytes_max;
        if max.is_none() && now < self.weighs_at {
            return false;
        }
        let bytes = self.worker.memory_bytes();
        if now >= self.weighs_at {
            self.assignment.memory.set(bytes);
            let budget = self.shared.settings.size.memory;
            let pause = if budget.is_some_and(|budget| budget.is_limit) {
                WEIGH
            } else {
                WEIGH_FOR_SHARE
            };
            self.weighs_at = after(now, pause);
        }
        max.is_some_and(|max| bytes > max)
    }

    /// Reports ended events to the pool, which may give more events, or end the worker.
    fn report(&mut self, tired: Option<RetireReason>) -> Step {
        if self.ended.is_empty() {
            return Ok(());
        }
        // The order in which the pool looks them up.
        self.ended.sort_unstable();
        let (thread, ended) = (self.thread, &self.ended);
        let next = self
            .shared
            .with(|state, fx| state.end(thread, ended, tired, self.at, fx));
        self.ended.clear();
        follow(next)
    }

    fn condemn(&mut self, outcome: Outcome, reason: &str) -> Departure {
        tracing::warn!(worker = self.assignment.worker.get(), %outcome, reason, "condemned a worker");
        self.worker.abandon(Failure::new(outcome, reason));
        let held = self.slots().drain();
        let tallies = held.into_iter().filter_map(|(_, running)| running.tally);
        tallies.for_each(|tally| tally.finish(outcome));
        Departure::Retired(RetireReason::Condemned)
    }

    /// Cancels the events selected by `which`, once. Their deadline becomes the end of the grace period.
    fn cancel(&mut self, outcome: Outcome, which: impl Fn(&Running) -> bool) {
        let grace_ends = after(clock::now(), self.shared.settings.cancel_grace);
        let canceled: Vec<SlotId> = self
            .slots()
            .iter_mut()
            .filter(|(_, running)| running.canceled.is_none() && which(running))
            .map(|(slot, running)| {
                running.canceled = Some(outcome);
                running.deadline = grace_ends;
                slot
            })
            .collect();
        // Not under the table's lock, because the script's code may run for long.
        for slot in canceled {
            self.stop_at(slot, grace_ends);
            self.worker.cancel(slot, outcome);
        }
    }

    fn has_attached(&self) -> bool {
        self.assignment.attached.len() > 0
    }

    /// Returns whether it has running events.
    fn runs(&self) -> bool {
        !self.slots().is_empty()
    }

    /// Locks the table. Hold it only briefly: the supervisor waits for it while it holds the pool's lock.
    fn slots(&self) -> MutexGuard<'a, Slots> {
        self.assignment.table.lock()
    }

    fn expire(&mut self, now: Instant) -> Step {
        let ignored = self
            .slots()
            .iter_mut()
            .any(|(_, running)| running.canceled.is_some() && running.deadline <= now);
        if ignored {
            return Err(self.condemn(Outcome::WorkerLost, "the worker did not end a canceled event in time"));
        }
        self.cancel(Outcome::ExceededWall, |running| running.deadline <= now);
        let old = self.age_ends().is_some_and(|ends| ends <= now);
        let idle = self.idle_ends().is_some_and(|ends| ends <= now);
        while let Some((trim, _)) = self.next_trim().filter(|(_, at)| *at <= now) {
            self.trimmed = Some(trim);
            self.worker.trim(trim);
            let _ = self.weighs_too_much(now);
        }
        if !old && !idle {
            return Ok(());
        }
        let reason = if old { RetireReason::Age } else { RetireReason::Idle };
        self.idle_since = now;
        self.aged |= old;
        follow(self.shared.with(|state, fx| state.tire(self.thread, reason, now, fx)))
    }

    fn record(&self, series: Series, since: Instant, now: Instant) {
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        recorder.record(series, now.saturating_duration_since(since), now);
    }
}

fn follow(next: Next) -> Step {
    match next {
        Next::Stay => Ok(()),
        Next::Leave(reason) => Err(Departure::Retired(reason)),
    }
}
