//! The phases of a host, in their order.

use std::fmt;

pub use crate::supervise::BoxError;

/// Result of a phase.
pub type PhaseResult = Result<(), BoxError>;

/// A stage in the lifecycle of every module. All modules finish a phase before the first of them begins the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Creates the clients that others look up in the hub. Does not look up any itself.
    Build,
    /// Reads the configuration section and checks it.
    Configure,
    /// Migrates the database to the schema of this version.
    Migrate,
    /// Starts working: looks up clients, spawns tasks, binds listeners.
    Start,
    /// Accepts work from outside: every module has started.
    Ready,
    /// The host and the modules' tasks run, and no phase is called.
    Run,
    /// Finishes accepted work, and accepts no more. Undoes `Ready`.
    Drain,
    /// Stops working; the module's token has fired and its tasks have ended. Undoes `Start`.
    Stop,
    /// Releases resources. Undoes `Build`.
    Close,
}

impl Phase {
    /// Startup phases.
    pub const UP: [Self; 5] = [Self::Build, Self::Configure, Self::Migrate, Self::Start, Self::Ready];
    /// Shutdown phases.
    pub const DOWN: [Self; 3] = [Self::Drain, Self::Stop, Self::Close];

    /// Returns the phase that this one undoes, if any.
    #[must_use]
    pub const fn undoes(self) -> Option<Self> {
        match self {
            Self::Drain => Some(Self::Ready),
            Self::Stop => Some(Self::Start),
            Self::Close => Some(Self::Build),
            Self::Build | Self::Configure | Self::Migrate | Self::Start | Self::Ready | Self::Run => None,
        }
    }

    /// Returns the phase's name, as in logs and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Configure => "configure",
            Self::Migrate => "migrate",
            Self::Start => "start",
            Self::Ready => "ready",
            Self::Run => "run",
            Self::Drain => "drain",
            Self::Stop => "stop",
            Self::Close => "close",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
