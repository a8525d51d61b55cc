//! The state of a script's function that its [`Callback`](super::Callback) and its worker's table share.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use deno_core::v8;
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

/// The functions in a value that is being read. They are assigned to an event after the value has been read.
pub(super) type Taken = Vec<(v8::Global<v8::Value>, Weak<Lease>)>;

thread_local! {
    /// One for each value that is being read, because a getter may cause another read. A thread-local, because
    /// `Deserialize` has no parameter for a context.
    static TAKEN: RefCell<Vec<Taken>> = const { RefCell::new(Vec::new()) };
}

/// Begins reading a value.
pub(super) fn begin() {
    TAKEN.with_borrow_mut(|reading| reading.push(Taken::new()));
}

/// Records a function of the value that is being read. Returns `false` if none is being read by a worker that can lend
/// functions.
#[must_use]
pub(super) fn take(function: v8::Global<v8::Value>, lease: &Arc<Lease>) -> bool {
    TAKEN.with_borrow_mut(|reading| match reading.last_mut() {
        Some(taken) => {
            taken.push((function, Arc::downgrade(lease)));
            true
        }
        None => false,
    })
}

/// Ends reading a value, and returns its functions.
pub(super) fn end() -> Taken {
    TAKEN.with_borrow_mut(Vec::pop).unwrap_or_default()
}
