//! Refused events.

use std::time::Duration;

use isopod_outcome::{Failure, Outcome};

use crate::observe::RetireReason;

/// The reason why an event was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// Nothing is deployed under this name.
    #[error("no script is deployed as {name:?}; deploy one first")]
    UnknownScript {
        /// The requested name.
        name: String,
    },
    /// The deployment of this name does not take events of this kind.
    #[error("{name:?} does not take this kind of event; native tasks and scripts need separate names")]
    Unsuited {
        /// The requested name.
        name: String,
    },
    /// All workers and the queue are full, or the pool's queue limit is reached.
    #[error("the queue of {name:?} is full; try again in {retry_after:?}, or allow more workers or a longer queue")]
    QueueFull {
        /// The script.
        name: String,
        /// Time to wait before retrying.
        retry_after: Duration,
    },
    /// The queue is standing, and another event would wait too long.
    #[error("{name:?} is overloaded: its queue does not drain; try again in {retry_after:?}, or allow more workers")]
    Overloaded {
        /// The script.
        name: String,
        /// Time to wait before retrying.
        retry_after: Duration,
    },
    /// The script has used up its share of the pool.
    #[error(
        "{name:?} has used up its share of the pool; try again in {retry_after:?}, or give it more weight or workers"
    )]
    ShareExhausted {
        /// The script.
        name: String,
        /// Time to wait before retrying.
        retry_after: Duration,
    },
    /// All workers together have reached the memory limit, and none is idle.
    #[error(
        "the pool's workers have reached their memory limit; try again in {retry_after:?}, or raise `memory_bytes_max`"
    )]
    MemoryFull {
        /// Time to wait before retrying.
        retry_after: Duration,
    },
    /// The caller occupies a worker of the same pool ([`Meta::depth`](field@crate::Meta::depth)), and no thread is available
    /// for a worker of the script, extra threads for nested events included.
    #[error(
        "no thread is left for a worker of {name:?}, which a busy worker of the same pool calls; try again in \
         {retry_after:?}, or raise `threads` or `workers_max`"
    )]
    ThreadsOccupied {
        /// The script.
        name: String,
        /// Time to wait before retrying.
        retry_after: Duration,
    },
    /// The script keeps failing to boot, and its breaker is open.
    #[error("{name:?} cannot boot: {}; the next attempt is in {retry_after:?}", failure.message)]
    BootBroken {
        /// The script.
        name: String,
        /// Time to wait before retrying.
        retry_after: Duration,
        /// Failure of the last boot.
        failure: Box<Failure>,
    },
    /// The event is nested too deeply in calls between workers.
    #[error(
        "{depth} calls between workers lead to this one, and {max} may; look for workers that call each other in a \
         cycle, or raise `depth_max`"
    )]
    TooDeep {
        /// The number of calls, this one included.
        depth: u32,
        /// The limit.
        max: u32,
    },
    /// The script, or each of its possible workers, has its maximum number of sessions.
    #[error("{name:?} has its maximum of {max} sessions; try again in {retry_after:?}, or allow more (`sessions`)")]
    SessionsFull {
        /// The script.
        name: String,
        /// The limit: [`SessionLimits::max`](crate::SessionLimits::max) or
        /// [`SessionLimits::per_worker`](crate::SessionLimits::per_worker).
        max: usize,
        /// Time to wait before retrying.
        retry_after: Duration,
    },
    /// The session, or its worker's sessions together, have the maximum number of open events.
    #[error(
        "a session of {name:?} has no room for another event (at most {max} at a time); wait until one of them has ended"
    )]
    SessionFull {
        /// The script.
        name: String,
        /// The limit: [`SessionLimits::events`](crate::SessionLimits::events) or
        /// [`SessionLimits::events_per_worker`](crate::SessionLimits::events_per_worker).
        max: usize,
    },
    /// The session's worker is gone.
    #[error("the session's worker of {name:?} is gone ({reason}); open another session")]
    SessionGone {
        /// The script.
        name: String,
        /// The reason.
        reason: RetireReason,
    },
    /// The event's deadline has already passed.
    #[error("the event's deadline had already passed")]
    DeadlinePassed,
    /// The pool is shutting down.
    #[error("the pool is shutting down")]
    ShuttingDown,
}

impl RejectReason {
    pub(crate) fn no_room(name: &str, stands: bool, at_fair_share: bool, retry_after: Duration) -> Self {
        let name = name.to_owned();
        match (at_fair_share, stands) {
            (true, _) => Self::ShareExhausted { name, retry_after },
            (false, true) => Self::Overloaded { name, retry_after },
            (false, false) => Self::QueueFull { name, retry_after },
        }
    }

    /// Returns the corresponding outcome.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::UnknownScript { .. } | Self::Unsuited { .. } => Outcome::NotDeployed,
            Self::QueueFull { .. }
            | Self::Overloaded { .. }
            | Self::ShareExhausted { .. }
            | Self::MemoryFull { .. }
            | Self::SessionsFull { .. }
            | Self::SessionFull { .. }
            | Self::ThreadsOccupied { .. }
            | Self::ShuttingDown => Outcome::LoadShed,
            Self::SessionGone { .. } => Outcome::WorkerLost,
            Self::BootBroken { .. } => Outcome::BootFailed,
            Self::DeadlinePassed => Outcome::ExceededWall,
            Self::TooDeep { .. } => Outcome::Exception,
        }
    }

    /// Returns the time to wait before retrying, if a retry can help.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::QueueFull { retry_after, .. }
            | Self::Overloaded { retry_after, .. }
            | Self::ShareExhausted { retry_after, .. }
            | Self::MemoryFull { retry_after }
            | Self::SessionsFull { retry_after, .. }
            | Self::ThreadsOccupied { retry_after, .. }
            | Self::BootBroken { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}

impl From<RejectReason> for Failure {
    fn from(reason: RejectReason) -> Self {
        let mut failure = Self::new(reason.outcome(), reason.to_string());
        failure.retry_after = reason.retry_after();
        failure.own_share = matches!(reason, RejectReason::ShareExhausted { .. });
        if let RejectReason::BootBroken { failure: last, .. } = reason {
            failure.detail = last.detail;
            failure.source = last.source;
        }
        failure
    }
}

/// A refused event.
#[derive(thiserror::Error)]
#[error("{reason}")]
pub struct Rejected<V> {
    /// The event, unchanged.
    pub event: V,
    /// The reason.
    pub reason: RejectReason,
}

impl<V> std::fmt::Debug for Rejected<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rejected")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}
