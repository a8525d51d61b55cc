//! The boundary between C and Rust: checks arguments, hands over strings, and stops panics.

use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::last_error;
use crate::status::{Error, Status};

/// Runs the body of an exported function, and records its error for the thread.
pub(crate) fn guarded(body: impl FnOnce() -> Result<(), Error>) -> Status {
    // Unwind safe: the body touches its own state, or state behind locks that survive a panic.
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
/// `pointer` is NULL or points to a `T` that lives for `'a` and is not modified meanwhile.
pub(crate) unsafe fn reference<'a, T>(pointer: *const T, argument: &'static str) -> Result<&'a T, Error> {
    // SAFETY: guaranteed by the caller.
    unsafe { pointer.as_ref() }.ok_or(Error::Null(argument))
}

/// # Safety
/// `pointer` is NULL or points to a NUL-terminated string that lives for `'a` and is not modified meanwhile.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, argument: &'static str) -> Result<&'a str, Error> {
    // SAFETY: guaranteed by the caller.
    unsafe { optional_text(pointer, argument) }?.ok_or(Error::Null(argument))
}

/// # Safety
/// As for [`text`].
pub(crate) unsafe fn optional_text<'a>(
    pointer: *const c_char,
    argument: &'static str,
) -> Result<Option<&'a str>, Error> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: guaranteed by the caller, and not NULL.
    let text = unsafe { CStr::from_ptr(pointer) };
    let text = text.to_str().map_err(|error| Error::NotUtf8 {
        argument,
        at: error.valid_up_to(),
    })?;
    Ok(Some(text))
}

/// Hands a string over to C, to be freed with `isopod_string_free`. Does nothing if `out` is NULL.
///
/// # Safety
/// `out` is NULL or writable.
pub(crate) unsafe fn give_text(out: *mut *mut c_char, text: impl FnOnce() -> String) {
    if !out.is_null() {
        // SAFETY: guaranteed by the caller, and not NULL.
        unsafe { out.write(last_error::text(text()).into_raw()) };
    }
}

/// Sets a result to NULL, so that it is defined on every path.
///
/// # Safety
/// `out` is NULL or writable.
pub(crate) unsafe fn clear<T>(out: *mut *mut T) {
    if !out.is_null() {
        // SAFETY: guaranteed by the caller, and not NULL.
        unsafe { out.write(std::ptr::null_mut()) };
    }
}
