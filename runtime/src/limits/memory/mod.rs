//! What a worker holds of memory, as one number: its heap, its array buffers, its WebAssembly memories, and what is held for
//! it outside the isolate.
//!
//! V8 limits the heap by itself and everything else not at all. Array buffers come from an allocator that knows the number
//! and refuses (`allocator.rs`): a script can catch that. The rest is counted when V8 has collected its garbage, at the end
//! of each turn, and every few milliseconds of a long one (`gauge.rs`): a worker that is beyond its limit is condemned.

mod allocator;
mod gauge;
mod give_back;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use isopod_ext::ledger::MemoryLedger;

pub(crate) use self::allocator::capped_allocator;
pub(crate) use self::gauge::Gauge;
pub use self::give_back::give_back_memory;

/// The part of the limit that may be held beyond it.
const SLACK: usize = 16;

/// Buffers up to this size are never refused: V8 ends the process where one that the runtime itself asks for is.
const ALWAYS_GRANTED_BYTES: usize = 4 * 1024;

/// What one worker holds of memory. It can be read from any thread, at any time, at the cost of a few loads.
///
/// A clone shows the same worker.
#[derive(Clone, Debug)]
pub struct MemoryMeter(Arc<Meter>);

#[derive(Debug)]
struct Meter {
    limit: usize,
    soft: usize,
    /// The heap when it was last looked at.
    heap: AtomicUsize,
    /// What V8 knows of beside it: array buffers, WebAssembly memories.
    external: AtomicUsize,
    /// Array buffers made by the worker's allocator, shared ones among them.
    buffers: AtomicUsize,
    ledger: MemoryLedger,
    soft_told: AtomicBool,
    /// The allocator has refused a buffer since V8 last asked for more heap.
    refused: AtomicBool,
}

impl MemoryMeter {
    pub(crate) fn new(limit: usize, soft: usize, ledger: MemoryLedger) -> Self {
        Self(Arc::new(Meter {
            limit,
            soft,
            heap: AtomicUsize::new(0),
            external: AtomicUsize::new(0),
            buffers: AtomicUsize::new(0),
            ledger,
            soft_told: AtomicBool::new(false),
            refused: AtomicBool::new(false),
        }))
    }

    /// Bytes held. The heap is as it was at its last collection of garbage.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// Bytes it may hold.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    pub(crate) fn ledger(&self) -> &MemoryLedger {
        &self.0.ledger
    }
}

impl Meter {
    fn bytes(&self) -> usize {
        let heap = self.heap.load(Ordering::Relaxed);
        let external = self.external.load(Ordering::Relaxed);
        // Most buffers are in both counts: V8 does not know of shared ones, the allocator not of those made in Rust.
        heap + external.max(self.buffers.load(Ordering::Relaxed)) + self.ledger.held()
    }

    /// Whether it holds more than it may, and by so much that it is to end: one that was refused a buffer at its limit, and heeds
    /// that, still needs a little heap to go on.
    fn is_over(&self) -> bool {
        self.bytes() > self.limit + self.limit / SLACK
    }

    /// Whether it may hold so much more.
    fn fits(&self, bytes: usize) -> bool {
        self.bytes().checked_add(bytes).is_some_and(|all| all <= self.limit)
    }

    /// Whether the script would have to be told, if all that is counted is alive.
    fn nears_limit(&self) -> bool {
        !self.soft_told.load(Ordering::Relaxed) && self.bytes() >= self.soft
    }

    /// What it holds, where that is so much that the script has to be told; once, until it has come down again.
    fn soft_reached(&self) -> Option<usize> {
        let bytes = self.bytes();
        if bytes < self.soft {
            self.soft_told.store(false, Ordering::Relaxed);
            return None;
        }
        (!self.soft_told.swap(true, Ordering::Relaxed)).then_some(bytes)
    }

    /// Takes room for a buffer. `false`: there is none.
    fn take(&self, bytes: usize) -> bool {
        // Only the isolate's thread takes; others give back.
        let granted = self.fits(bytes) || bytes <= ALWAYS_GRANTED_BYTES || self.ledger.is_overdrawn();
        if granted {
            self.buffers.fetch_add(bytes, Ordering::Relaxed);
            // As V8 will say when it is asked the next time.
            self.external.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.refused.store(true, Ordering::Relaxed);
        }
        granted
    }

    fn give(&self, bytes: usize) {
        self.buffers.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn buffers_are_granted_until_the_limit_and_what_is_given_back_can_be_had_again() {
        let meter = MemoryMeter::new(10 * MIB, 8 * MIB, MemoryLedger::default());
        meter.0.heap.store(4 * MIB, Ordering::Relaxed);
        assert!(!meter.0.take(7 * MIB));
        assert!(meter.0.take(5 * MIB));
        assert!(!meter.0.take(2 * MIB));
        let held = meter.ledger().charge(MIB);
        assert_eq!(meter.bytes(), 10 * MIB);
        assert!(!meter.0.take(MIB));
        drop(held);
        assert!(meter.0.take(MIB));
        meter.0.give(6 * MIB);
        meter.0.external.store(0, Ordering::Relaxed);
        assert_eq!(meter.bytes(), 4 * MIB);
        assert!(!meter.0.take(usize::MAX));
    }

    #[test]
    fn what_the_host_itself_asks_for_is_never_refused() {
        let meter = MemoryMeter::new(MIB, MIB, MemoryLedger::default());
        let overdraft = meter.ledger().overdraw();
        assert!(meter.0.take(2 * MIB) && meter.0.is_over());
        drop(overdraft);
        assert!(meter.0.take(ALWAYS_GRANTED_BYTES) && !meter.0.take(ALWAYS_GRANTED_BYTES + 1));
    }

    #[test]
    fn a_script_is_told_once_each_time_that_it_comes_near() {
        let meter = MemoryMeter::new(10 * MIB, 8 * MIB, MemoryLedger::default());
        assert_eq!(meter.0.soft_reached(), None);
        for _ in 0..2 {
            meter.0.heap.store(9 * MIB, Ordering::Relaxed);
            assert_eq!(meter.0.soft_reached(), Some(9 * MIB));
            assert_eq!(meter.0.soft_reached(), None);
            meter.0.heap.store(MIB, Ordering::Relaxed);
            assert_eq!(meter.0.soft_reached(), None);
        }
    }
}
