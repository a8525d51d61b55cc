//! Wake-up calls for the consumers of a queue.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// Time within which calls to other processes are merged.
pub(crate) const GATHER: Duration = Duration::from_millis(2);

/// The calls of a queue.
#[derive(Debug)]
pub(crate) struct Wake {
    /// Number of changes after which a message may be due.
    changes: watch::Sender<u64>,
    /// True while a call to other processes is pending.
    is_told: AtomicBool,
}

impl Default for Wake {
    fn default() -> Self {
        Self {
            changes: watch::Sender::new(0),
            is_told: AtomicBool::new(false),
        }
    }
}

impl Wake {
    /// Records a change.
    pub(crate) fn ring(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Resolves with the number of changes once it differs from `seen`.
    pub(crate) async fn changed(&self, seen: u64) -> u64 {
        let mut changes = self.changes.subscribe();
        let changed = changes.wait_for(|count| *count != seen).await;
        // The sender is in `self`.
        changed.map_or(seen, |count| *count)
    }

    /// Returns whether the caller must call other processes, after [`GATHER`].
    pub(crate) fn begins_call(&self) -> bool {
        !self.is_told.swap(true, Ordering::AcqRel)
    }

    /// Records that the call is being made, so that a later change needs another one.
    pub(crate) fn calls(&self) {
        self.is_told.store(false, Ordering::Release);
    }
}
