//! Outcomes of events.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The outcome of an event. Every accepted event has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The handler finished.
    Ok,
    /// User code threw, or its promise was rejected.
    Exception,
    /// The event exceeded its CPU time limit.
    ExceededCpu,
    /// The event's wall deadline passed, in the queue or while it ran.
    ExceededWall,
    /// The isolate exceeded its memory limit.
    ExceededMemory,
    /// The caller disconnected, or the pool was shut down before the event finished.
    Canceled,
    /// The event waited too long in a queue, or there was no room.
    LoadShed,
    /// No worker could boot for the event.
    BootFailed,
    /// The worker ended with the event unfinished, through no fault of the event.
    WorkerLost,
    /// No deployment under this name takes such events. The event was not accepted, so this is never counted.
    NotDeployed,
}

impl Outcome {
    /// All outcomes, in the order of [`Outcome::index`].
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::Exception,
        Self::ExceededCpu,
        Self::ExceededWall,
        Self::ExceededMemory,
        Self::Canceled,
        Self::LoadShed,
        Self::BootFailed,
        Self::WorkerLost,
        Self::NotDeployed,
    ];

    /// Returns the outcome's index in [`Outcome::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns the name used in logs, headers and statistics, such as `exceeded_cpu`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Exception => "exception",
            Self::ExceededCpu => "exceeded_cpu",
            Self::ExceededWall => "exceeded_wall",
            Self::ExceededMemory => "exceeded_memory",
            Self::Canceled => "canceled",
            Self::LoadShed => "load_shed",
            Self::BootFailed => "boot_failed",
            Self::WorkerLost => "worker_lost",
            Self::NotDeployed => "not_deployed",
        }
    }

    /// Returns whether a repeated event may succeed, because it did not cause its failure.
    ///
    /// Repeating it may be unsafe: an event that ended as `worker_lost` may have had effects.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::LoadShed | Self::BootFailed | Self::WorkerLost)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome;

    #[test]
    fn an_outcome_has_one_name_in_text_and_in_json_and_its_index_finds_it() {
        for outcome in Outcome::ALL {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.to_string());
            assert_eq!(Outcome::ALL[outcome.index()], outcome);
        }
    }
}
