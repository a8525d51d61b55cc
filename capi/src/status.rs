//! Statuses and errors of the interface's functions. `isopod.h` has the same list of statuses.

use std::ffi::CStr;
use std::io;

use isopod::{BuildError, DeployError, Failure, Outcome, ScriptError};

/// The result of a function of the interface.
///
/// 1 to 8 are outcomes of an event, in the order of [`Outcome::ALL`]; from 20 on, nothing was run.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Success.
    Ok = 0,
    /// The script threw.
    Exception = 1,
    /// The event exceeded its CPU limit.
    ExceededCpu = 2,
    /// The deadline passed.
    ExceededWall = 3,
    /// The script exceeded its memory limit.
    ExceededMemory = 4,
    /// The pool was shut down before the event finished.
    Canceled = 5,
    /// The queue is full, or the event waited in it for too long.
    LoadShed = 6,
    /// The script failed to start.
    BootFailed = 7,
    /// The worker was lost through no fault of the event.
    WorkerLost = 8,
    /// An argument is NULL, not UTF-8, not JSON of the right shape, or out of range.
    InvalidArgument = 20,
    /// The script is invalid.
    InvalidScript = 21,
    /// No script is deployed under the name.
    UnknownScript = 22,
    /// The pool was shut down.
    ShutDown = 23,
    /// Not possible in a callback of the same pool, which would wait for itself.
    FromCallback = 24,
    /// An error of the operating system.
    System = 25,
    /// A bug in the library.
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

/// The name of a status by its number; `unknown` if there is no such status.
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

/// An error of a function of the interface.
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
    // Without the outcome, which is the status.
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

    /// Returns whether the call was refused before the script ran.
    pub(crate) const fn is_rejection(&self) -> bool {
        match self {
            Self::Event(failure) => {
                matches!(
                    failure.outcome,
                    Outcome::LoadShed | Outcome::BootFailed | Outcome::NotDeployed
                )
            }
            _ => true,
        }
    }

    /// The message and its causes, on one line.
    pub(crate) fn message(&self) -> String {
        let mut text = self.to_string();
        let mut cause = match self {
            // A script's exception is already in the message.
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
            // Rejected events had a status of their own before `NotDeployed` was an outcome.
            if outcome == Outcome::NotDeployed {
                assert_eq!(status, Status::UnknownScript as i32);
                continue;
            }
            assert_eq!(status, i32::try_from(outcome.index()).unwrap());
            assert_eq!(name(status).to_str().unwrap(), outcome.as_str());
        }
    }
}
