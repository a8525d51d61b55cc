//! Threads for blocking work on files.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::StorageError;

/// Time without work after which a thread ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A few threads for work on files, started on demand and ended when idle.
///
/// The queue is unbounded: each operation has one job at a time, and callers bound the number of operations.
pub(crate) struct FileThreads {
    name: &'static str,
    threads_max: usize,
    /// A runtime without tasks, used for its pool of blocking threads.
    runtime: Mutex<Option<Runtime>>,
}

impl FileThreads {
    pub(crate) fn new(name: &'static str, threads_max: usize) -> Self {
        Self {
            name,
            threads_max: threads_max.max(1),
            runtime: Mutex::new(None),
        }
    }

    /// Runs `work` on one of the threads. It starts at once, and continues if the future is dropped.
    pub(crate) fn run<T, F>(&self, work: F) -> impl Future<Output = Result<T, StorageError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let begun = self.begin(work);
        async move {
            let done = begun?.await;
            done.map_err(|_| StorageError::Failed("its work on files has failed".to_owned()))
        }
    }

    fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<JoinHandle<T>, StorageError> {
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        let runtime = match &mut *runtime {
            Some(runtime) => runtime,
            none => {
                let started = Builder::new_current_thread()
                    .max_blocking_threads(self.threads_max)
                    .thread_keep_alive(KEEP_ALIVE)
                    .thread_name(self.name)
                    .build();
                none.insert(
                    started.map_err(|error| StorageError::Failed(format!("cannot start its threads: {error}")))?,
                )
            }
        };
        Ok(runtime.spawn_blocking(work))
    }
}

impl Drop for FileThreads {
    fn drop(&mut self) {
        let runtime = self.runtime.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Does not wait for the threads, because the drop may be on an event loop.
        if let Some(runtime) = runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn a_panic_ends_its_own_work_only() {
        let threads = FileThreads::new("files", 1);
        assert!(block_on(threads.run(|| panic!("for a test"))).is_err());
        assert_eq!(block_on(threads.run(|| 7)), Ok(7));
    }
}
