//! What is decided under the lock and done after it: messages, answers to callers, news to observers.

use crate::engine::{Engine, Event};
use crate::job::{EventId, Job};
use crate::observe::PoolEvent;
use crate::outcome::Failure;
use crate::shutdown::ShutdownReport;
use crate::state::Assignment;

/// What a worker finds in its mailbox.
pub(crate) enum Mail<V: Event> {
    /// Begin this.
    Event(Job<V>),
    /// The caller of this event has gone.
    Cancel(EventId),
    /// There is something for you in the queue.
    Pull,
    /// You are retiring, and may hold nothing.
    Retire,
    /// Cancel everything you hold.
    Cut,
}

type Mailbox<E> = flume::Sender<Mail<<E as Engine>::Event>>;
type Answer = (flume::Sender<Result<(), Failure>>, Result<(), Failure>);

/// Filled under the lock, performed without it. Making one allocates nothing.
pub(crate) struct Effects<E: Engine> {
    /// The one event that a dispatch hands to a warm worker.
    event: Option<(Mailbox<E>, Job<E::Event>)>,
    mails: Vec<(Mailbox<E>, Mail<E::Event>)>,
    assignments: Vec<(flume::Sender<Assignment<E>>, Assignment<E>)>,
    failed: Vec<(Job<E::Event>, Failure)>,
    answers: Vec<Answer>,
    report: Option<(flume::Sender<ShutdownReport>, ShutdownReport)>,
    news: Vec<PoolEvent>,
    wake_supervisor: bool,
}

impl<E: Engine> Effects<E> {
    pub(crate) const fn new() -> Self {
        Self {
            event: None,
            mails: Vec::new(),
            assignments: Vec::new(),
            failed: Vec::new(),
            answers: Vec::new(),
            report: None,
            news: Vec::new(),
            wake_supervisor: false,
        }
    }

    pub(crate) fn hand_over(&mut self, to: &flume::Sender<Mail<E::Event>>, job: Job<E::Event>) {
        debug_assert!(self.event.is_none(), "one dispatch places one event");
        self.event = Some((to.clone(), job));
    }

    pub(crate) fn mail(&mut self, to: &flume::Sender<Mail<E::Event>>, mail: Mail<E::Event>) {
        self.mails.push((to.clone(), mail));
    }

    pub(crate) fn assign(&mut self, to: &flume::Sender<Assignment<E>>, assignment: Assignment<E>) {
        self.assignments.push((to.clone(), assignment));
    }

    pub(crate) fn fail(&mut self, job: Job<E::Event>, failure: Failure) {
        self.failed.push((job, failure));
    }

    pub(crate) fn answer(&mut self, to: flume::Sender<Result<(), Failure>>, result: Result<(), Failure>) {
        self.answers.push((to, result));
    }

    pub(crate) fn report(&mut self, to: flume::Sender<ShutdownReport>, report: ShutdownReport) {
        self.report = Some((to, report));
    }

    pub(crate) fn tell(&mut self, news: PoolEvent) {
        self.news.push(news);
    }

    pub(crate) const fn wake_supervisor(&mut self) {
        self.wake_supervisor = true;
    }

    /// Does it all. `wake` and `observe` are the two things an effect cannot do by itself.
    pub(crate) fn perform(self, wake: impl FnOnce(), observe: impl Fn(&PoolEvent)) {
        if let Some((to, job)) = self.event {
            post(&to, Mail::Event(job));
        }
        for (to, mail) in self.mails {
            post(&to, mail);
        }
        for (to, assignment) in self.assignments {
            if to.try_send(assignment).is_err() {
                tracing::error!("a worker was assigned to a thread that has one");
            }
        }
        for (job, failure) in self.failed {
            job.fail(failure);
        }
        for (to, result) in self.answers {
            // Whoever asked may have stopped waiting.
            let _ = to.try_send(result);
        }
        if let Some((to, report)) = self.report {
            let _ = to.try_send(report);
        }
        self.news.iter().for_each(observe);
        if self.wake_supervisor {
            wake();
        }
    }
}

/// A mailbox is as long as all that can be in it, and lives until its last sender is gone; a job that came back all the
/// same ends as `worker_lost` by being dropped.
fn post<V: Event>(to: &flume::Sender<Mail<V>>, mail: Mail<V>) {
    if let Err(error) = to.try_send(mail) {
        tracing::error!(%error, "a worker's mailbox did not take a message");
    }
}
