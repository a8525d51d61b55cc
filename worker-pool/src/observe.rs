//! What a pool tells its observer: the lifecycle of workers and threads, not of events.

use std::fmt;
use std::sync::Arc;

use isopod_outcome::{Failure, Outcome};
use serde::Serialize;

use crate::engine::WorkerId;

/// Why a worker came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RetireReason {
    /// It handled as many events as it may.
    Events,
    /// It reached its age.
    Age,
    /// It held more memory than it may.
    Memory,
    /// It was idle for longer than workers are kept.
    Idle,
    /// A new version of its script was deployed.
    Replaced,
    /// Its script was undeployed.
    Undeployed,
    /// Its policy gives each event a fresh worker.
    Policy,
    /// Another script needed the thread.
    Displaced,
    /// Its engine said that it must not be used again, or it did not end a canceled event in time.
    Condemned,
    /// The pool shuts down.
    Shutdown,
    /// Its thread panicked, or did not come back.
    Lost,
    /// It was idle, and the pool's workers together held nearly all the memory that they may.
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

/// Something happened to a worker, a thread or the pool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PoolEvent {
    /// A worker begins to boot.
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
    /// A worker has been dropped.
    WorkerRetired {
        /// The worker.
        worker: WorkerId,
        /// Its script.
        script: Arc<str>,
        /// Why.
        reason: RetireReason,
    },
    /// A worker could not boot.
    BootFailed {
        /// The worker.
        worker: WorkerId,
        /// Its script.
        script: Arc<str>,
        /// Why.
        failure: Failure,
    },
    /// An event was accepted and then ended by the pool, not by a worker.
    EventFailed {
        /// Its script.
        script: Arc<str>,
        /// How it ended.
        outcome: Outcome,
    },
    /// A worker thread is gone: it panicked, could not start, or runs code that does not come back. Another takes its place.
    ThreadLost {
        /// Its name.
        thread: String,
        /// What it said.
        message: String,
    },
    /// A thread that was lost to code that does not come back has come back after all, and ends.
    ThreadReturned {
        /// Its name.
        thread: String,
    },
    /// A thread has taken the place of one that was lost.
    ThreadRespawned {
        /// Its name.
        thread: String,
    },
    /// More scripts are in use than there are threads, so that they take turns on them and most events cost a boot. Told
    /// at most once a minute.
    ThreadsScarce {
        /// How many scripts take turns.
        scripts: usize,
        /// How many threads there may be.
        threads: usize,
        /// How many workers gave up their threads to other scripts within the last ten seconds.
        displaced: usize,
    },
    /// The pool accepts nothing any more and finishes what it holds.
    Draining,
}

/// Called with each [`PoolEvent`], on the thread where it happens.
pub(crate) type Observer = Box<dyn Fn(&PoolEvent) + Send + Sync>;
