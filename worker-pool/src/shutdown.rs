//! How a pool ended.

use serde::Serialize;

/// What became of the events and threads of a pool that was drained or shut down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Events that were open when the end began and came to their own end.
    pub finished: usize,
    /// Events that were open when the time was up, and were canceled.
    pub cut: usize,
    /// Threads that ended and were joined. 0 after a mere drain.
    pub threads_joined: usize,
    /// Threads that did not end in time; the supervisor joins them if they ever do.
    pub threads_stuck: usize,
}
