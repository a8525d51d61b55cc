//! An event that is handed back, and why.

use std::time::Duration;

use isopod_outcome::{Failure, Outcome};

/// Why an event was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// Nothing is deployed under this name.
    #[error("no script is deployed as {name:?}; deploy one first")]
    UnknownScript {
        /// The name asked for.
        name: String,
    },
    /// What is deployed under this name does not take events of this kind.
    #[error(
        "what is deployed as {name:?} does not take this kind of event; native tasks and scripts need names of their own"
    )]
    Unsuited {
        /// The name asked for.
        name: String,
    },
    /// Every worker is full and so is the queue, or all that may wait in the pool does.
    #[error("the queue of {name:?} is full; try again in {retry_after:?}, or allow more workers or a longer queue")]
    QueueFull {
        /// The script.
        name: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// What waits does so for too long, and one more would only make that longer.
    #[error(
        "{name:?} is overloaded: what waits is not served in time; try again in {retry_after:?}, or allow more workers"
    )]
    Overloaded {
        /// The script.
        name: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// There is no room for the script, because it has as much of the pool as it may have beside others.
    #[error(
        "{name:?} uses all of its share of the pool; try again in {retry_after:?}, or give it more weight or workers"
    )]
    ShareExhausted {
        /// The script.
        name: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// All workers together hold as much memory as they may, and none of them is idle.
    #[error(
        "the pool's workers hold all the memory they may; try again in {retry_after:?}, or raise `memory_bytes_max`"
    )]
    MemoryFull {
        /// When to try again.
        retry_after: Duration,
    },
    /// The script fails to boot again and again, and is not tried for a while.
    #[error("{name:?} cannot boot: {}; it is tried again in {retry_after:?}", failure.message)]
    BootBroken {
        /// The script.
        name: String,
        /// When to try again.
        retry_after: Duration,
        /// How the last boot failed.
        failure: Box<Failure>,
    },
    /// The event's deadline has passed already.
    #[error("the event's deadline had passed when it was dispatched")]
    DeadlinePassed,
    /// The pool finishes what it holds and accepts nothing.
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

    /// The outcome that says the same.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::UnknownScript { .. } | Self::Unsuited { .. } => Outcome::NotDeployed,
            Self::QueueFull { .. }
            | Self::Overloaded { .. }
            | Self::ShareExhausted { .. }
            | Self::MemoryFull { .. }
            | Self::ShuttingDown => Outcome::LoadShed,
            Self::BootBroken { .. } => Outcome::BootFailed,
            Self::DeadlinePassed => Outcome::ExceededWall,
        }
    }

    /// When to try again, where that helps.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::QueueFull { retry_after, .. }
            | Self::Overloaded { retry_after, .. }
            | Self::ShareExhausted { retry_after, .. }
            | Self::MemoryFull { retry_after }
            | Self::BootBroken { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}

impl From<RejectReason> for Failure {
    fn from(reason: RejectReason) -> Self {
        let failure = Self {
            retry_after: reason.retry_after(),
            own_share: matches!(reason, RejectReason::ShareExhausted { .. }),
            ..Self::new(reason.outcome(), reason.to_string())
        };
        match reason {
            RejectReason::BootBroken { failure: last, .. } => {
                let Self { detail, source, .. } = *last;
                Self {
                    detail,
                    source,
                    ..failure
                }
            }
            _ => failure,
        }
    }
}

/// An event handed back.
#[derive(thiserror::Error)]
#[error("{reason}")]
pub struct Rejected<V> {
    /// The event, untouched.
    pub event: V,
    /// Why.
    pub reason: RejectReason,
}

impl<V> std::fmt::Debug for Rejected<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rejected")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}
