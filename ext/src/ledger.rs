//! Accounting of memory that a worker holds outside of its isolate's heap.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use deno_core::v8;

/// Smaller amounts are not counted individually.
const WORTH_COUNTING: usize = 4 * 1024;

/// Counts bytes held for a worker outside of its heap: blobs, queued chunks, messages and others.
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
/// Clones share the account. It only counts; limits are enforced where bytes are charged.
#[derive(Clone, Debug, Default)]
pub struct MemoryLedger(Arc<Account>);

#[derive(Debug, Default)]
struct Account {
    held: AtomicUsize,
    overdrafts: AtomicUsize,
}

impl MemoryLedger {
    /// Counts bytes until the charge is dropped.
    #[must_use = "the bytes are counted until the charge is dropped"]
    pub fn charge(&self, bytes: usize) -> Charge {
        self.0.held.fetch_add(bytes, Ordering::Relaxed);
        Charge {
            ledger: self.clone(),
            bytes,
        }
    }

    /// Counts these bytes until the last reference is dropped; small amounts are not counted.
    #[must_use]
    pub fn keep(&self, bytes: Bytes) -> Bytes {
        if bytes.len() < WORTH_COUNTING {
            return bytes;
        }
        let charge = self.charge(bytes.len());
        Bytes::from_owner(Kept { bytes, _charge: charge })
    }

    /// Bytes held now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.held.load(Ordering::Relaxed)
    }

    /// Grants the worker every buffer until the overdraft is dropped, because V8 aborts the process if it cannot
    /// allocate a buffer for Rust. The limit is enforced afterwards.
    #[must_use = "buffers are granted until the overdraft is dropped"]
    pub fn overdraw(&self) -> Overdraft {
        self.0.overdrafts.fetch_add(1, Ordering::Relaxed);
        Overdraft(self.clone())
    }

    /// Creates an overdraft for this isolate's worker, whose ledger is in a slot.
    pub fn overdraw_for(isolate: &v8::Isolate) -> Option<Overdraft> {
        isolate.get_slot::<Self>().map(Self::overdraw)
    }

    /// Returns true if there is an overdraft.
    #[must_use]
    pub fn is_overdrawn(&self) -> bool {
        self.0.overdrafts.load(Ordering::Relaxed) > 0
    }
}

struct Kept {
    bytes: Bytes,
    _charge: Charge,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// See [`MemoryLedger::overdraw`].
#[derive(Debug)]
pub struct Overdraft(MemoryLedger);

impl Drop for Overdraft {
    fn drop(&mut self) {
        self.0.0.overdrafts.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes that are counted until this is dropped.
#[derive(Debug, Default)]
pub struct Charge {
    ledger: MemoryLedger,
    bytes: usize,
}

impl Charge {
    /// Counts its bytes until the last reference to `value` is dropped.
    pub(crate) fn attach(self, value: Bytes) -> Bytes {
        match value.len() < WORTH_COUNTING {
            true => value,
            false => Bytes::from_owner(Kept {
                bytes: value,
                _charge: self,
            }),
        }
    }

    /// Number of bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Changes the number of bytes.
    pub fn resize(&mut self, bytes: usize) {
        let account = &self.ledger.0.held;
        match bytes.checked_sub(self.bytes) {
            Some(more) => account.fetch_add(more, Ordering::Relaxed),
            None => account.fetch_sub(self.bytes - bytes, Ordering::Relaxed),
        };
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.ledger.0.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_charged_until_their_last_slice_is_dropped() {
        let ledger = MemoryLedger::default();
        let kept = ledger.keep(vec![1; 10_000].into());
        let part = kept.slice(9_000..);
        drop(kept);
        assert_eq!((part.len(), ledger.held()), (1_000, 10_000));
        drop(part);
        assert_eq!(ledger.held(), 0);
        assert_eq!(ledger.keep(vec![1; 100].into()).len(), 100);
    }
}
