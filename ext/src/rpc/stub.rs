//! A function or an object of another worker.

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use isopod_outcome::Failure;

use crate::native::Callback;

/// Calls a function or a method in its worker. Clones refer to the same one, which is notified when the last is dropped.
#[derive(Clone)]
pub(super) struct Stub {
    pub(super) callback: Callback,
    /// `None`: it belongs to the worker that holds it, or to a caller, with which the call ends.
    pub(super) owner: Option<Owner>,
}

/// Reports the loss of the worker that the stubs belong to.
#[derive(Clone)]
pub(super) struct Owner(Shared<BoxFuture<'static, Failure>>);

impl Owner {
    pub(super) fn new(lost: BoxFuture<'static, Failure>) -> Self {
        Self(lost.shared())
    }

    /// Resolves if the worker is lost.
    pub(super) fn lost(&self) -> impl Future<Output = Failure> + use<> {
        self.0.clone()
    }
}
