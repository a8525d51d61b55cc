//! The last error of a thread, as C expects it: set by a call that failed, read by the calls that follow on that thread.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::time::Duration;

use crate::status::{Error, Status};

/// What was kept of an error, its texts ready to be pointed to.
struct Kept {
    status: Status,
    message: CString,
    detail: Option<CString>,
    retry_after: Option<Duration>,
}

thread_local! {
    static LAST: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// Keeps an error; gives its status, to be returned.
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
    // A thread that is about to end has no place for it any more; it cannot read it either.
    let _ = LAST.try_with(|last| *last.borrow_mut() = Some(kept));
    status
}

pub(crate) fn status() -> Status {
    read(|kept| kept.status).unwrap_or(Status::Ok)
}

/// Points into what is kept for this thread: good until the next error of it.
pub(crate) fn message() -> *const c_char {
    read(|kept| kept.message.as_ptr()).unwrap_or(std::ptr::null())
}

/// As [`message`].
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

/// Text as C has it: a NUL would end it early.
pub(crate) fn text(text: String) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).expect("every NUL was replaced")
}
