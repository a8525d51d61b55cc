//! Errors of a host.

use std::fmt;
use std::sync::Arc;

use super::failure::ModuleError;
use super::report::Report;

/// An error from running a host.
#[derive(Debug)]
#[non_exhaustive]
pub enum HostError {
    /// A module failed. What had started was stopped.
    Module {
        /// The first failure: its module, phase and reason.
        failure: Arc<ModuleError>,
        /// Report of all modules.
        report: Box<Report>,
    },
    /// The host was stopped before every module was ready.
    Stopped {
        /// Report of all modules, with the cause of the stop.
        report: Box<Report>,
    },
    /// The host's thread cannot be spawned.
    Thread(std::io::Error),
    /// The host's thread ended without a result.
    Lost,
}

impl HostError {
    /// Returns the report of all modules, if any was started.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Module { report, .. } | Self::Stopped { report } => Some(report),
            Self::Thread(_) | Self::Lost => None,
        }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module { failure, .. } => failure.fmt(f),
            Self::Stopped { report } => write!(f, "the host was stopped before it was ready: {}", report.cause),
            Self::Thread(error) => write!(
                f,
                "cannot start the host's thread: {error}; is there a limit on threads?"
            ),
            Self::Lost => f.write_str("the host's thread panicked: this is a bug in the host"),
        }
    }
}

impl std::error::Error for HostError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // The failure itself is what is displayed.
            Self::Module { failure, .. } => failure.source(),
            Self::Thread(error) => Some(error),
            Self::Stopped { .. } | Self::Lost => None,
        }
    }
}
