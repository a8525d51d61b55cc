//! Bytes that a worker holds outside the heap of its isolate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use deno_core::v8;

/// Bytes that are fewer than this are not counted one by one.
const WORTH_COUNTING: usize = 4 * 1024;

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
pub struct MemoryLedger(Arc<Account>);

#[derive(Debug, Default)]
struct Account {
    held: AtomicUsize,
    overdrafts: AtomicUsize,
}

impl MemoryLedger {
    /// Counts bytes for as long as the charge is there.
    #[must_use = "the bytes are counted until the charge is dropped"]
    pub fn charge(&self, bytes: usize) -> Charge {
        self.0.held.fetch_add(bytes, Ordering::Relaxed);
        Charge {
            ledger: self.clone(),
            bytes,
        }
    }

    /// Counts these bytes for as long as anyone has them; few are not worth it.
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

    /// As long as the overdraft is there, no buffer of the worker is refused, however much it holds: V8 ends the process where
    /// a buffer that Rust asks it for is. The worker is held to its limit afterwards.
    #[must_use = "buffers are granted until the overdraft is dropped"]
    pub fn overdraw(&self) -> Overdraft {
        self.0.overdrafts.fetch_add(1, Ordering::Relaxed);
        Overdraft(self.clone())
    }

    /// The same for the worker of this isolate, to whose slots the runtime has added its ledger.
    pub fn overdraw_for(isolate: &v8::Isolate) -> Option<Overdraft> {
        isolate.get_slot::<Self>().map(Self::overdraw)
    }

    /// Whether there is an overdraft.
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
    /// How many.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts as many instead.
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
    fn bytes_are_counted_until_the_last_who_has_some_of_them_lets_go() {
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
