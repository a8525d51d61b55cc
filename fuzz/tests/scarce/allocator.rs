//! An allocator that rejects large allocations on demand, and counts the rejections.
#![expect(unsafe_code, reason = "an allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Maximum size of an allocation.
static LARGEST: AtomicUsize = AtomicUsize::new(usize::MAX);
static REFUSED: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Scarce = Scarce;

/// The system's allocator with the limit.
struct Scarce;

fn refuses(bytes: usize) -> bool {
    let refuses = bytes > LARGEST.load(Ordering::Relaxed);
    if refuses {
        REFUSED.fetch_add(1, Ordering::Relaxed);
    }
    refuses
}

// SAFETY: each method forwards to the system's, or returns null for a failed allocation.
// tidy:allow(unsafe): an allocator is an unsafe trait, and this one is for tests only.
unsafe impl GlobalAlloc for Scarce {
    // tidy:allow(unsafe): as above.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if refuses(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract of this method, which is the system's.
        // tidy:allow(unsafe): as above.
        unsafe { System.alloc(layout) }
    }

    // tidy:allow(unsafe): as above.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if refuses(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract of this method, which is the system's.
        // tidy:allow(unsafe): as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    // tidy:allow(unsafe): as above.
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if refuses(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract of this method, which is the system's.
        // tidy:allow(unsafe): as above.
        unsafe { System.realloc(place, layout, size) }
    }

    // tidy:allow(unsafe): as above.
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of this method, which is the system's.
        // tidy:allow(unsafe): as above.
        unsafe { System.dealloc(place, layout) }
    }
}

/// Runs a closure while larger allocations are rejected in the whole process. Returns the number of rejections.
pub(super) fn refusing<T>(largest: usize, run: impl FnOnce() -> T) -> (T, usize) {
    let before = REFUSED.load(Ordering::SeqCst);
    LARGEST.store(largest, Ordering::SeqCst);
    let result = run();
    LARGEST.store(usize::MAX, Ordering::SeqCst);
    (result, REFUSED.load(Ordering::SeqCst) - before)
}
