//! A worker's memory as one number: its heap, its array buffers, its WebAssembly memories, what V8 and ICU allocate for
//! it elsewhere, and data held for it outside of its isolate.
//!
//! V8 limits only the heap. Array buffers come from an allocator that knows the number and rejects allocations
//! (`allocator.rs`), which scripts can catch. Everything else is counted after garbage collections, at the end of each
//! turn, and every few milliseconds of a long one (`gauge.rs`): a worker above its limit is condemned.

mod allocator;
mod fatal;
mod gauge;
mod give_back;
mod icu;
mod zones;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use isopod_ext::ledger::MemoryLedger;

pub(crate) use self::allocator::capped_allocator;
pub(crate) use self::fatal::handle_fatal_errors;
pub(crate) use self::gauge::Gauge;
pub use self::give_back::give_back_memory;
pub(crate) use self::icu::install as count_icu;

/// One part in this many of the limit may be held in addition to it.
const SLACK: usize = 16;

/// Buffers up to this size are always granted: V8 aborts the process if one of the runtime's own is rejected.
const ALWAYS_GRANTED_BYTES: usize = 4 * 1024;

/// A worker's memory. It can be read from any thread at any time, at the cost of a few loads.
///
/// Clones show the same worker.
#[derive(Clone, Debug)]
pub struct MemoryMeter(Arc<Meter>);

#[derive(Debug)]
struct Meter {
    limit: usize,
    soft: usize,
    /// Size of the heap at the last reading.
    heap: AtomicUsize,
    /// Memory outside of the heap that V8 knows of: array buffers, WebAssembly memories.
    external: AtomicUsize,
    /// Array buffers from the worker's allocator, including shared ones.
    buffers: AtomicUsize,
    /// Memory outside of the heap that V8 does not limit: `Intl` objects, compilers, the text of `JSON.stringify`.
    native: AtomicUsize,
    ledger: MemoryLedger,
    soft_told: AtomicBool,
    /// True if the allocator has rejected a buffer since V8 last asked for more heap.
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
            native: AtomicUsize::new(0),
            ledger,
            soft_told: AtomicBool::new(false),
            refused: AtomicBool::new(false),
        }))
    }

    /// Bytes held. The heap's size is that of its last garbage collection.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// The limit in bytes.
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
        self.bytes_without_native() + self.native.load(Ordering::Relaxed)
    }

    fn bytes_without_native(&self) -> usize {
        let heap = self.heap.load(Ordering::Relaxed);
        let external = self.external.load(Ordering::Relaxed);
        // Most buffers are in both counts: V8 does not know of shared ones, the allocator not of those created in Rust.
        heap + external.max(self.buffers.load(Ordering::Relaxed)) + self.ledger.held()
    }

    /// Returns true if it exceeds the limit by so much that it has to end: a worker that handles a rejected buffer
    /// still needs a little heap.
    fn is_over(&self) -> bool {
        self.exceeds(self.bytes())
    }

    fn exceeds(&self, bytes: usize) -> bool {
        bytes > self.limit + self.limit / SLACK
    }

    /// Returns true if there is room for an allocation.
    fn fits(&self, bytes: usize) -> bool {
        self.bytes().checked_add(bytes).is_some_and(|all| all <= self.limit)
    }

    /// Returns true if the script has to be warned, provided that everything counted is alive.
    fn nears_limit(&self) -> bool {
        !self.soft_told.load(Ordering::Relaxed) && self.bytes() >= self.soft
    }

    /// Returns the bytes held, which are these, if the script has to be warned; once, until they have decreased again.
    fn soft_reached(&self, bytes: usize) -> Option<usize> {
        if bytes < self.soft {
            self.soft_told.store(false, Ordering::Relaxed);
            return None;
        }
        (!self.soft_told.swap(true, Ordering::Relaxed)).then_some(bytes)
    }

    /// Counts a buffer. Returns `false` if there is no room.
    fn take(&self, bytes: usize) -> bool {
        // Only the isolate's thread allocates; others only free.
        let granted = self.fits(bytes) || bytes <= ALWAYS_GRANTED_BYTES || self.ledger.is_overdrawn();
        if granted {
            self.buffers.fetch_add(bytes, Ordering::Relaxed);
            // As V8 will report at the next reading.
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
    fn buffers_are_granted_up_to_the_limit_and_freed_memory_is_available_again() {
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
    fn the_runtime_s_own_buffers_are_always_granted() {
        let meter = MemoryMeter::new(MIB, MIB, MemoryLedger::default());
        let overdraft = meter.ledger().overdraw();
        assert!(meter.0.take(2 * MIB) && meter.0.is_over());
        drop(overdraft);
        assert!(meter.0.take(ALWAYS_GRANTED_BYTES) && !meter.0.take(ALWAYS_GRANTED_BYTES + 1));
    }

    #[test]
    fn a_script_is_warned_once_each_time_it_approaches_the_limit() {
        let meter = MemoryMeter::new(10 * MIB, 8 * MIB, MemoryLedger::default());
        assert_eq!(meter.0.soft_reached(meter.bytes()), None);
        for _ in 0..2 {
            meter.0.heap.store(9 * MIB, Ordering::Relaxed);
            assert_eq!(meter.0.soft_reached(meter.bytes()), Some(9 * MIB));
            assert_eq!(meter.0.soft_reached(meter.bytes()), None);
            meter.0.heap.store(MIB, Ordering::Relaxed);
            assert_eq!(meter.0.soft_reached(meter.bytes()), None);
        }
    }
}
