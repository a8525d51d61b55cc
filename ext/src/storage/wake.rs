//! Wake-up calls for the consumers of a queue.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// Time in which several calls to other processes become one.
pub(crate) const GATHER: Duration = Duration::from_millis(2);

/// The calls of a queue.
#[derive(Debug)]
pub(crate) struct Wake {
    /// Counts the changes after which a message may be due.
    changes: watch::Sender<u64>,
    /// True while a call to other processes is about to be made.
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
    /// Counts a change.
    pub(crate) fn ring(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Resolves with the number of changes once it is another than `seen`.
    pub(crate) async fn changed(&self, seen: u64) -> u64 {
        let mut changes = self.changes.subscribe();
        let changed = changes.wait_for(|count| *count != seen).await;
        // The sender is in `self`.
        changed.map_or(seen, |count| *count)
    }

    /// Returns true if the caller is to call other processes, after [`GATHER`].
    pub(crate) fn begins_call(&self) -> bool {
        !self.is_told.swap(true, Ordering::AcqRel)
    }

    /// Notes that the call is being made: a change from now on needs another.
    pub(crate) fn calls(&self) {
        self.is_told.store(false, Ordering::Release);
    }
}
