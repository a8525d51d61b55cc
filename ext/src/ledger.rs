//! Bytes that a worker holds outside the heap of its isolate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts bytes that are held for one worker outside its heap, wherever they are: blobs, queued chunks and messages.
///
/// ```
/// use isopod_ext::ledger::MemoryLedger;
///
/// let ledger = MemoryLedger::default();
/// let chunk = ledger.charge(1024);
/// assert_eq!(ledger.held(), 1024);
/// drop(chunk);
/// assert_eq!(ledger.held(), 0);
/// ```
///
/// A clone counts to the same account. It only counts: who may hold how much is decided where it is charged.
#[derive(Clone, Debug, Default)]
pub struct MemoryLedger(Arc<AtomicUsize>);

impl MemoryLedger {
    /// Counts bytes for as long as the charge is there.
    #[must_use = "the bytes are counted until the charge is dropped"]
    pub fn charge(&self, bytes: usize) -> Charge {
        self.0.fetch_add(bytes, Ordering::Relaxed);
        Charge {
            ledger: self.clone(),
            bytes,
        }
    }

    /// Bytes held now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Bytes that are counted until this is dropped.
#[derive(Debug, Default)]
pub struct Charge {
    ledger: MemoryLedger,
    bytes: usize,
}

impl Charge {
    /// How many.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts as many instead.
    pub fn resize(&mut self, bytes: usize) {
        let account = &self.ledger.0;
        match bytes.checked_sub(self.bytes) {
            Some(more) => account.fetch_add(more, Ordering::Relaxed),
            None => account.fetch_sub(self.bytes - bytes, Ordering::Relaxed),
        };
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.ledger.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
