//! What a function returns: one number for how it went. `isopod.h` has the same list.

use std::ffi::CStr;
use std::io;

use isopod::{BuildError, DeployError, Failure, Outcome, ScriptError};

/// How a call of the interface went.
///
/// 1 to 8 are how an event ended, in the order of [`Outcome::ALL`]; from 20 on nothing was run.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It went well.
    Ok = 0,
    /// The script threw.
    Exception = 1,
    /// The event used more CPU time than it may.
    ExceededCpu = 2,
    /// The time was up.
    ExceededWall = 3,
    /// The script held more memory than it may.
    ExceededMemory = 4,
    /// The pool was shut down before the event was finished.
    Canceled = 5,
    /// The queue is full, or the event waited in it for too long.
    LoadShed = 6,
    /// The script cannot be started.
    BootFailed = 7,
    /// The worker went away through no fault of the event.
    WorkerLost = 8,
    /// An argument is NULL, no UTF-8, no JSON of the right shape, or out of range.
    InvalidArgument = 20,
    /// The script cannot be made of what was given.
    InvalidScript = 21,
    /// Nothing is deployed under the name.
    UnknownScript = 22,
    /// The pool was shut down.
    ShutDown = 23,
    /// It cannot be done from a callback of the same pool: it would wait for itself.
    FromCallback = 24,
    /// The operating system refused something.
    System = 25,
    /// A fault of the library's own.
    Internal = 26,
}

impl From<Outcome> for Status {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Ok => Self::Ok,
            Outcome::Exception => Self::Exception,
            Outcome::ExceededCpu => Self::ExceededCpu,
            Outcome::ExceededWall => Self::ExceededWall,
            Outcome::ExceededMemory => Self::ExceededMemory,
            Outcome::Canceled => Self::Canceled,
            Outcome::LoadShed => Self::LoadShed,
            Outcome::BootFailed => Self::BootFailed,
            Outcome::WorkerLost => Self::WorkerLost,
            Outcome::NotDeployed => Self::UnknownScript,
        }
    }
}

/// The name of a status by its number; `unknown` for a number that is none.
pub(crate) const fn name(status: i32) -> &'static CStr {
    match status {
        0 => c"ok",
        1 => c"exception",
        2 => c"exceeded_cpu",
        3 => c"exceeded_wall",
        4 => c"exceeded_memory",
        5 => c"canceled",
        6 => c"load_shed",
        7 => c"boot_failed",
        8 => c"worker_lost",
        20 => c"invalid_argument",
        21 => c"invalid_script",
        22 => c"unknown_script",
        23 => c"shut_down",
        24 => c"from_callback",
        25 => c"system",
        26 => c"internal",
        _ => c"unknown",
    }
}

/// Why a function of the interface failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("`{0}` must not be NULL")]
    Null(&'static str),
    #[error("`{argument}` is not UTF-8 from byte {at} on")]
    NotUtf8 { argument: &'static str, at: usize },
    #[error("`{argument}` is invalid: {source}")]
    Json {
        argument: &'static str,
        source: serde_json::Error,
    },
    #[error("`{argument}` is invalid: {message}")]
    Unfit { argument: &'static str, message: String },
    #[error("`size` of the options is {0}; initialize with ISOPOD_POOL_OPTIONS_INIT")]
    OptionsSize(usize),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Script(#[from] ScriptError),
    #[error(transparent)]
    Deploy(#[from] DeployError),
    #[error("no script is deployed as {0:?}; deploy one first")]
    UnknownScript(String),
    #[error("the pool was shut down; create another")]
    ShutDown,
    #[error("a callback cannot shut down or free its own pool: it would wait for itself; do it on another thread")]
    FromCallback,
    #[error("the limit of {waiting} calls waiting for callbacks is reached; raise `callbacks_waiting_max`")]
    CallbacksFull { waiting: usize },
    #[error("`{name}` was not ready in time; its start continues")]
    NotReady { name: String },
    #[error("cannot start the thread for callbacks")]
    Thread(#[source] io::Error),
    #[error("logging is already set up; it can be set once per process")]
    LogTaken,
    // Its text is the failure's message: which outcome it was, the status says.
    #[error("{}", .0.message)]
    Event(Failure),
    #[error("the library panicked: {0}; this is a bug")]
    Panicked(String),
}

impl Error {
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Null(_) | Self::NotUtf8 { .. } | Self::Json { .. } | Self::Unfit { .. } | Self::OptionsSize(_) => {
                Status::InvalidArgument
            }
            Self::Build(BuildError::Supervisor(_)) | Self::Thread(_) => Status::System,
            Self::Build(_) | Self::LogTaken => Status::InvalidArgument,
            Self::Script(_) => Status::InvalidScript,
            Self::Deploy(_) | Self::ShutDown => Status::ShutDown,
            Self::UnknownScript(_) => Status::UnknownScript,
            Self::FromCallback => Status::FromCallback,
            Self::CallbacksFull { .. } => Status::LoadShed,
            Self::NotReady { .. } => Status::ExceededWall,
            Self::Event(failure) => failure.outcome.into(),
            Self::Panicked(_) => Status::Internal,
        }
    }

    /// The message with its causes, on one line.
    pub(crate) fn message(&self) -> String {
        let mut text = self.to_string();
        let mut cause = match self {
            // What a script threw is in the message already.
            Self::Event(_) => None,
            error => std::error::Error::source(error),
        };
        while let Some(error) = cause {
            let told = error.to_string();
            if !text.contains(&told) {
                text = format!("{text}: {told}");
            }
            cause = error.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_has_the_same_number_and_name_here_as_in_the_pool() {
        for outcome in Outcome::ALL {
            let status = Status::from(outcome) as i32;
            // It was refused, and had its number before it was an outcome.
            if outcome == Outcome::NotDeployed {
                assert_eq!(status, Status::UnknownScript as i32);
                continue;
            }
            assert_eq!(status, i32::try_from(outcome.index()).unwrap());
            assert_eq!(name(status).to_str().unwrap(), outcome.as_str());
        }
    }
}
