//! What can go wrong with a host.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::report::Report;
use crate::module::{BoxError, Phase};

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

/// A module's failure.
#[derive(Debug)]
pub struct ModuleError {
    /// Which module.
    pub module: Arc<str>,
    /// In which phase.
    pub phase: Phase,
    /// Why.
    pub reason: Reason,
}

impl fmt::Display for ModuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "module `{}` failed in phase `{}`: {}",
            self.module, self.phase, self.reason
        )
    }
}

impl std::error::Error for ModuleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.reason {
            Reason::Error(error) => Some(&**error),
            Reason::Panicked(_) | Reason::TimedOut(_) | Reason::Cut => None,
        }
    }
}

/// Why a module failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// Its own error.
    Error(BoxError),
    /// It panicked, with this message.
    Panicked(String),
    /// It took longer than this.
    TimedOut(Duration),
    /// The host was to end, and would not wait for it any longer.
    Cut,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Panicked(message) => write!(f, "it panicked: {message}"),
            Self::TimedOut(limit) => write!(f, "it took longer than {limit:?}; raise the phase's limit if it may"),
            Self::Cut => f.write_str("it was cut off, because the host had to end"),
        }
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
