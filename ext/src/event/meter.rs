//! CPU time that databases use for one event.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// CPU time that was used for one event where the worker's own CPU limit does not see it. Its clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct CpuMeter(Arc<AtomicU64>);

/// A meter, and what it may come to.
#[derive(Clone, Debug)]
pub(crate) struct CpuBudget {
    used: CpuMeter,
    max: Duration,
}

impl CpuBudget {
    pub(crate) fn new(used: CpuMeter, max: Duration) -> Self {
        Self { used, max }
    }

    pub(crate) fn max(&self) -> Duration {
        self.max
    }

    pub(crate) fn charge(&self, used: Duration) {
        let nanos = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
        self.used.0.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(crate) fn is_used_up(&self) -> bool {
        Duration::from_nanos(self.used.0.load(Ordering::Relaxed)) > self.max
    }
}
