//! A callback for workers that are told to stop.

use std::sync::Arc;

use isopod_ext::handlers::FaultKind;

/// A callback for the moment when a worker is told to stop from outside.
///
/// It is called with the exceeded limit, on a thread other than the worker's, and must return quickly. The worker stops
/// soon afterwards unless it runs uninterruptible native code; its owner may want to check that.
#[derive(Clone)]
pub struct OnStop(Arc<dyn Fn(FaultKind) + Send + Sync>);

impl OnStop {
    /// Creates a callback.
    pub fn new(call: impl Fn(FaultKind) + Send + Sync + 'static) -> Self {
        Self(Arc::new(call))
    }

    pub(crate) fn call(&self, limit: FaultKind) {
        (self.0)(limit);
    }
}

impl std::fmt::Debug for OnStop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnStop")
    }
}
