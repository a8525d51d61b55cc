//! A callback for the watchdog's observations on a worker's thread.

use std::sync::Arc;

use isopod_ext::handlers::FaultKind;

/// An observation of the watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noticed {
    /// The worker's code has used more than 4 ms of CPU time without returning to its event loop. Once for each such turn.
    LongTurn,
    /// The worker is being stopped, because it exceeds this limit. It stops soon afterwards unless it runs uninterruptible
    /// native code; its owner may want to check that.
    Stopping(FaultKind),
}

/// A callback for the watchdog's observations. It is called on a thread other than the worker's, and must return quickly.
#[derive(Clone)]
pub struct OnNotice(Arc<dyn Fn(Noticed) + Send + Sync>);

impl OnNotice {
    /// Creates a callback.
    pub fn new(call: impl Fn(Noticed) + Send + Sync + 'static) -> Self {
        Self(Arc::new(call))
    }

    pub(crate) fn call(&self, noticed: Noticed) {
        (self.0)(noticed);
    }
}

impl std::fmt::Debug for OnNotice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnNotice")
    }
}
