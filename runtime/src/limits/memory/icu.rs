//! Counts what ICU allocates, the library behind `Intl`: V8 does not know how large its objects are.
//!
//! ICU can be given functions that allocate its memory. These call the C library and keep a count for each thread: an isolate uses
//! its objects, and frees them, on its own thread. What ICU caches for the whole process is counted where it was
//! allocated; the caches are bounded.
#![allow(unsafe_code, reason = "ICU takes its memory functions as functions on raw pointers")]

use std::cell::Cell;
use std::ffi::{c_int, c_void};

thread_local! {
    /// Bytes allocated on this thread, less those freed on it. Has no destructor, so it can be used until the thread ends.
    static BALANCE: Cell<isize> = const { Cell::new(0) };
}

type Allocate = unsafe extern "C" fn(*const c_void, usize) -> *mut c_void;
type Reallocate = unsafe extern "C" fn(*const c_void, *mut c_void, usize) -> *mut c_void;
type Free = unsafe extern "C" fn(*const c_void, *mut c_void);

unsafe extern "C" {
    /// The name contains ICU's version, as do functions of the `v8` crate's interface: another one is a breaking change.
    fn u_setMemoryFunctions_77(
        context: *const c_void,
        allocate: Allocate,
        reallocate: Reallocate,
        free: Free,
        status: *mut c_int,
    );
}

/// Counts ICU's memory from now on. Memory that was allocated before is not counted, and is freed as before.
pub(crate) fn install() {
    if !IS_MEASURABLE {
        return;
    }
    let mut status = 0;
    // SAFETY: the functions are the C library's, which ICU uses by default, so they can also free what came from those.
    // The only errors are null pointers.
    unsafe { u_setMemoryFunctions_77(std::ptr::null(), allocate, reallocate, free, &raw mut status) };
}

/// Bytes that ICU has allocated on this thread, less those it has freed on it.
pub(super) fn balance() -> isize {
    BALANCE.get()
}

unsafe extern "C" fn allocate(_: *const c_void, bytes: usize) -> *mut c_void {
    // SAFETY: `malloc` may be called with any size; it returns null if it fails.
    let memory = unsafe { libc::malloc(bytes) };
    // SAFETY: it was just allocated.
    add(unsafe { size(memory) });
    memory
}

unsafe extern "C" fn reallocate(_: *const c_void, memory: *mut c_void, bytes: usize) -> *mut c_void {
    // SAFETY: ICU passes what it got from these functions and has not freed.
    let before = unsafe { size(memory) };
    // SAFETY: as above.
    let moved = unsafe { libc::realloc(memory, bytes) };
    if !moved.is_null() {
        // SAFETY: it was just allocated.
        add(unsafe { size(moved) } - before);
    }
    moved
}

unsafe extern "C" fn free(_: *const c_void, memory: *mut c_void) {
    // SAFETY: ICU passes what it got from these functions, once.
    add(unsafe { -size(memory) });
    // SAFETY: as above.
    unsafe { libc::free(memory) };
}

fn add(bytes: isize) {
    BALANCE.set(BALANCE.get().wrapping_add(bytes));
}

/// True if the allocator tells the size of a piece of memory.
const IS_MEASURABLE: bool = cfg!(any(target_os = "linux", target_os = "android", target_vendor = "apple"));

/// The size of a piece of memory of the C library's allocator. 0 for null.
///
/// # Safety
/// `memory` is null, or was allocated by the C library and not freed.
unsafe fn size(memory: *mut c_void) -> isize {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    // SAFETY: the caller's.
    let bytes = unsafe { libc::malloc_usable_size(memory) };
    #[cfg(target_vendor = "apple")]
    // SAFETY: the caller's.
    let bytes = unsafe { libc::malloc_size(memory) };
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    let bytes = {
        let _ = memory;
        0_usize
    };
    isize::try_from(bytes).unwrap_or(isize::MAX)
}
