//! An event's response stream, as its event sees it.

use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use deno_core::CancelHandle;

use super::{EndsWithEvent, Fault};

/// Connects a stream with its event, so that each learns of the other's failure.
#[derive(Default)]
pub(crate) struct Tail {
    /// The first reason for cutting the stream off.
    pub(crate) cut: Arc<OnceLock<Fault>>,
    /// Canceled when the event ends.
    pub(crate) ended: Rc<CancelHandle>,
}

impl Tail {
    /// Sets the reason for cutting the stream off.
    pub(crate) fn fail(&self, fault: Fault) {
        // Only the first reason is kept.
        let _ = self.cut.set(fault);
    }
}

impl EndsWithEvent for Tail {
    fn event_ended(self: Rc<Self>) {
        self.ended.cancel();
    }
}
