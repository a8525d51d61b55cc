//! The phases of a host, in the order in which they come.

use std::fmt;

/// Any error: what a module's phases may fail with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Result of a phase.
pub type PhaseResult = Result<(), BoxError>;

/// A stage in the life of every module. All modules finish one before the first of them begins the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Make what others may look up in the hub; look nothing up yet.
    Build,
    /// Read the configuration section and check it.
    Configure,
    /// Bring the database to the shape this version wants.
    Migrate,
    /// Begin to work: look clients up, spawn tasks, bind listeners.
    Start,
    /// Everybody has started: let work in from outside.
    Ready,
    /// The host runs: the modules' tasks do, and no phase is called.
    Run,
    /// Let no more work in, and finish what is there. Undoes `Ready`.
    Drain,
    /// End; the module's token has fired and its tasks have ended. Undoes `Start`.
    Stop,
    /// Let go of what was made. Undoes `Build`.
    Close,
}

impl Phase {
    /// Startup phases.
    pub const UP: [Self; 5] = [Self::Build, Self::Configure, Self::Migrate, Self::Start, Self::Ready];
    /// Shutdown phases.
    pub const DOWN: [Self; 3] = [Self::Drain, Self::Stop, Self::Close];

    /// Which phase this one undoes, if any.
    #[must_use]
    pub const fn undoes(self) -> Option<Self> {
        match self {
            Self::Drain => Some(Self::Ready),
            Self::Stop => Some(Self::Start),
            Self::Close => Some(Self::Build),
            Self::Build | Self::Configure | Self::Migrate | Self::Start | Self::Ready | Self::Run => None,
        }
    }

    /// The phase's name as in logs and reports.
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
