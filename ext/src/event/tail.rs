//! The stream that an event was answered with, as its event knows it.

use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use deno_core::CancelHandle;

use super::{EndsWithEvent, Fault};

/// Ties a stream to the event that gave it: both learn of the other's failure.
#[derive(Default)]
pub(crate) struct Tail {
    /// Why the stream was cut off; the first reason counts.
    pub(crate) cut: Arc<OnceLock<Fault>>,
    /// Canceled when the event ends.
    pub(crate) ended: Rc<CancelHandle>,
}

impl Tail {
    /// Says why the stream will be cut off.
    pub(crate) fn fail(&self, fault: Fault) {
        // The first reason is the one that counts.
        let _ = self.cut.set(fault);
    }
}

impl EndsWithEvent for Tail {
    fn event_ended(self: Rc<Self>) {
        self.ended.cancel();
    }
}
