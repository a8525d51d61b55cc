//! The section `[pool]`: what holds for all workers together.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{MaybeSize, Time};

/// What is said to the operating system about the threads of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OsScheduling {
    /// They run in short slices, and one that computes for long lets others go first.
    #[default]
    Tuned,
    /// Nothing.
    Untouched,
}

/// All workers together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Pool {
    /// How long a thread may take to come back from what its worker was to stop; one that does not is lost, and replaced.
    #[serde(with = "Time")]
    pub lost_grace: Duration,
    /// How long after a deadline, such as `limits.wall`, code may still run for its request before it is ended by force, and its
    /// worker with it.
    #[serde(with = "Time")]
    pub wall_grace: Duration,
    /// Lost threads that are replaced; with more the process says that it is not ready. Absent: as many as `threads`.
    pub lost_threads_max: Option<usize>,
    /// Memory that all workers together may hold: near it idle workers go, then none starts, then requests are refused.
    /// Absent: no limit.
    #[serde(with = "MaybeSize")]
    pub memory: Option<u64>,
    /// Events that may wait in all; one worker may have as many of them as it leaves for others. Absent: 8192.
    #[schemars(range(min = 1))]
    pub queue: Option<usize>,
    /// How long even the luckiest event may wait before a worker's queue counts as overloaded.
    #[serde(with = "Time")]
    pub queue_target: Duration,
    /// Over what time a queue is judged: bursts that drain within it are no overload.
    #[serde(with = "Time")]
    pub queue_interval: Duration,
    /// What is said to the operating system about the threads of the process. `tuned`: they run in short slices, and one in
    /// the middle of a long turn runs when no other wants its processor, where the process may take that back.
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
