//! The section `[pool]`: settings for all workers together.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{MaybeSize, Time};

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
    /// Time for a thread to stop its worker's code; after that the thread is lost and replaced.
    #[serde(with = "Time")]
    pub lost_grace: Duration,
    /// Time for which code may still run after a deadline, such as `limits.wall`, before its worker is terminated.
    #[serde(with = "Time")]
    pub wall_grace: Duration,
    /// Maximum number of lost threads that are replaced; with more the process is not ready. Default: `threads`.
    pub lost_threads_max: Option<usize>,
    /// Maximum memory of all workers together. Near it idle workers are ended, then no worker starts, then requests are
    /// refused. Default: no limit.
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
    /// Operating system scheduling of the process's threads. `tuned`: short time slices, and idle priority for a thread in a
    /// long turn, if the process may raise it again.
    pub os_scheduling: OsScheduling,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            lost_grace: Duration::from_secs(1),
            wall_grace: Duration::from_millis(100),
            lost_threads_max: None,
            memory: None,
            queue: None,
            queue_target: Duration::from_millis(100),
            queue_interval: Duration::from_millis(500),
            os_scheduling: OsScheduling::default(),
        }
    }
}
