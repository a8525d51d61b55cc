//! The last error of each thread: set by a call that failed, read by later calls on that thread.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::time::Duration;

use crate::status::{Error, Status};

/// A recorded error, with its strings in C's form.
struct Kept {
    status: Status,
    message: CString,
    detail: Option<CString>,
    retry_after: Option<Duration>,
}

thread_local! {
    static LAST: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// Records an error, and returns its status.
pub(crate) fn set(error: &Error) -> Status {
    let (detail, retry_after) = match error {
        Error::Event(failure) => (failure.detail.clone(), failure.retry_after),
        _ => (None, None),
    };
    let kept = Kept {
        status: error.status(),
        message: text(error.message()),
        detail: detail.map(text),
        retry_after,
    };
    let status = kept.status;
    // A thread that is ending has no slot any more, and cannot read the error either.
    let _ = LAST.try_with(|last| *last.borrow_mut() = Some(kept));
    status
}

pub(crate) fn status() -> Status {
    read(|kept| kept.status).unwrap_or(Status::Ok)
}

/// The message recorded for this thread, valid until its next error.
pub(crate) fn message() -> *const c_char {
    read(|kept| kept.message.as_ptr()).unwrap_or(std::ptr::null())
}

/// The detail, valid as for [`message`].
pub(crate) fn detail() -> *const c_char {
    read(|kept| kept.detail.as_ref().map(|detail| detail.as_ptr()))
        .flatten()
        .unwrap_or(std::ptr::null())
}

pub(crate) fn retry_after() -> Duration {
    read(|kept| kept.retry_after).flatten().unwrap_or_default()
}

fn read<R>(look: impl FnOnce(&Kept) -> R) -> Option<R> {
    LAST.try_with(|last| last.borrow().as_ref().map(look)).ok().flatten()
}

/// Converts a string for C, without the NUL characters that would end it early.
pub(crate) fn text(text: String) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).expect("every NUL was replaced")
}
