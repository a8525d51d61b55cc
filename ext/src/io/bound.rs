//! The wrapper that keeps a client on its runtime.

use std::future::Future;
use std::marker::PhantomData;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::unwind;

/// A client bound to the I/O runtime it was made on.
///
/// [`run`](Self::run) is the only way in. The wrapper stays on its thread, so no other thread can use the client:
///
/// ```compile_fail,E0277
/// # use isopod_ext::io::{Io, IoOptions};
/// let io = Io::start(IoOptions::default()).unwrap();
/// let client = io.bound(String::from("client"));
/// std::thread::spawn(move || drop(client)); // `Bound` is not `Send`
/// ```
///
/// and what it runs must be able to run on the I/O runtime, so nothing of the event loop or the isolate gets in:
///
/// ```compile_fail,E0277
/// # use isopod_ext::io::{Io, IoOptions};
/// let io = Io::start(IoOptions::default()).unwrap();
/// let of_the_event_loop = std::rc::Rc::new(1);
/// let client = io.bound(String::from("client"));
/// let _ = client.run(|_| async move { *of_the_event_loop }); // an `Rc` may not leave its thread
/// ```
#[derive(Debug)]
pub struct Bound<C> {
    handle: Handle,
    client: C,
    not_send: PhantomData<*const ()>,
}

impl<C: Clone> Clone for Bound<C> {
    fn clone(&self) -> Self {
        Self::new(self.handle.clone(), self.client.clone())
    }
}

impl<C> Bound<C> {
    pub(super) fn new(handle: Handle, client: C) -> Self {
        Self {
            handle,
            client,
            not_send: PhantomData,
        }
    }
}

impl<C: Clone> Bound<C> {
    /// Spawns the future that `body` makes of the client on the owning runtime, at once, and resolves to its result.
    ///
    /// The result may be awaited on any scheduler. Dropping it aborts the task. The client should not be part of the
    /// result: it would be polled wherever the result goes.
    ///
    /// # Errors
    /// [`IoError::Panicked`] when the future panicked, [`IoError::Stopped`] when the runtime was shut down first.
    pub fn run<F, Fut>(&self, body: F) -> impl Future<Output = Result<Fut::Output, IoError>> + use<C, F, Fut>
    where
        F: FnOnce(C) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: Send + 'static,
    {
        let mut task = AbortOnDrop(self.handle.spawn(body(self.client.clone())));
        async move {
            (&mut task.0).await.map_err(|error| match error.try_into_panic() {
                Ok(payload) => IoError::Panicked(unwind::message(&*payload)),
                Err(_) => IoError::Stopped,
            })
        }
    }
}

/// Why a task on the I/O runtime has no result.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum IoError {
    /// The future panicked. A fault of this crate or of a client, not of the caller.
    #[error("an I/O task panicked: {0}")]
    Panicked(String),
    /// The worker thread is ending and has shut its I/O runtime down.
    #[error("the I/O runtime of this worker thread has stopped; the worker is shutting down")]
    Stopped,
}

/// A dropped `JoinHandle` detaches its task; work nobody waits for must stop instead.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
