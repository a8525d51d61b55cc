//! What can go wrong with a host.

use std::fmt;
use std::sync::Arc;

use super::failure::ModuleError;
use super::report::Report;

/// Why a host did not run, or did not end well.
#[derive(Debug)]
#[non_exhaustive]
pub enum HostError {
    /// A module failed. What had started was stopped.
    Module {
        /// The first failure: which module, in which phase, why.
        failure: Arc<ModuleError>,
        /// How each module went.
        report: Box<Report>,
    },
    /// The host was stopped before every module was ready.
    Stopped {
        /// How each module went, and what stopped the host.
        report: Box<Report>,
    },
    /// The operating system gave no thread for the host.
    Thread(std::io::Error),
    /// The host's thread ended without a word.
    Lost,
}

impl HostError {
    /// How each module went, where any of them began.
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
            Self::Thread(error) => write!(f, "no thread for the host: {error}; is there a limit on threads?"),
            Self::Lost => f.write_str("the host's thread panicked: this is a bug of the host's"),
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
