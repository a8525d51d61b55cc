//! An accepted event on its way, and the guard that makes it end in exactly one outcome.

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

/// The number of an accepted event, unique in its pool and rising in the order of acceptance.
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

/// Counts one outcome for one accepted event: the one it is given, or `worker_lost` where it is dropped without.
#[derive(Debug)]
pub(crate) struct Tally {
    script: Arc<Counters>,
    pool: Arc<Counters>,
    open: bool,
}

impl Tally {
    pub(crate) fn accept(script: Arc<Counters>, pool: Arc<Counters>) -> Self {
        script.accepted();
        pool.accepted();
        Self {
            script,
            pool,
            open: true,
        }
    }

    pub(crate) fn finish(mut self, outcome: Outcome) {
        self.count(outcome);
    }

    fn count(&mut self, outcome: Outcome) {
        if std::mem::take(&mut self.open) {
            self.script.ended(outcome);
            self.pool.ended(outcome);
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.count(Outcome::WorkerLost);
    }
}

/// An accepted event that no worker has begun.
pub(crate) struct Job<V: Event> {
    pub(crate) id: EventId,
    pub(crate) accepted: Instant,
    /// When its caller stops waiting.
    pub(crate) deadline: Option<Instant>,
    pub(crate) priority: Priority,
    /// The number of calls between workers that lead to it.
    pub(crate) depth: u32,
    /// The session whose worker is to begin it.
    pub(crate) session: Option<SessionId>,
    pub(crate) line: Arc<Line>,
    /// When it was put into a worker's mailbox.
    pub(crate) given: Instant,
    /// The event and its guard; empty once it has been begun or failed.
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
            load: Some((event, tally)),
        }
    }

    /// When it has waited long enough for a worker.
    pub(crate) fn expires(&self, wait_max: Duration) -> Instant {
        let shed_at = after(self.accepted, wait_max);
        self.deadline.map_or(shed_at, |deadline| deadline.min(shed_at))
    }

    /// When its worker should have begun and answered it: as long after it was given to that worker as an event may take, and
    /// no later than its caller waits.
    pub(crate) fn due(&self, wall_timeout: Duration) -> Instant {
        let limit = after(self.given, wall_timeout);
        // Until it was given to a worker, its deadline was none of that worker's.
        self.deadline
            .map_or(limit, |deadline| deadline.max(self.given).min(limit))
    }

    /// Takes the event out, for a worker to begin. `None` never happens to a job that is still somewhere.
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
            // The engine's code: it must not take the supervisor down.
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
