//! Operations on a server, which are retried when their connection was lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::{StorageError, StorageFuture};

/// The pause before a retry, which doubles from the first value up to the second.
const AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// The pending operations on a server, each a task on its client's runtime.
pub(crate) struct Operations {
    waiting: Arc<Semaphore>,
    max: usize,
}

impl Operations {
    /// Sets the maximum number of pending operations. Further ones fail.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            waiting: Arc::new(Semaphore::new(max.clamp(1, Semaphore::MAX_PERMITS))),
            max,
        }
    }

    /// Starts an operation with the client. It continues if its future is dropped.
    pub(crate) fn run<C, T, F>(
        &self,
        client: impl FnOnce() -> Result<(Handle, C), StorageError>,
        operation: impl FnOnce(C) -> F,
    ) -> StorageFuture<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StorageError>> + Send + 'static,
    {
        let begun = match self.waiting.clone().try_acquire_owned() {
            Err(_) => Err(StorageError::Overloaded(self.max)),
            Ok(permit) => client().map(|(runtime, client)| {
                let operation = operation(client);
                runtime.spawn(async move {
                    let _permit = permit;
                    operation.await
                })
            }),
        };
        Box::pin(async move {
            let ended = begun?.await;
            ended.unwrap_or_else(|_| {
                Err(StorageError::Failed(
                    "the runtime of the server's client has ended".to_owned(),
                ))
            })
        })
    }
}

/// The failure of an attempt.
#[derive(Debug)]
pub(crate) enum Tried {
    /// A retry may succeed.
    Lost(String),
    /// The operation has failed.
    Failed(StorageError),
}

/// The retries of operations on a server.
pub(crate) struct Tries {
    /// Kind and address of the server, for errors.
    pub(crate) server: String,
    pub(crate) timeout: Duration,
}

impl Tries {
    /// Runs an operation once the server is `ready`, with retries until it ends or its time is over.
    pub(crate) async fn run<T, F>(
        &self,
        ready: impl Future<Output = Result<(), StorageError>>,
        attempt: impl Fn() -> F,
    ) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, Tried>>,
    {
        let deadline = Instant::now() + self.timeout;
        let mut last = None;
        let tried = tokio::time::timeout_at(deadline.into(), async {
            // A server that is not reachable at first is reported at once, because the configuration may be wrong.
            ready.await?;
            let (mut pause, pause_max) = AGAIN;
            loop {
                match attempt().await {
                    Ok(done) => return Ok(done),
                    Err(Tried::Failed(error)) => return Err(error),
                    Err(Tried::Lost(reason)) => {
                        last = Some(reason);
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(pause_max);
                    }
                }
            }
        });
        let ended = tried.await;
        ended.unwrap_or_else(|_| Err(self.late(self.timeout, last.as_deref())))
    }

    /// The error of a server that has not been reached within this time.
    #[cfg(feature = "postgres")]
    pub(crate) fn missing(&self, timeout: Duration) -> StorageError {
        StorageError::Unreachable(format!("{} has not answered within {timeout:?}", self.server))
    }

    /// Returns the error of an operation that took too long.
    pub(crate) fn late(&self, timeout: Duration, last: Option<&str>) -> StorageError {
        let last = last.map(|last| format!("; the last error: {last}")).unwrap_or_default();
        StorageError::Failed(format!("{} has not answered within {timeout:?}{last}", self.server))
    }
}
