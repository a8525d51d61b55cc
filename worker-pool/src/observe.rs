//! Events for a pool's observer: the lifecycle of workers and threads.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use isopod_outcome::{Failure, Outcome};
use serde::Serialize;

use crate::engine::WorkerId;

/// Reason for the end of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RetireReason {
    /// It reached its maximum number of events.
    Events,
    /// It reached its maximum age.
    Age,
    /// It exceeded the memory at which it is recycled.
    Memory,
    /// It was idle for too long.
    Idle,
    /// A new version of its script was deployed.
    Replaced,
    /// Its script was undeployed.
    Undeployed,
    /// Its policy gives each event a fresh worker.
    Policy,
    /// Another script needed the thread.
    Displaced,
    /// Its engine condemned it, or it did not end a canceled event in time.
    Condemned,
    /// The pool is shutting down.
    Shutdown,
    /// Its thread panicked or is lost.
    Lost,
    /// It was idle, and the pool's workers were near their memory limit.
    Pressure,
}

impl RetireReason {
    /// All reasons, in declaration order.
    pub const ALL: [Self; 12] = [
        Self::Events,
        Self::Age,
        Self::Memory,
        Self::Idle,
        Self::Replaced,
        Self::Undeployed,
        Self::Policy,
        Self::Displaced,
        Self::Condemned,
        Self::Shutdown,
        Self::Lost,
        Self::Pressure,
    ];

    /// The name used in logs and statistics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Age => "age",
            Self::Memory => "memory",
            Self::Idle => "idle",
            Self::Replaced => "replaced",
            Self::Undeployed => "undeployed",
            Self::Policy => "policy",
            Self::Displaced => "displaced",
            Self::Condemned => "condemned",
            Self::Shutdown => "shutdown",
            Self::Lost => "lost",
            Self::Pressure => "pressure",
        }
    }
}

impl fmt::Display for RetireReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A lifecycle event of a worker, a thread or the pool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PoolEvent {
    /// A worker started to boot.
    WorkerStarted {
        /// The worker.
        worker: WorkerId,
        /// Its script.
        script: Arc<str>,
        /// The script's version.
        version: u64,
    },
    /// A worker is ready for events.
    WorkerReady {
        /// The worker.
        worker: WorkerId,
        /// Its script.
        script: Arc<str>,
    },
    /// A worker was dropped.
    WorkerRetired {
        /// The worker.
        worker: WorkerId,
        /// Its script.
        script: Arc<str>,
        /// The reason.
        reason: RetireReason,
    },
    /// A worker failed to boot.
    BootFailed {
        /// The worker.
        worker: WorkerId,
        /// Its script.
        script: Arc<str>,
        /// The reason.
        failure: Failure,
    },
    /// An accepted event was ended by the pool instead of a worker.
    EventFailed {
        /// Its script.
        script: Arc<str>,
        /// Outcome.
        outcome: Outcome,
    },
    /// A worker thread was lost: it panicked, could not start, or is stuck in uninterruptible code. Another replaces it.
    ThreadLost {
        /// Its name.
        thread: String,
        /// The message.
        message: String,
    },
    /// A lost thread returned after all, and ends.
    ThreadReturned {
        /// Its name.
        thread: String,
    },
    /// A lost thread was replaced.
    ThreadRespawned {
        /// Its name.
        thread: String,
    },
    /// More scripts are in use than there are threads, so that they displace each other and many events wait for a boot: a
    /// hundred within ten seconds, or twenty within five minutes if that is every other event. Reported at most once a minute, or
    /// every five minutes.
    ThreadsScarce {
        /// Number of scripts that displace each other.
        scripts: usize,
        /// Maximum number of threads.
        threads: usize,
        /// Number of displaced workers.
        displaced: usize,
        /// The time within which they were displaced.
        within: Duration,
    },
    /// The pool accepts no more events and finishes the accepted ones.
    Draining,
}

/// Called with each [`PoolEvent`] on the thread where it occurs.
pub(crate) type Observer = Box<dyn Fn(&PoolEvent) + Send + Sync>;
