//! The state of a script's function that its [`Callback`](super::Callback) and its worker's table share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use futures::task::AtomicWaker;
use tokio::sync::mpsc;

use crate::values::{Answer, Arguments};

/// Shared by the clones of a callback.
#[derive(Default)]
pub(super) struct Lease(OnceLock<Place>);

/// The location of a function.
pub(super) struct Place {
    pub(super) number: u32,
    pub(super) calls: mpsc::Sender<Call>,
    lender: Arc<Lender>,
}

/// A call on its way to the worker's thread.
pub(super) struct Call {
    pub(super) number: u32,
    pub(super) arguments: Arguments,
    pub(super) reply: Box<dyn Answer>,
}

/// Notifies a worker of released functions.
#[derive(Default)]
pub(super) struct Lender {
    pub(super) released: AtomicBool,
    pub(super) waker: AtomicWaker,
}

impl Lease {
    /// The function's location, once it has been added to the table.
    pub(super) fn place(&self) -> Option<&Place> {
        self.0.get()
    }

    pub(super) fn lend(&self, number: u32, calls: mpsc::Sender<Call>, lender: Arc<Lender>) {
        // Set once, by the worker that read the value.
        drop(self.0.set(Place { number, calls, lender }));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(Place { lender, .. }) = self.0.get() {
            lender.released.store(true, Ordering::Release);
            lender.waker.wake();
        }
    }
}
