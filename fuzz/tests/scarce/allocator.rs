//! An allocator that refuses large pieces while it is told to, and counts how often it had to.
#![expect(unsafe_code, reason = "an allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What may be had at most in one piece.
static LARGEST: AtomicUsize = AtomicUsize::new(usize::MAX);
static REFUSED: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Scarce = Scarce;

/// The system's allocator, behind the limit.
struct Scarce;

fn refuses(bytes: usize) -> bool {
    let refuses = bytes > LARGEST.load(Ordering::Relaxed);
    if refuses {
        REFUSED.fetch_add(1, Ordering::Relaxed);
    }
    refuses
}

// SAFETY: each method does what the system's does, or answers null, which stands for an allocation that failed.
// tidy:allow(unsafe): an allocator is an unsafe trait, and this one is for tests alone.
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

/// Runs something while larger pieces than this are refused, in the whole process. Gives how many were.
pub(super) fn refusing<T>(largest: usize, run: impl FnOnce() -> T) -> (T, usize) {
    let before = REFUSED.load(Ordering::SeqCst);
    LARGEST.store(largest, Ordering::SeqCst);
    let result = run();
    LARGEST.store(usize::MAX, Ordering::SeqCst);
    (result, REFUSED.load(Ordering::SeqCst) - before)
}
