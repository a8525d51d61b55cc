//! A lent function as both sides know it: its [`Callback`](super::Callback) and the table of its worker.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use deno_core::v8;
use futures::task::AtomicWaker;
use tokio::sync::mpsc;

use crate::values::{Answer, Arguments};

/// What the clones of a callback share.
#[derive(Default)]
pub(super) struct Lease(OnceLock<Place>);

/// Where a function is.
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

/// How a worker learns that functions were let go of.
#[derive(Default)]
pub(super) struct Lender {
    pub(super) let_go: AtomicBool,
    pub(super) waker: AtomicWaker,
}

impl Lease {
    /// Where the function is, once it has been lent.
    pub(super) fn place(&self) -> Option<&Place> {
        self.0.get()
    }

    pub(super) fn lend(&self, number: u32, calls: mpsc::Sender<Call>, lender: Arc<Lender>) {
        // Only ever done by the worker that read the value, once.
        drop(self.0.set(Place { number, calls, lender }));
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(Place { lender, .. }) = self.0.get() {
            lender.let_go.store(true, Ordering::Release);
            lender.waker.wake();
        }
    }
}

/// The functions of a value that is being read; each belongs to an event once the value has been read.
pub(super) type Taken = Vec<(v8::Global<v8::Value>, Weak<Lease>)>;

thread_local! {
    /// One for each value that is being read, since a getter of one may have another read: `Deserialize` has no parameter for a
    /// context.
    static TAKEN: RefCell<Vec<Taken>> = const { RefCell::new(Vec::new()) };
}

/// Begins to read a value.
pub(super) fn begin() {
    TAKEN.with_borrow_mut(|reading| reading.push(Taken::new()));
}

/// Keeps a function of the value that is being read. `false`: none is, by a worker that can lend functions.
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

/// Ends the reading of a value. Gives its functions.
pub(super) fn end() -> Taken {
    TAKEN.with_borrow_mut(Vec::pop).unwrap_or_default()
}
