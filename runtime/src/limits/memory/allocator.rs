//! The allocator of a worker's array buffers. It rejects allocations beyond the worker's memory limit, which are
//! `RangeError`s for the script.
#![allow(unsafe_code, reason = "V8 takes an allocator as functions on raw pointers")]

use std::ffi::c_void;
use std::sync::Arc;

use deno_core::v8::{self, RustAllocatorVtable, UniqueRef};

use super::{MemoryMeter, Meter};

static VTABLE: RustAllocatorVtable<Meter> = RustAllocatorVtable {
    allocate: allocate_zeroed,
    allocate_uninitialized,
    free,
    drop: drop_meter,
};

/// Creates the allocator of an isolate. Its buffers may outlive the isolate, and keep it alive.
pub(crate) fn capped_allocator(meter: &MemoryMeter) -> UniqueRef<v8::Allocator> {
    // SAFETY: the pointer is that of a counted `Meter`, which is `Send` and `Sync`, and which `drop_meter` releases;
    // the functions of the table take a `Meter`, as the table's type says.
    unsafe { v8::new_rust_allocator(Arc::into_raw(meter.0.clone()), &VTABLE) }
}

/// Large buffers are zeroed by the operating system: untouched pages cost nothing.
unsafe extern "C" fn allocate_zeroed(meter: &Meter, bytes: usize) -> *mut c_void {
    // SAFETY: `calloc` may be called with any size; it returns null if it fails.
    granted(meter, bytes, || unsafe { libc::calloc(1, bytes.max(1)) })
}

unsafe extern "C" fn allocate_uninitialized(meter: &Meter, bytes: usize) -> *mut c_void {
    // SAFETY: `malloc` may be called with any size; it returns null if it fails.
    granted(meter, bytes, || unsafe { libc::malloc(bytes.max(1)) })
}

fn granted(meter: &Meter, bytes: usize, allocate: impl FnOnce() -> *mut c_void) -> *mut c_void {
    if !meter.take(bytes) {
        return std::ptr::null_mut();
    }
    let memory = allocate();
    if memory.is_null() {
        meter.give(bytes);
    }
    memory
}

/// May be called on V8's own threads, which sweep.
unsafe extern "C" fn free(meter: &Meter, memory: *mut c_void, bytes: usize) {
    // SAFETY: V8 frees what it got from the functions above, once.
    unsafe { libc::free(memory) };
    meter.give(bytes);
}

unsafe extern "C" fn drop_meter(meter: *const Meter) {
    // SAFETY: the pointer is from `Arc::into_raw` in `capped_allocator`, and this is called once, with the last buffer.
    drop(unsafe { Arc::from_raw(meter) });
}
