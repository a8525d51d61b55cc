//! Report of a pool's shutdown.

use serde::Serialize;

/// Report about the events and threads of a pool that was drained or shut down.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Events open at the start of the shutdown that finished.
    pub finished: usize,
    /// Events that were cut at the limit.
    pub cut: usize,
    /// Sessions that were cut at the limit.
    pub sessions_cut: usize,
    /// Threads that were joined; 0 after a drain.
    pub threads_joined: usize,
    /// Threads that did not end in time; the supervisor joins them if they end later.
    pub threads_stuck: usize,
}
