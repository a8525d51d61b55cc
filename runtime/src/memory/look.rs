//! Where V8 is asked how much there is, and what follows.
#![allow(unsafe_code, reason = "V8 calls back with a raw pointer to the isolate")]

use std::cell::Cell;
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use deno_core::v8::GCType;
use deno_core::{JsRuntime, v8};
use isopod_ext::quotas::MemoryRoom;

use super::MemoryMeter;
use crate::watchdog::{Soft, Watched, end_for_memory};

/// Heap granted beyond the limit once it is reached, for the isolate to come to its end in.
const HEAP_GRACE_BYTES: usize = 32 * 1024 * 1024;

/// The part of the limit that must have come since the last full collection for another to be worth its time.
const WORTH_COLLECTING: usize = 16;

/// V8 is told of what is held outside the isolate when that has changed by more than this.
const TELL_BYTES: usize = 1024 * 1024;

/// Watches the memory of one isolate, on its thread. In a slot of the isolate, so that V8's callbacks find it there for as
/// long as the isolate is alive.
#[derive(Clone)]
pub(crate) struct Gauge(Rc<Inner>);

struct Inner {
    meter: MemoryMeter,
    watched: Arc<Watched>,
    /// What V8 was told of the ledger.
    told: Cell<usize>,
    /// What was held after the last full collection.
    live: Cell<usize>,
}

impl Gauge {
    /// Puts an isolate under watch.
    pub(crate) fn install(runtime: &mut JsRuntime, meter: MemoryMeter, watched: Arc<Watched>) -> Self {
        let gauge = Self(Rc::new(Inner {
            meter,
            watched,
            told: Cell::new(0),
            live: Cell::new(0),
        }));
        let isolate = runtime.v8_isolate();
        isolate.set_slot(gauge.clone());
        isolate.set_slot(gauge.0.meter.ledger().clone());
        let asked = gauge.clone();
        isolate.set_slot(MemoryRoom(Rc::new(move |isolate, bytes| {
            asked.has_room(isolate, bytes)
        })));
        let kinds = GCType::kGCTypeScavenge | GCType::kGCTypeMarkSweepCompact;
        isolate.add_gc_epilogue_callback(after_collection, std::ptr::null_mut(), kinds);
        gauge.look(isolate);
        // SAFETY: the isolate is alive, and this is its thread.
        let pointer = unsafe { isolate.as_raw_isolate_ptr() };
        let near = gauge.clone();
        runtime.add_near_heap_limit_callback(move |current, _| {
            // SAFETY: V8 calls this on the thread of the isolate it was added to, which is alive: it is what calls.
            let mut isolate = unsafe { v8::Isolate::from_raw_isolate_ptr(pointer) };
            near.heap_limit(&mut isolate, current)
        });
        gauge
    }

    /// What the heap's limit is from now on. V8 asks when the heap is full, and also when it had no room for an array buffer.
    fn heap_limit(&self, isolate: &mut v8::Isolate, current: usize) -> usize {
        let committed = isolate.get_heap_statistics().total_heap_size();
        if committed < current / 4 * 3 {
            return current;
        }
        end_for_memory(&self.0.watched);
        current + HEAP_GRACE_BYTES
    }

    /// Asks V8 how much there is.
    fn look(&self, isolate: &mut v8::Isolate) {
        let heap = isolate.get_heap_statistics().used_heap_size();
        self.0.meter.0.heap.store(heap, Ordering::Relaxed);
        self.count_external(isolate);
    }

    fn count_external(&self, isolate: &mut v8::Isolate) {
        let held = self.0.meter.ledger().held();
        let told = self.0.told.get();
        let mut change = 0;
        if held.abs_diff(told) > TELL_BYTES {
            change = i64::try_from(held).unwrap_or(i64::MAX) - i64::try_from(told).unwrap_or(i64::MAX);
            self.0.told.set(held);
        }
        let external = isolate.adjust_amount_of_external_allocated_memory(change);
        let external = usize::try_from(external).unwrap_or(0).saturating_sub(self.0.told.get());
        self.0.meter.0.external.store(external, Ordering::Relaxed);
    }

    /// Counts what changes without a collection. Where that is too much, garbage is collected first: part of it may be.
    ///
    /// Cheap enough for the end of each turn.
    pub(crate) fn check(&self, isolate: &mut v8::Isolate) {
        self.count_external(isolate);
        if self.0.meter.0.is_over() {
            self.collect(isolate);
        }
    }

    /// Collects what is garbage, if so much has come since the last time that some of it may be: a worker at its limit would
    /// do nothing else.
    fn collect(&self, isolate: &mut v8::Isolate) {
        let meter = &self.0.meter.0;
        if meter.bytes() > self.0.live.get() + meter.limit / WORTH_COLLECTING {
            // Ends in `after_collection`, which decides.
            isolate.low_memory_notification();
        }
    }

    /// The same for a long turn, from a safe point within it.
    pub(crate) fn check_within(&self, isolate: &mut v8::Isolate) {
        self.look(isolate);
        self.check(isolate);
    }

    /// Whether there is room for so much more, which V8 takes without asking the allocator.
    fn has_room(&self, isolate: &mut v8::Isolate, bytes: usize) -> bool {
        let meter = &self.0.meter.0;
        self.count_external(isolate);
        if !meter.fits(bytes) && bytes <= meter.limit {
            self.collect(isolate);
        }
        meter.fits(bytes)
    }

    /// All that is counted now is alive.
    fn judge(&self) {
        self.0.live.set(self.0.meter.bytes());
        if self.0.meter.0.is_over() {
            end_for_memory(&self.0.watched);
        } else if let Some(used) = self.0.meter.0.soft_reached() {
            let max = self.0.meter.limit();
            self.0.watched.post_soft_from_inside(Soft::Memory { used, max });
        }
    }
}

unsafe extern "C" fn after_collection(
    isolate: v8::UnsafeRawIsolatePtr,
    kind: GCType,
    _: v8::GCCallbackFlags,
    _: *mut c_void,
) {
    // SAFETY: V8 calls back with the isolate whose garbage it has collected, on its thread.
    let mut isolate = unsafe { v8::Isolate::from_raw_isolate_ptr(isolate) };
    let Some(gauge) = isolate.get_slot::<Gauge>().cloned() else {
        return;
    };
    gauge.look(&mut isolate);
    if kind == GCType::kGCTypeMarkSweepCompact {
        gauge.judge();
    }
}
