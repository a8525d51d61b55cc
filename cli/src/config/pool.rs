//! The section `[pool]`: settings for all workers together.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sections::{Isolation, Sandbox};
use super::text::{MaybeSize, Size, Time};

/// Maximum number of worker threads: more do not fit into a process.
pub(super) const THREADS_MAX: usize = 10_000;

/// Operating system scheduling of the process's threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OsScheduling {
    /// Short time slices, and low priority for long computations.
    #[default]
    Tuned,
    /// No changes.
    Untouched,
}

/// Limits on all workers together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Pool {
    /// Maximum memory of the responses that workers keep in `caches`, all together. Those that are used least make room for others.
    #[serde(with = "Size")]
    pub cache: u64,
    /// Maximum size of a response in `caches`. A larger one is not stored.
    #[serde(with = "Size")]
    pub cache_object: u64,
    /// Maximum memory of the server's process for values in transit between it and one worker in a process of its own: for what
    /// the worker asks and for what it is answered, each. Further values wait. At least 1 MiB.
    #[serde(with = "Size")]
    pub cell_transit: u64,
    /// Maximum number of HTTP/1 connections that live on the thread of a worker, because it answers all their requests. 0:
    /// all connections stay with the server's threads.
    pub connections_per_worker: usize,
    /// Place where workers run that have no `isolation` of their own.
    pub isolation: Isolation,
    /// Demand on what confines workers with `isolation = "sandbox"`.
    pub sandbox: Sandbox,
    /// Time for a thread to stop its worker's code; after that the thread is lost and replaced.
    #[serde(with = "Time")]
    pub lost_grace: Duration,
    /// Time for which code may still run after a deadline, such as `limits.wall`, before its worker is terminated.
    #[serde(with = "Time")]
    pub wall_grace: Duration,
    /// Maximum number of lost threads that are replaced; with more the process is not ready. Default: `threads`, or one per
    /// core.
    pub lost_threads_max: Option<usize>,
    /// Maximum memory of all workers together. Near it idle workers are ended, the least recently used first, then no worker
    /// starts, then requests are refused. Default: half of the memory of the machine or control group, near which idle
    /// workers are ended, but no request is refused.
    #[serde(with = "MaybeSize")]
    pub memory: Option<u64>,
    /// Maximum number of queued events in total; a worker may use as many as it leaves for others. Default: 8192.
    #[schemars(range(min = 1))]
    pub queue: Option<usize>,
    /// Shortest queue wait above which a worker's queue counts as overloaded (CoDel target).
    #[serde(with = "Time")]
    pub queue_target: Duration,
    /// Time for which the shortest wait must exceed `queue_target` (CoDel interval).
    #[serde(with = "Time")]
    pub queue_interval: Duration,
    /// Maximum number of workers at a time, warm or booting. Beyond it, the least recently used idle worker makes room.
    /// Default: `threads` if that is set, else one for each 4 MiB of `memory`, from 8 to 2000.
    #[schemars(range(min = 1, max = THREADS_MAX))]
    pub workers_max: Option<usize>,
    /// Operating system scheduling of the process's threads. `tuned`: short time slices, and idle priority for a thread in a
    /// long turn, if the process may raise it again.
    pub os_scheduling: OsScheduling,
}

impl Pool {
    /// Minimum of `cell_transit`.
    pub(super) const CELL_TRANSIT_MIN: u64 = 1 << 20;
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            cache: 256 << 20,
            cache_object: 32 << 20,
            cell_transit: 64 << 20,
            connections_per_worker: 4096,
            isolation: Isolation::default(),
            sandbox: Sandbox::default(),
            lost_grace: Duration::from_secs(1),
            wall_grace: Duration::from_millis(100),
            lost_threads_max: None,
            memory: None,
            queue: None,
            queue_target: Duration::from_millis(100),
            queue_interval: Duration::from_millis(500),
            workers_max: None,
            os_scheduling: OsScheduling::default(),
        }
    }
}
