//! Measures a worker's memory on its thread, and enforces its limit.
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
use super::{MemoryMeter, fatal, icu, zones};

/// Heap granted beyond the limit once it is reached, so that the isolate can end. V8 aborts the process if a piece does
/// not fit, and no piece is larger than 1 GiB: an array of `FixedArray::kMaxLength` elements, the longest string.
const HEAP_GRACE_BYTES: usize = (1024 + 256) * 1024 * 1024;

/// An isolate that allocates this much after its termination was requested is running native code, which only blocking its thread
/// can stop.
const HEAP_BEYOND_BYTES: usize = 512 * 1024 * 1024;

/// One part in this many of the limit must have been allocated since the last full collection to make another
/// worthwhile.
const WORTH_COLLECTING: usize = 16;

/// Interval for reading the heap's size between collections, at the ends of turns: it may grow from near its limit to
/// the limit without one.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// V8 is notified of memory held outside of the isolate when it has changed by more than this.
const TELL_BYTES: usize = 1024 * 1024;

/// Memory outside of the heap for each byte of V8's global handles. An object of `Intl` or `Temporal` has one of 32 bytes, by which
/// V8 frees its C++ part. That part takes 300 to 900 bytes, which neither V8 nor ICU counts. Less is counted here, because rejected
/// promises and others have handles too, with nothing behind them.
const BYTES_PER_HANDLE_BYTE: usize = 6;

/// Watches the memory of an isolate, on its thread. In a slot of the isolate, where V8's callbacks find it as long as
/// the isolate is alive.
#[derive(Clone)]
pub(crate) struct Gauge(Rc<Inner>);

struct Inner {
    meter: MemoryMeter,
    watched: Arc<Watched>,
    /// The amount of the ledger, of ICU and of global handles that V8 knows.
    told: Cell<usize>,
    /// ICU's memory on this thread before the isolate ran any code.
    icu_before: isize,
    /// Bytes of global handles before the isolate ran any code, and at the last reading.
    handles_before: usize,
    handles: Cell<usize>,
    /// Memory held after the last full collection.
    live: Cell<usize>,
    isolate: UnsafeRawIsolatePtr,
    /// Time of the last reading.
    looked: Cell<Instant>,
    /// True if the heap has been granted more than its limit.
    granted: Cell<bool>,
    /// True if termination of the isolate was requested.
    ending: Cell<bool>,
}

impl Gauge {
    /// Starts watching an isolate.
    pub(crate) fn install(runtime: &mut JsRuntime, meter: MemoryMeter, watched: Arc<Watched>) -> Self {
        let icu_before = icu::balance();
        let isolate = runtime.v8_isolate();
        let handles_before = isolate.get_heap_statistics().used_global_handles_size();
        let gauge = Self(Rc::new(Inner {
            meter,
            watched,
            told: Cell::new(0),
            icu_before,
            handles_before,
            handles: Cell::new(handles_before),
            live: Cell::new(0),
            looked: Cell::new(Instant::now()),
            // SAFETY: the isolate is alive, and this is its thread. Only callbacks of this isolate use the pointer.
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
        fatal::install(isolate, &gauge.0.watched);
        gauge.look(isolate);
        gauge
    }

    fn add_heap_limit(&self, isolate: &mut v8::Isolate) {
        // Lives as long as the isolate, which holds it in a slot.
        let data = Rc::as_ptr(&self.0).cast_mut().cast();
        isolate.add_near_heap_limit_callback(at_heap_limit, data);
    }

    /// The new limit of the heap. V8 asks when the heap has no room for an allocation and there is no garbage left, and
    /// also after the allocator has rejected an array buffer. If the granted limit is not sufficient, it aborts the
    /// process.
    fn heap_limit(&self, isolate: &mut v8::Isolate, current: usize) -> usize {
        let (inner, limit) = (&self.0, self.0.meter.0.limit);
        let for_buffer = inner.meter.0.refused.swap(false, Ordering::Relaxed);
        if !inner.granted.replace(true) {
            // V8 keeps a part of the limit for the young generation. The old one may have all of it: that it has used up its own
            // part says nothing yet, and `hold_to_limit` gives it the rest.
            if !for_buffer && current >= limit {
                self.end();
            }
            // V8 needs room for the current allocation, which may be large. A buffer may have been refused long before.
            return limit + HEAP_GRACE_BYTES;
        }
        // Part of it may be garbage, which is collected next; `judge` decides about the rest.
        let taken = isolate.get_heap_statistics().total_heap_size();
        if inner.ending.get() && taken > limit + HEAP_BEYOND_BYTES {
            inner.watched.lose_for_memory();
        }
        current
    }

    /// Returns true if the isolate was ended for its memory.
    pub(crate) fn is_ending(&self) -> bool {
        self.0.ending.get()
    }

    fn end(&self) {
        self.0.ending.set(true);
        self.0.watched.end_for_memory();
    }

    /// Lowers V8's limit to the worker's own again, after [`Self::heap_limit`] raised it for a worker that is below that.
    fn hold_to_limit(&self, isolate: &mut v8::Isolate) {
        if self.0.granted.get() && !self.0.ending.get() {
            self.0.granted.set(false);
            isolate.remove_near_heap_limit_callback(at_heap_limit, self.0.meter.0.limit);
            self.add_heap_limit(isolate);
        }
    }

    /// Reads the sizes from V8.
    fn look(&self, isolate: &mut v8::Isolate) {
        self.0.looked.set(Instant::now());
        let statistics = isolate.get_heap_statistics();
        self.0
            .meter
            .0
            .heap
            .store(statistics.used_heap_size(), Ordering::Relaxed);
        self.0.handles.set(statistics.used_global_handles_size());
        self.count_external(isolate);
    }

    /// Reads the sizes, and those of memory that V8 does not limit.
    fn look_closely(&self, isolate: &mut v8::Isolate) {
        self.look(isolate);
        let meter = &self.0.meter.0;
        let objects = self.icu() + self.behind_handles();
        // Measuring takes a while, and matters only if there is little room.
        let room = meter.soft.saturating_sub(meter.bytes_without_native() + objects);
        let zones = zones::bytes(isolate, room);
        meter.native.store(objects + zones, Ordering::Relaxed);
    }

    fn icu(&self) -> usize {
        usize::try_from(icu::balance().wrapping_sub(self.0.icu_before)).unwrap_or(0)
    }

    /// Memory behind global handles, estimated.
    fn behind_handles(&self) -> usize {
        let added = self.0.handles.get().saturating_sub(self.0.handles_before);
        added * BYTES_PER_HANDLE_BYTE
    }

    fn count_external(&self, isolate: &mut v8::Isolate) {
        // V8 collects garbage in time only if it knows of this memory.
        let held = self.0.meter.ledger().held() + self.icu() + self.behind_handles();
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

    /// Counts memory that changes without a collection. If it is too much, garbage is collected first.
    ///
    /// Cheap enough for the end of each turn.
    pub(crate) fn check(&self, isolate: &mut v8::Isolate) {
        if self.0.granted.get() || self.0.looked.get().elapsed() > LOOK_EVERY {
            self.look_closely(isolate);
            self.hold_to_limit(isolate);
        } else {
            self.count_external(isolate);
        }
        if self.0.meter.0.is_over() || self.0.meter.0.nears_limit() {
            self.collect(isolate);
        }
    }

    /// Collects garbage if enough was allocated since the last time: a worker at its limit would do nothing else.
    fn collect(&self, isolate: &mut v8::Isolate) {
        let meter = &self.0.meter.0;
        if meter.bytes() > self.0.live.get() + meter.limit / WORTH_COLLECTING {
            // Calls `after_collection`, which decides about all but `native`.
            isolate.low_memory_notification();
            // By now the `Intl` objects among the garbage are freed, which V8 does after `after_collection`.
            self.look_closely(isolate);
            self.0.live.set(meter.bytes());
            self.decide(meter.bytes());
        }
    }

    /// The same for a long turn, from a safe point within it.
    pub(crate) fn check_within(&self, isolate: &mut v8::Isolate) {
        self.look_closely(isolate);
        self.hold_to_limit(isolate);
        if self.0.meter.0.is_over() || self.0.meter.0.nears_limit() {
            self.collect(isolate);
        }
    }

    /// Returns true if there is room for an allocation by V8 that bypasses the allocator.
    fn has_room(&self, isolate: &mut v8::Isolate, bytes: usize, freed: bool) -> bool {
        let meter = &self.0.meter.0;
        self.count_external(isolate);
        if !meter.fits(bytes) && bytes <= meter.limit {
            // For a large allocation a collection is worth its time, even if what was alive at the last one has only been
            // dropped since.
            if freed || bytes > meter.limit / WORTH_COLLECTING {
                isolate.low_memory_notification();
            } else {
                self.collect(isolate);
            }
            self.look_closely(isolate);
        }
        meter.fits(bytes)
    }

    /// Enforces the limit after a collection, when everything counted is alive except what V8 frees afterwards.
    fn judge(&self) {
        let meter = &self.0.meter.0;
        self.0.live.set(meter.bytes());
        if meter.heap.load(Ordering::Relaxed) > meter.limit + HEAP_BEYOND_BYTES && self.0.ending.get() {
            self.0.watched.lose_for_memory();
        }
        self.decide(meter.bytes_without_native());
    }

    /// Ends the isolate if it has this much alive and that is too much, or warns it.
    fn decide(&self, bytes: usize) {
        let meter = &self.0.meter.0;
        if meter.exceeds(bytes) {
            self.end();
        } else if let Some(used) = meter.soft_reached(bytes) {
            let max = self.0.meter.limit();
            self.0.watched.post_soft(Soft::Memory { used, max });
        }
    }
}

unsafe extern "C" fn at_heap_limit(data: *mut c_void, current: usize, _: usize) -> usize {
    // SAFETY: V8 calls back with the data passed to `add_heap_limit`, which a slot of the isolate keeps alive, on the
    // thread of that isolate, which is alive because it is the caller.
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
