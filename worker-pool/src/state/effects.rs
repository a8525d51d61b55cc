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
    /// Begin this.
    Event(Job<V>),
    /// The caller of this event has gone.
    Cancel(EventId),
    /// The session that this event was to last for has ended.
    Dismiss(EventId),
    /// There is something for you in the queue.
    Pull,
    /// You are retiring, and may hold nothing.
    Retire,
    /// Cancel everything you hold.
    Cut,
}

type Answer = (Sender<Result<(), Failure>>, Result<(), Failure>);

/// A notice to the holders of a session.
enum Told {
    Stage(Arc<Notice>, Stage),
    Slot(Arc<Notice>),
}

impl<V: Event> Mail<V> {
    /// When the event, where it is one, should have been begun and ended.
    pub(crate) fn due(&self, wall_timeout: Duration) -> Option<Instant> {
        match self {
            Self::Event(job) => Some(job.due(wall_timeout)),
            _ => None,
        }
    }

    /// The event, where it is one.
    pub(crate) fn event(self) -> Option<Job<V>> {
        match self {
            Self::Event(job) => Some(job),
            _ => None,
        }
    }
}

/// Filled under the lock, performed without it. Making one allocates nothing.
pub(crate) struct Effects<E: Engine> {
    /// The worker that has got mail, of which a dispatch makes one.
    sleeper: Option<Waker>,
    sleepers: Vec<Waker>,
    assignments: Vec<(Sender<Assignment<E>>, Assignment<E>)>,
    failed: Vec<(Job<E::Event>, Failure)>,
    /// The events of sessions among them.
    failed_of_sessions: Vec<EventId>,
    notices: Vec<Told>,
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
            notices: Vec::new(),
            answers: Vec::new(),
            report: None,
            evicted: Vec::new(),
            news: Vec::new(),
            wake_supervisor: false,
        }
    }

    /// Posts at once, for the mailbox to be in step with the state, and leaves the waking for later.
    pub(crate) fn post(&mut self, to: &Mailbox<Mail<E::Event>>, mail: Mail<E::Event>) {
        match to.post(mail) {
            Ok(None) => {}
            Ok(Some(sleeper)) if self.sleeper.is_none() => self.sleeper = Some(sleeper),
            Ok(Some(sleeper)) => self.sleepers.push(sleeper),
            // A mailbox is as long as all that can be in it.
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

    /// The holders of a session are to let go of it.
    pub(super) fn session_closing(&mut self, notice: &Arc<Notice>, closing: Closing) {
        self.notices
            .push(Told::Stage(Arc::clone(notice), Stage::Closing(closing)));
    }

    /// A session is gone; those who wait for room in it need not.
    pub(super) fn session_gone(&mut self, notice: &Arc<Notice>, closing: Closing) {
        self.notices.push(Told::Stage(Arc::clone(notice), Stage::Gone(closing)));
        self.session_room(notice);
    }

    /// A session that was full has room.
    pub(super) fn session_room(&mut self, notice: &Arc<Notice>) {
        self.notices.push(Told::Slot(Arc::clone(notice)));
    }

    /// Ends an event whose deadline passed after it was given to a worker and before that began it.
    pub(crate) fn fail_overdue(&mut self, script: &Arc<str>, job: Job<E::Event>) {
        self.tell(PoolEvent::EventFailed {
            script: Arc::clone(script),
            outcome: Outcome::ExceededWall,
        });
        let message = "the event's deadline passed while it waited for its worker, which is busy with another";
        self.fail(job, Failure::new(Outcome::ExceededWall, message));
    }

    /// Ends an event that a worker has begun and will not end. At once, for its caller to hear of it before that worker can
    /// say anything; only the waking is left for later.
    pub(crate) fn give_up(&mut self, tally: Tally, line: &Line, failure: Failure) {
        tally.finish(failure.outcome);
        self.sleepers.extend(line.give_up(failure));
    }

    /// Returns whether it ends any event.
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

    /// Detaches a worker's tasks; it accepts no others.
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

    /// Does the rest. `wake` is what an effect cannot do by itself.
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
                Told::Stage(notice, stage) => notice.advance(stage),
                Told::Slot(notice) => notice.has_room(),
            }
        }
        self.evicted.iter().for_each(|attached| attached.evict());
        for (to, result) in self.answers {
            // Whoever asked may have stopped waiting.
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
