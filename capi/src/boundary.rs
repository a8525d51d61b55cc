//! The line between C and Rust: what comes in is checked, what goes out is handed over, and no panic crosses.

use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::last_error;
use crate::status::{Error, Status};

/// Runs the body of a function of the interface; an error is kept for the thread.
pub(crate) fn guarded(body: impl FnOnce() -> Result<(), Error>) -> Status {
    // Unwind safe: what the body touches is behind locks that survive a panic, or its own.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => Status::Ok,
        Ok(Err(error)) => last_error::set(&error),
        Err(panic) => {
            let told = panic.downcast_ref::<&str>().map(ToString::to_string);
            let told = told.or_else(|| panic.downcast_ref::<String>().cloned());
            last_error::set(&Error::Panicked(told.unwrap_or_default()))
        }
    }
}

/// # Safety
/// `pointer` is NULL or points to a `T` that lives for `'a` and is not written to meanwhile.
pub(crate) unsafe fn reference<'a, T>(pointer: *const T, argument: &'static str) -> Result<&'a T, Error> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or(Error::Null(argument))
}

/// # Safety
/// `pointer` is NULL or points to a string that ends with NUL, lives for `'a` and is not written to meanwhile.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, argument: &'static str) -> Result<&'a str, Error> {
    // SAFETY: the caller's promise.
    unsafe { optional_text(pointer, argument) }?.ok_or(Error::Null(argument))
}

/// # Safety
/// As [`text`].
pub(crate) unsafe fn optional_text<'a>(
    pointer: *const c_char,
    argument: &'static str,
) -> Result<Option<&'a str>, Error> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise, and it is not NULL.
    let text = unsafe { CStr::from_ptr(pointer) };
    let text = text.to_str().map_err(|error| Error::NotUtf8 {
        argument,
        at: error.valid_up_to(),
    })?;
    Ok(Some(text))
}

/// Hands a string over to C, which gives it back to `isopod_string_free`. Nobody wants it where `out` is NULL.
///
/// # Safety
/// `out` is NULL or may be written to.
pub(crate) unsafe fn give_text(out: *mut *mut c_char, text: impl FnOnce() -> String) {
    if !out.is_null() {
        // SAFETY: the caller's promise, and it is not NULL.
        unsafe { out.write(last_error::text(text()).into_raw()) };
    }
}

/// Sets a result to NULL, so that it is something on every way out.
///
/// # Safety
/// `out` is NULL or may be written to.
pub(crate) unsafe fn clear<T>(out: *mut *mut T) {
    if !out.is_null() {
        // SAFETY: the caller's promise, and it is not NULL.
        unsafe { out.write(std::ptr::null_mut()) };
    }
}
