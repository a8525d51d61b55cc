//! A client on its own Tokio runtime, for storage that all threads of a process share.

use std::sync::{Mutex, PoisonError};

use tokio::runtime::{Builder, Handle, Runtime};

use super::StorageError;

/// A runtime with one thread, and its client. Both start on first use, and end when this is dropped.
pub(crate) struct Hosted<C> {
    /// The name of the thread.
    name: &'static str,
    running: Mutex<Option<(Runtime, C)>>,
}

impl<C: Clone> Hosted<C> {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            name,
            running: Mutex::new(None),
        }
    }

    /// Returns the runtime, and the client that `build` creates inside it on first use. Use the client only in tasks of the
    /// runtime.
    pub(crate) fn get(&self, build: impl FnOnce() -> Result<C, StorageError>) -> Result<(Handle, C), StorageError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((runtime, client)) = &*running {
            return Ok((runtime.handle().clone(), client.clone()));
        }
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(self.name)
            .enable_all()
            .build();
        let runtime =
            runtime.map_err(|error| StorageError::Failed(format!("cannot start the thread {}: {error}", self.name)))?;
        let client = {
            let _entered = runtime.enter();
            build()?
        };
        let (runtime, client) = running.insert((runtime, client));
        Ok((runtime.handle().clone(), client.clone()))
    }
}

impl<C> Drop for Hosted<C> {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((runtime, client)) = running.take() {
            {
                let _entered = runtime.enter();
                drop(client);
            }
            // Neither blocks nor panics, even in asynchronous code.
            runtime.shutdown_background();
        }
    }
}
