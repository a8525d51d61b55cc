//! Errors at which V8 aborts the process. Where a host can replace the isolate's thread, that thread is given up instead.
//!
//! - Without memory for an object of the heap, V8 calls a handler of the isolate.
//! - For a list with more elements than an array can have (2^27), as by `split()` of a long text, it calls none. It executes a
//!   breakpoint instruction, as for every error: the signal SIGTRAP, on the thread that failed.
//! - Before the breakpoint of a failed check of its own state, after which nothing may be trusted, it calls a handler of the
//!   process. That aborts as before.
//!
//! The abandoned thread holds no lock that others need: these errors occur while it allocates an object of its own heap.

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::{Arc, OnceLock, Weak};

use deno_core::v8;

use crate::limits::watchdog::Watched;

thread_local! {
    /// The isolate of this thread.
    static WATCHED: RefCell<Weak<Watched>> = const { RefCell::new(Weak::new()) };
    /// A check of V8's state has failed on this thread.
    static CHECK_FAILED: Cell<bool> = const { Cell::new(false) };
}

/// The action for SIGTRAP that was there before.
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

/// Handles V8's fatal errors. Called before V8 is initialized.
pub(crate) fn handle_fatal_errors() {
    v8::V8::set_fatal_error_handler(at_failed_check);
    let mut previous = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the action is initialized, its mask is empty, and its handler has the signature of a handler without
    // SA_SIGINFO. `previous` is written if the call succeeds.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = at_breakpoint as extern "C" fn(c_int) as usize;
        if libc::sigaction(libc::SIGTRAP, &raw const action, previous.as_mut_ptr()) == 0 {
            let _ = PREVIOUS.set(previous.assume_init());
        }
    }
}

/// Handles the fatal errors of an isolate on this thread.
pub(super) fn install(isolate: &mut v8::Isolate, watched: &Arc<Watched>) {
    WATCHED.set(Arc::downgrade(watched));
    isolate.set_oom_error_handler(at_oom);
}

fn at_failed_check(_file: &str, _line: i32, _message: &str) {
    CHECK_FAILED.set(true);
}

unsafe extern "C" fn at_oom(_location: *const c_char, _details: &v8::OomDetails) {
    lose_thread();
}

/// The signal handler. It runs on the stack of the code that failed.
extern "C" fn at_breakpoint(signal: c_int) {
    if !CHECK_FAILED.get() {
        lose_thread();
    }
    // SAFETY: `previous` was filled in by the system; raising a signal has no conditions.
    unsafe {
        if let Some(previous) = PREVIOUS.get() {
            libc::sigaction(signal, previous, ptr::null_mut());
        }
        libc::raise(signal);
    }
}

/// Blocks the thread forever. Returns only if no host would replace the thread, or if it runs no isolate.
fn lose_thread() {
    let watched = WATCHED.try_with(|watched| watched.try_borrow().ok()?.upgrade());
    if let Ok(Some(watched)) = watched {
        watched.lose_for_memory();
    }
}
