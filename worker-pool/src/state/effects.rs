//! Effects decided under the lock and carried out after it: wake-ups, answers to callers, events for observers.

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use isopod_outcome::{Failure, Outcome};

use crate::attached::AttachedTasks;
use crate::engine::{Engine, Event};
use crate::job::{EventId, Job, Tally};
use crate::line::Line;
use crate::mailbox::Mailbox;
use crate::observe::PoolEvent;
use crate::session::{Closing, Notice, Stage};
use crate::shutdown::ShutdownReport;
use crate::state::Assignment;
use crate::sync::channel::Sender;

/// Contents of a worker's mailbox.
pub(crate) enum Mail<V: Event> {
    /// Begins an event.
    Event(Job<V>),
    /// Cancels an event whose caller has left.
    Cancel(EventId),
    /// Ends a standing event whose session has ended.
    Dismiss(EventId),
    /// Takes events from the queue.
    Pull,
    /// Ends the worker, if it holds no events.
    Retire,
    /// Cancels all held events.
    Cut,
}

type Answer = (Sender<Result<(), Failure>>, Result<(), Failure>);

/// A notice to the holders of a session.
enum Notification {
    Stage(Arc<Notice>, Stage),
    Slot(Arc<Notice>),
}

impl<V: Event> Mail<V> {
    /// Returns the time by which the event should have ended, if it is one.
    pub(crate) fn due(&self, wall_timeout: Duration) -> Option<Instant> {
        match self {
            Self::Event(job) => Some(job.due(wall_timeout)),
            _ => None,
        }
    }

    /// Returns the event, if it is one.
    pub(crate) fn event(self) -> Option<Job<V>> {
        match self {
            Self::Event(job) => Some(job),
            _ => None,
        }
    }
}

/// Effects collected under the lock and performed after its release. Creating an empty set does not allocate.
pub(crate) struct Effects<E: Engine> {
    /// The first worker to be woken, and the only one for a dispatch.
    sleeper: Option<Waker>,
    sleepers: Vec<Waker>,
    assignments: Vec<(Sender<Assignment<E>>, Assignment<E>)>,
    failed: Vec<(Job<E::Event>, Failure)>,
    /// The failed events that belong to sessions.
    failed_of_sessions: Vec<EventId>,
    /// Sessions may have to be notified, because a worker began to retire or got another session.
    sessions_unnotified: bool,
    notices: Vec<Notification>,
    answers: Vec<Answer>,
    report: Option<(Sender<ShutdownReport>, ShutdownReport)>,
    /// Workers whose attached tasks are to be detached.
    evicted: Vec<Arc<AttachedTasks>>,
    news: Vec<PoolEvent>,
    wake_supervisor: bool,
}

impl<E: Engine> Effects<E> {
    pub(crate) const fn new() -> Self {
        Self {
            sleeper: None,
            sleepers: Vec::new(),
            assignments: Vec::new(),
            failed: Vec::new(),
            failed_of_sessions: Vec::new(),
            sessions_unnotified: false,
            notices: Vec::new(),
            answers: Vec::new(),
            report: None,
            evicted: Vec::new(),
            news: Vec::new(),
            wake_supervisor: false,
        }
    }

    /// Posts mail at once, so that the mailbox agrees with the state. The worker is woken after the lock is released.
    pub(crate) fn post(&mut self, to: &Mailbox<Mail<E::Event>>, mail: Mail<E::Event>) {
        match to.post(mail) {
            Ok(None) => {}
            Ok(Some(sleeper)) if self.sleeper.is_none() => self.sleeper = Some(sleeper),
            Ok(Some(sleeper)) => self.sleepers.push(sleeper),
            // Unreachable, because a mailbox has room for all possible mail.
            Err(mail) => {
                debug_assert!(false, "a worker's mailbox rejected a message");
                tracing::error!("a worker's mailbox rejected a message");
                if let Mail::Event(job) = mail {
                    self.fail(job, Failure::new(Outcome::WorkerLost, "the worker's mailbox was full"));
                }
            }
        }
    }

    pub(crate) fn assign(&mut self, to: &Sender<Assignment<E>>, assignment: Assignment<E>) {
        self.assignments.push((to.clone(), assignment));
    }

    pub(crate) fn fail(&mut self, job: Job<E::Event>, failure: Failure) {
        if job.session.is_some() {
            self.failed_of_sessions.push(job.id);
        }
        self.failed.push((job, failure));
    }

    /// Takes the events of sessions that were failed.
    pub(super) fn take_failed_of_sessions(&mut self) -> Vec<EventId> {
        std::mem::take(&mut self.failed_of_sessions)
    }

    /// Makes [`State::settle`](super::State::settle) check for sessions to notify, because a worker began to retire or got
    /// another session.
    pub(super) const fn sessions_must_be_told(&mut self) {
        self.sessions_unnotified = true;
    }

    /// Returns whether sessions may have to be notified, and resets that.
    pub(super) const fn take_sessions_unnotified(&mut self) -> bool {
        std::mem::replace(&mut self.sessions_unnotified, false)
    }

    /// Notifies the holders of a session that it must end.
    pub(super) fn session_closing(&mut self, notice: &Arc<Notice>, closing: Closing) {
        self.notices
            .push(Notification::Stage(Arc::clone(notice), Stage::Closing(closing)));
    }

    /// Notifies all holders of a session that it is gone.
    pub(super) fn session_gone(&mut self, notice: &Arc<Notice>, closing: Closing) {
        self.notices
            .push(Notification::Stage(Arc::clone(notice), Stage::Gone(closing)));
        self.session_room(notice);
    }

    /// Notifies the holders of a full session that it has room.
    pub(super) fn session_room(&mut self, notice: &Arc<Notice>) {
        self.notices.push(Notification::Slot(Arc::clone(notice)));
    }

    /// Ends an event whose deadline passed between being given to a worker and begun.
    pub(crate) fn fail_overdue(&mut self, script: &Arc<str>, job: Job<E::Event>) {
        self.tell(PoolEvent::EventFailed {
            script: Arc::clone(script),
            outcome: Outcome::ExceededWall,
        });
        let message = "the event's deadline passed while it waited for its worker, which is busy with another";
        self.fail(job, Failure::new(Outcome::ExceededWall, message));
    }

    /// Ends an event that its worker will not end. The answer is set at once, before that worker can give another; the
    /// caller is woken later.
    pub(crate) fn give_up(&mut self, tally: Tally, line: &Line, failure: Failure) {
        tally.finish(failure.outcome);
        self.sleepers.extend(line.give_up(failure));
    }

    /// Returns whether the effects end any event.
    #[cfg(all(test, not(feature = "shuttle")))]
    pub(crate) const fn fails(&self) -> bool {
        !self.failed.is_empty()
    }

    pub(crate) fn answer(&mut self, to: Sender<Result<(), Failure>>, result: Result<(), Failure>) {
        self.answers.push((to, result));
    }

    pub(crate) fn report(&mut self, to: Sender<ShutdownReport>, report: ShutdownReport) {
        self.report = Some((to, report));
    }

    pub(crate) fn tell(&mut self, news: PoolEvent) {
        self.news.push(news);
    }

    /// Detaches a worker's tasks, and makes it accept no others.
    pub(crate) fn evict(&mut self, attached: &Arc<AttachedTasks>) {
        self.evicted.push(Arc::clone(attached));
    }

    pub(crate) const fn wake_supervisor(&mut self) {
        self.wake_supervisor = true;
    }

    /// Returns whether there are events for observers.
    pub(crate) const fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Takes the events for observers, under the lock, so that they stay in the order of critical sections.
    pub(crate) fn take_news(&mut self) -> Vec<PoolEvent> {
        std::mem::take(&mut self.news)
    }

    /// Performs the effects. `wake` wakes the supervisor.
    pub(crate) fn perform(self, wake: impl FnOnce()) {
        self.sleeper.into_iter().chain(self.sleepers).for_each(Waker::wake);
        for (to, assignment) in self.assignments {
            if to.try_send(assignment).is_err() {
                tracing::error!("a worker was assigned to a thread that already has one");
            }
        }
        for (job, failure) in self.failed {
            job.fail(failure);
        }
        for told in self.notices {
            match told {
                Notification::Stage(notice, stage) => notice.advance(stage),
                Notification::Slot(notice) => notice.has_room(),
            }
        }
        self.evicted.iter().for_each(|attached| attached.evict());
        for (to, result) in self.answers {
            // The caller may have stopped waiting.
            let _ = to.try_send(result);
        }
        if let Some((to, report)) = self.report {
            let _ = to.try_send(report);
        }
        if self.wake_supervisor {
            wake();
        }
    }
}
