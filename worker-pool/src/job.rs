//! An accepted event that has not begun, and the guard that counts exactly one outcome of it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use isopod_outcome::{Failure, Outcome};

use crate::engine::{Event, SessionId};
use crate::line::Line;
use crate::options::{Meta, Priority};
use crate::stats::Counters;
use crate::time::after;

/// The number of an accepted event, unique in its pool and increasing in the order of acceptance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub(crate) u64);

impl EventId {
    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts one outcome of an accepted event: the reported one, or `worker_lost` if it is dropped without a report.
#[derive(Debug)]
pub(crate) struct Tally {
    script: Arc<Counters>,
    open: bool,
}

impl Tally {
    pub(crate) fn accept(script: Arc<Counters>) -> Self {
        script.accepted();
        Self { script, open: true }
    }

    pub(crate) fn finish(mut self, outcome: Outcome) {
        self.count(outcome);
    }

    fn count(&mut self, outcome: Outcome) {
        if std::mem::take(&mut self.open) {
            self.script.ended(outcome);
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.count(Outcome::WorkerLost);
    }
}

/// The terms on which an event was accepted and given to a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    accepted: Instant,
    deadline: Option<Instant>,
    priority: Priority,
    depth: u32,
    session: Option<SessionId>,
    given: Instant,
    /// Number of workers that were lost before they began it.
    pub(crate) losses: u32,
}

/// An accepted event that no worker has begun.
pub(crate) struct Job<V: Event> {
    pub(crate) id: EventId,
    pub(crate) accepted: Instant,
    /// The caller's deadline.
    pub(crate) deadline: Option<Instant>,
    pub(crate) priority: Priority,
    /// The number of calls between workers that lead to it.
    pub(crate) depth: u32,
    /// The session whose worker is to begin it.
    pub(crate) session: Option<SessionId>,
    pub(crate) line: Arc<Line>,
    /// Time at which the event was put into a worker's mailbox.
    pub(crate) given: Instant,
    losses: u32,
    /// The event and its guard; `None` once the event has been begun or failed.
    load: Option<(V, Tally)>,
}

impl<V: Event> Job<V> {
    pub(crate) fn new(
        id: EventId,
        session: Option<SessionId>,
        event: V,
        accepted: Instant,
        meta: Meta,
        tally: Tally,
    ) -> Self {
        Self {
            id,
            session,
            accepted,
            deadline: meta.deadline,
            priority: meta.priority,
            depth: meta.depth,
            line: Arc::default(),
            given: accepted,
            losses: 0,
            load: Some((event, tally)),
        }
    }

    /// Makes the job of an event again that its worker has not begun.
    pub(crate) fn again(id: EventId, terms: Terms, line: Arc<Line>, event: V, tally: Tally) -> Self {
        Self {
            id,
            session: terms.session,
            accepted: terms.accepted,
            deadline: terms.deadline,
            priority: terms.priority,
            depth: terms.depth,
            line,
            given: terms.given,
            losses: terms.losses,
            load: Some((event, tally)),
        }
    }

    /// Returns what is needed to make it again.
    pub(crate) const fn terms(&self) -> Terms {
        Terms {
            accepted: self.accepted,
            deadline: self.deadline,
            priority: self.priority,
            depth: self.depth,
            session: self.session,
            given: self.given,
            losses: self.losses,
        }
    }

    /// Returns the time until which the event may wait for a worker.
    pub(crate) fn expires(&self, wait_max: Duration) -> Instant {
        let shed_at = after(self.accepted, wait_max);
        self.deadline.map_or(shed_at, |deadline| deadline.min(shed_at))
    }

    /// Returns the time by which its worker should have answered: the wall-clock limit after the event was given to the
    /// worker, or the caller's deadline if that is earlier.
    pub(crate) fn due(&self, wall_timeout: Duration) -> Instant {
        let limit = after(self.given, wall_timeout);
        // Time in the queue does not count against the worker.
        self.deadline
            .map_or(limit, |deadline| deadline.max(self.given).min(limit))
    }

    /// Takes the event, for a worker to begin. `None` only after it was taken or failed.
    pub(crate) fn start(mut self) -> Option<(V, Tally)> {
        self.load.take()
    }

    /// Ends the event without a worker.
    pub(crate) fn fail(mut self, failure: Failure) {
        self.end(failure);
    }

    fn end(&mut self, failure: Failure) {
        if let Some((event, tally)) = self.load.take() {
            tally.finish(failure.outcome);
            // A panic of the engine must not end the supervisor.
            if catch_unwind(AssertUnwindSafe(|| event.fail(failure))).is_err() {
                tracing::error!(event = self.id.get(), "an event panicked while handling its failure");
            }
        }
    }
}

impl<V: Event> Drop for Job<V> {
    fn drop(&mut self) {
        self.end(Failure::new(
            Outcome::WorkerLost,
            "the event was lost before a worker began it",
        ));
    }
}
