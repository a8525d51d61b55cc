//! Measures a worker's memory, on its thread, and acts on what it finds.
#![allow(unsafe_code, reason = "V8 calls back with a raw pointer to the isolate")]

use std::cell::Cell;
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use deno_core::v8::{GCType, UnsafeRawIsolatePtr};
use deno_core::{JsRuntime, v8};
use isopod_ext::quotas::MemoryRoom;

use super::super::watchdog::{Soft, Watched};
use super::MemoryMeter;

/// Heap granted beyond the limit once it is reached, for the isolate to come to its end in. V8 ends the process where one piece does
/// not fit, and no piece is larger than 1 GiB: an array of `FixedArray::kMaxLength` elements, the longest string.
const HEAP_GRACE_BYTES: usize = (1024 + 256) * 1024 * 1024;

/// An isolate that was told to end and takes as much as this all the same runs native code: nothing but its thread ends it.
const HEAP_BEYOND_BYTES: usize = 512 * 1024 * 1024;

/// The part of the limit that must have come since the last full collection for another to be worth its time.
const WORTH_COLLECTING: usize = 16;

/// How often V8 is asked for its heap between collections, at the ends of turns: it may grow from near its limit to the limit without
/// one.
const LOOK_EVERY: Duration = Duration::from_millis(5);

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
    isolate: UnsafeRawIsolatePtr,
    /// When V8 was asked last.
    looked: Cell<Instant>,
    /// The heap has been granted more than its limit.
    granted: Cell<bool>,
    /// The isolate has been told to end.
    ending: Cell<bool>,
}

impl Gauge {
    /// Puts an isolate under watch.
    pub(crate) fn install(runtime: &mut JsRuntime, meter: MemoryMeter, watched: Arc<Watched>) -> Self {
        let isolate = runtime.v8_isolate();
        let gauge = Self(Rc::new(Inner {
            meter,
            watched,
            told: Cell::new(0),
            live: Cell::new(0),
            looked: Cell::new(Instant::now()),
            // SAFETY: the isolate is alive, and this is its thread. It is used by callbacks of the isolate's own alone.
            isolate: unsafe { isolate.as_raw_isolate_ptr() },
            granted: Cell::new(false),
            ending: Cell::new(false),
        }));
        isolate.set_slot(gauge.clone());
        isolate.set_slot(gauge.0.meter.ledger().clone());
        let asked = gauge.clone();
        isolate.set_slot(MemoryRoom {
            limit: gauge.0.meter.limit(),
            ask: Rc::new(move |isolate, bytes, freed| asked.has_room(isolate, bytes, freed)),
        });
        let kinds = GCType::kGCTypeScavenge | GCType::kGCTypeMarkSweepCompact;
        isolate.add_gc_epilogue_callback(after_collection, std::ptr::null_mut(), kinds);
        gauge.add_heap_limit(isolate);
        gauge.look(isolate);
        gauge
    }

    fn add_heap_limit(&self, isolate: &mut v8::Isolate) {
        // Alive as long as the isolate, which has it in a slot.
        let data = Rc::as_ptr(&self.0).cast_mut().cast();
        isolate.add_near_heap_limit_callback(at_heap_limit, data);
    }

    /// What the heap's limit is from now on. V8 asks where the heap has no room for something and there is nothing left to collect;
    /// and also when the allocator has refused an array buffer. If what is granted does not suffice, it ends the process.
    fn heap_limit(&self, isolate: &mut v8::Isolate, current: usize) -> usize {
        let (inner, limit) = (&self.0, self.0.meter.0.limit);
        let for_buffer = inner.meter.0.refused.swap(false, Ordering::Relaxed);
        if current < limit && !for_buffer && !inner.granted.get() {
            // V8 keeps a part of the limit for the young generation, at first. The old one may have all of it; `judge` counts both.
            return limit;
        }
        if !inner.granted.replace(true) {
            if !for_buffer {
                self.end();
            }
            // For a buffer as well, which may have been refused long ago: what comes now may be part of the heap.
            return limit + HEAP_GRACE_BYTES;
        }
        // Part of it may be garbage, which is collected next: whether the rest is too much is judged then.
        let taken = isolate.get_heap_statistics().total_heap_size();
        if inner.ending.get() && taken > limit + HEAP_BEYOND_BYTES {
            inner.watched.lose_for_memory();
        }
        current
    }

    fn end(&self) {
        self.0.ending.set(true);
        self.0.watched.end_for_memory();
    }

    /// Takes back what was granted for a buffer.
    fn hold_to_limit(&self, isolate: &mut v8::Isolate) {
        if self.0.granted.get() && !self.0.ending.get() {
            self.0.granted.set(false);
            isolate.remove_near_heap_limit_callback(at_heap_limit, self.0.meter.0.limit);
            self.add_heap_limit(isolate);
        }
    }

    /// Asks V8 how much there is.
    fn look(&self, isolate: &mut v8::Isolate) {
        self.0.looked.set(Instant::now());
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
        if self.0.granted.get() || self.0.looked.get().elapsed() > LOOK_EVERY {
            self.look(isolate);
            self.hold_to_limit(isolate);
        } else {
            self.count_external(isolate);
        }
        if self.0.meter.0.is_over() || self.0.meter.0.nears_limit() {
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
        self.hold_to_limit(isolate);
        if self.0.meter.0.is_over() || self.0.meter.0.nears_limit() {
            self.collect(isolate);
        }
    }

    /// Whether there is room for so much more, which V8 takes without asking the allocator.
    fn has_room(&self, isolate: &mut v8::Isolate, bytes: usize, freed: bool) -> bool {
        let meter = &self.0.meter.0;
        self.count_external(isolate);
        if !meter.fits(bytes) && bytes <= meter.limit {
            if freed {
                isolate.low_memory_notification();
            } else {
                self.collect(isolate);
            }
        }
        meter.fits(bytes)
    }

    /// All that is counted now is alive.
    fn judge(&self) {
        let meter = &self.0.meter.0;
        self.0.live.set(meter.bytes());
        if meter.heap.load(Ordering::Relaxed) > meter.limit + HEAP_BEYOND_BYTES && self.0.ending.get() {
            self.0.watched.lose_for_memory();
        }
        if meter.is_over() {
            self.end();
        } else if let Some(used) = self.0.meter.0.soft_reached() {
            let max = self.0.meter.limit();
            self.0.watched.post_soft(Soft::Memory { used, max });
        }
    }
}

unsafe extern "C" fn at_heap_limit(data: *mut c_void, current: usize, _: usize) -> usize {
    // SAFETY: V8 calls back with what `add_heap_limit` gave it, which a slot of the isolate keeps alive; it calls on the thread of
    // that isolate, which is alive: it is what calls.
    let inner = unsafe {
        Rc::increment_strong_count(data.cast_const().cast::<Inner>());
        Rc::from_raw(data.cast_const().cast::<Inner>())
    };
    // SAFETY: as above.
    let mut isolate = unsafe { v8::Isolate::from_raw_isolate_ptr(inner.isolate) };
    Gauge(inner).heap_limit(&mut isolate, current)
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
