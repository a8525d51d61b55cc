//! Accounting of running writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::OwnedSemaphorePermit;

/// A running write, which counts with its bytes.
pub(super) struct Writing {
    all: Arc<AtomicU64>,
    length: u64,
    _permit: OwnedSemaphorePermit,
}

impl Writing {
    /// Starts a write of `length` bytes. Also returns the bytes of the other writes.
    pub(super) fn begin(all: &Arc<AtomicU64>, length: u64, permit: OwnedSemaphorePermit) -> (Self, u64) {
        let others = all.fetch_add(length, Ordering::Relaxed);
        let writing = Self {
            all: all.clone(),
            length,
            _permit: permit,
        };
        (writing, others)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.all.fetch_sub(self.length, Ordering::Relaxed);
    }
}
