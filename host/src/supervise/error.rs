//! Errors of supervised tasks.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use isopod_pool::{Failure, Outcome};

/// Any error that can be sent between threads.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// The reason why a task has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// It returned an error, or panicked.
    #[error("`{name}` crashed: {cause}")]
    Crashed {
        /// Its name.
        name: Arc<str>,
        /// Its error: [`Panicked`] if it panicked, [`Failure`] if a pool's worker failed.
        #[source]
        cause: BoxError,
    },
    /// It exceeded its time limit, and was dropped.
    #[error("`{name}` took longer than {after:?}")]
    TimedOut {
        /// Its name.
        name: Arc<str>,
        /// The time limit.
        after: Duration,
    },
    /// It was canceled by its caller, or because its supervisor or runtime shut down.
    #[error("`{name}` was canceled")]
    Canceled {
        /// Its name.
        name: Arc<str>,
    },
    /// It was not begun, because its breaker is open.
    #[error("`{name}` has failed too often; try again in {retry_after:?}")]
    Refused {
        /// Its name.
        name: Arc<str>,
        /// The time until the breaker admits a probe.
        retry_after: Duration,
    },
}

impl RunError {
    /// Returns the pool's failure, if it is the cause.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Crashed { cause, .. } => cause.downcast_ref(),
            _ => None,
        }
    }

    /// Classifies an error of a task. A pool's failures are mapped by their outcome.
    pub(super) fn of(name: &Arc<str>, cause: BoxError, ran: Duration) -> Self {
        let name = Arc::clone(name);
        match cause.downcast_ref::<Failure>().map(|failure| failure.outcome) {
            Some(Outcome::ExceededWall) => Self::TimedOut { name, after: ran },
            Some(Outcome::Canceled) => Self::Canceled { name },
            _ => Self::Crashed { name, cause },
        }
    }
}

/// The message of a panic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("panicked: {message}")]
pub struct Panicked {
    /// The message, or a note if the payload is not text.
    pub message: String,
}

impl Panicked {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        let message = match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => payload.downcast::<&'static str>().map_or_else(
                |_| "with a payload that is not text".to_owned(),
                |text| (*text).to_owned(),
            ),
        };
        Self { message }
    }
}

/// An error from spawning a task, which is returned.
#[non_exhaustive]
pub enum SpawnError<F> {
    /// The limit on live tasks is reached.
    Full {
        /// The task.
        task: F,
        /// Maximum number of live tasks.
        tasks_max: usize,
    },
    /// Its breaker is open.
    Refused {
        /// The task.
        task: F,
        /// The time until the breaker admits a probe.
        retry_after: Duration,
    },
    /// The supervisor is shut down.
    ShutDown {
        /// The task.
        task: F,
    },
}

impl<F> SpawnError<F> {
    /// The task.
    pub fn into_task(self) -> F {
        match self {
            Self::Full { task, .. } | Self::Refused { task, .. } | Self::ShutDown { task } => task,
        }
    }
}

impl<F> fmt::Display for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { tasks_max, .. } => write!(
                f,
                "the limit of {tasks_max} spawned tasks is reached; wait for some, or raise `tasks_max`"
            ),
            Self::Refused { retry_after, .. } => {
                write!(f, "the task has failed too often; try again in {retry_after:?}")
            }
            Self::ShutDown { .. } => f.write_str("the supervisor is shut down"),
        }
    }
}

impl<F> fmt::Debug for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<F> Error for SpawnError<F> {}

/// An error from a call by name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The arguments cannot be converted to JSON.
    #[error("cannot convert the arguments to JSON")]
    Arguments(#[source] serde_json::Error),
    /// The task failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The result has the wrong type.
    #[error("the result of `{unit}.{function}` does not have the expected type")]
    Returned {
        /// The unit of the function.
        unit: String,
        /// The function.
        function: String,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
}
