//! Readiness of a pool.

/// The reason why a pool is not ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unhealthy {
    /// More threads are lost than are replaced.
    #[error(
        "{stuck} worker threads are stuck in uninterruptible native code, and at most {replaced_max} such threads are replaced; \
         restart the process"
    )]
    ThreadsLost {
        /// Number of stuck threads.
        stuck: usize,
        /// Maximum number of replaced threads.
        replaced_max: usize,
    },
    /// No worker thread is alive.
    #[error("no worker thread is alive; is there a limit on threads?")]
    NoThreads,
    /// The pool is shutting down.
    #[error("the pool is shutting down")]
    ShuttingDown,
}
