//! A wrapper that keeps a client on its runtime.

use std::future::Future;
use std::marker::PhantomData;

use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use crate::unwind;

/// A client bound to the I/O runtime that it was created on.
///
/// [`run`](Self::run) is the only access to it. The wrapper stays on its thread, so no other thread can use the client:
///
/// ```compile_fail,E0277
/// # use isopod_ext::io::{Io, IoOptions};
/// let io = Io::start(IoOptions::default()).unwrap();
/// let client = io.bound(String::from("client"));
/// std::thread::spawn(move || drop(client)); // `Bound` is not `Send`
/// ```
///
/// The future must be able to run on the I/O runtime, so it cannot contain anything of the event loop or the isolate:
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
    /// The runtime and its client, or the reason why the runtime could not start.
    on: Result<(Handle, C), IoError>,
    not_send: PhantomData<*const ()>,
}

impl<C: Clone> Clone for Bound<C> {
    fn clone(&self) -> Self {
        Self::new(self.on.clone())
    }
}

impl<C> Bound<C> {
    pub(super) const fn new(on: Result<(Handle, C), IoError>) -> Self {
        Self {
            on,
            not_send: PhantomData,
        }
    }
}

impl<C: Clone> Bound<C> {
    /// Spawns the future returned by `body` on the owning runtime immediately, and resolves to its output.
    ///
    /// The returned future may be awaited on any executor. Dropping it aborts the task. The output should not contain
    /// the client, which could then be polled on another runtime.
    ///
    /// # Errors
    /// [`IoError::Panicked`] if the future panicked, [`IoError::Stopped`] if the runtime was shut down first,
    /// [`IoError::Refused`] if it could not start.
    pub fn run<F, Fut>(&self, body: F) -> impl Future<Output = Result<Fut::Output, IoError>> + use<C, F, Fut>
    where
        F: FnOnce(C) -> Fut,
        Fut: Future + Send + 'static,
        Fut::Output: Send + 'static,
    {
        let task = self.on.as_ref().map_err(IoError::clone);
        let task = task.map(|(handle, client)| AbortOnDropHandle::new(handle.spawn(body(client.clone()))));
        async move {
            task?.await.map_err(|error| match error.try_into_panic() {
                Ok(payload) => IoError::Panicked(unwind::message(&*payload)),
                Err(_) => IoError::Stopped,
            })
        }
    }
}

/// An error of a task on the I/O runtime.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum IoError {
    /// The future panicked: a bug in this crate or in the client, not in the caller.
    #[error("an I/O task panicked: {0}")]
    Panicked(String),
    /// The worker thread is ending and has shut its I/O runtime down.
    #[error("the I/O runtime of this worker thread has stopped; the worker is shutting down")]
    Stopped,
    /// The I/O runtime could not start. The next use tries again.
    #[error("cannot start the I/O runtime of this worker thread ({0}): is there a limit on threads or descriptors?")]
    Refused(String),
}
