//! Whether a pool can do its work.

/// Why a pool is not ready for events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unhealthy {
    /// More threads are lost to code that does not come back than are replaced.
    #[error(
        "{stuck} worker threads run code that does not come back, and at most {replaced_max} such threads are replaced; \
         restart the process"
    )]
    ThreadsLost {
        /// How many do not come back.
        stuck: usize,
        /// How many of them are replaced.
        replaced_max: usize,
    },
    /// No worker thread is alive.
    #[error("no worker thread is alive; is there a limit on threads?")]
    NoThreads,
    /// The pool finishes what it holds.
    #[error("the pool is shutting down")]
    ShuttingDown,
}
