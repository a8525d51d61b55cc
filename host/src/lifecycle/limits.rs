//! Time limits of phases.

use std::time::Duration;

use crate::module::Phase;

/// Time limits of a module for each phase. Defaults: 30 s on startup, 10 s on shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseLimits {
    limits: [Duration; 9],
}

impl Default for PhaseLimits {
    fn default() -> Self {
        let (up, down) = (Duration::from_secs(30), Duration::from_secs(10));
        Phase::UP
            .into_iter()
            .fold(Self { limits: [down; 9] }, |limits, phase| limits.with(phase, up))
    }
}

impl PhaseLimits {
    /// Sets the limit of one phase. [`Phase::Run`] has no limit, so setting one has no effect.
    #[must_use]
    pub const fn with(mut self, phase: Phase, limit: Duration) -> Self {
        self.limits[phase as usize] = limit;
        self
    }

    /// Returns the time limit of this phase.
    #[must_use]
    pub const fn of(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Run => Duration::MAX,
            phase => self.limits[phase as usize],
        }
    }

    /// Returns the time limit of a running startup phase once the host has to stop: that of the drain.
    pub(crate) const fn after_stop(&self) -> Duration {
        self.limits[Phase::Drain as usize]
    }
}
