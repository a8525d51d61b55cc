//! Failures of modules.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::module::{BoxError, Phase};

/// A module's failure.
#[derive(Debug)]
#[non_exhaustive]
pub struct ModuleError {
    /// The module.
    pub module: Arc<str>,
    /// The phase.
    pub phase: Phase,
    /// The reason.
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

/// The reason why a module failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reason {
    /// Its own error.
    Error(BoxError),
    /// It panicked, with this message.
    Panicked(String),
    /// It exceeded this time limit.
    TimedOut(Duration),
    /// The host had to end, and stopped waiting for it.
    Cut,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Panicked(message) => write!(f, "it panicked: {message}"),
            Self::TimedOut(limit) => write!(
                f,
                "it took longer than {limit:?}; raise the phase's limit if that is expected"
            ),
            Self::Cut => f.write_str("it was cut because the host was stopping"),
        }
    }
}

/// Returns a panic's message.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
