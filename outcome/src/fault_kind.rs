//! Kinds of failures of events in a worker.

use serde::{Deserialize, Serialize};

use crate::Outcome;

/// The kind of an event's failure in a worker: every outcome except [`Outcome::Ok`] and [`Outcome::NotDeployed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FaultKind {
    /// The script threw, rejected, or broke the rules of its handler.
    Exception,
    /// The CPU limit was reached.
    ExceededCpu,
    /// The wall-clock limit was reached.
    ExceededWall,
    /// The memory limit was reached.
    ExceededMemory,
    /// The caller left, or a drain was cut short.
    Canceled,
    /// The event was refused because of overload.
    LoadShed,
    /// The script could not be started.
    BootFailed,
    /// The worker was lost while it held the event.
    WorkerLost,
}

impl From<FaultKind> for Outcome {
    fn from(kind: FaultKind) -> Self {
        match kind {
            FaultKind::Exception => Self::Exception,
            FaultKind::ExceededCpu => Self::ExceededCpu,
            FaultKind::ExceededWall => Self::ExceededWall,
            FaultKind::ExceededMemory => Self::ExceededMemory,
            FaultKind::Canceled => Self::Canceled,
            FaultKind::LoadShed => Self::LoadShed,
            FaultKind::BootFailed => Self::BootFailed,
            FaultKind::WorkerLost => Self::WorkerLost,
        }
    }
}

/// For ending an event from outside its worker. An outcome that is no failure in a worker becomes [`FaultKind::WorkerLost`];
/// no caller passes one.
impl From<Outcome> for FaultKind {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Exception => Self::Exception,
            Outcome::ExceededCpu => Self::ExceededCpu,
            Outcome::ExceededWall => Self::ExceededWall,
            Outcome::ExceededMemory => Self::ExceededMemory,
            Outcome::Canceled => Self::Canceled,
            Outcome::LoadShed => Self::LoadShed,
            Outcome::BootFailed => Self::BootFailed,
            Outcome::Ok | Outcome::WorkerLost | Outcome::NotDeployed => Self::WorkerLost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for outcome in Outcome::ALL {
            let back = Outcome::from(FaultKind::from(outcome));
            let expected = match outcome {
                Outcome::Ok | Outcome::NotDeployed => Outcome::WorkerLost,
                failure => failure,
            };
            assert_eq!(back, expected);
        }
    }
}
