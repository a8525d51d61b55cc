//! Errors from building a pool.

/// An error from building a pool.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The number of threads or workers is zero.
    #[error("a pool needs at least one thread; omit `threads` and `workers_max` for as many as memory has room for")]
    NoThreads,
    /// `threads_max` is below `threads`.
    #[error("`threads` ({threads}) is above `threads_max` ({max}); raise `threads_max` or lower `threads`")]
    ThreadsMax {
        /// The value of `threads`.
        threads: usize,
        /// The value of `threads_max`.
        max: usize,
    },
    /// `workers_max` is above the number of threads.
    #[error(
        "`workers_max` ({workers_max}) is above the number of threads ({threads}), and each worker has a thread of its own; \
         omit `threads`, or raise it"
    )]
    WorkersMax {
        /// The value of `workers_max`.
        workers_max: usize,
        /// The value of `threads_max`, or of `threads`.
        threads: usize,
    },
    /// The engine's own settings conflict.
    #[error(transparent)]
    Engine(Box<dyn std::error::Error + Send + Sync>),
    /// The supervisor thread cannot be spawned.
    #[error("cannot spawn the pool's supervisor thread; is there a limit on threads?")]
    Supervisor(#[source] std::io::Error),
}
