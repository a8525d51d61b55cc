//! Converts panics of op bodies to errors.
//!
//! V8 calls ops through `extern "C"`, where an unwinding panic aborts the process. Every op body of more than a few
//! lines therefore runs inside these functions.

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use futures::FutureExt;

/// A caught panic with its message.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[class(generic)]
#[error("internal error in a native operation: {0}")]
pub struct Panicked(String);

thread_local! {
    /// True if an op of this thread's worker has panicked. A thread has one worker at a time.
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Returns true if an op body has panicked on this thread since the last call. Its state may be inconsistent: the
/// worker has to be replaced.
pub fn take_panicked() -> bool {
    PANICKED.take()
}

fn caught(payload: Box<dyn Any + Send>) -> Panicked {
    PANICKED.set(true);
    Panicked(message(&*payload))
}

/// Runs a synchronous op body.
///
/// # Errors
///
/// The panic, if it panics. The worker is replaced afterwards.
pub fn catch<T>(body: impl FnOnce() -> T) -> Result<T, Panicked> {
    // The body's state belongs to the worker, which is replaced after a panic.
    catch_unwind(AssertUnwindSafe(body)).map_err(caught)
}

/// Runs code of an embedder outside of ops. `None`: it panicked, and only its result is lost.
pub(crate) fn catch_quietly<T>(body: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(body)).ok()
}

/// Runs an asynchronous op body.
pub(crate) async fn catch_async<T>(body: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(body).catch_unwind().await.map_err(caught)
}

/// The message of a panic.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "panic without a message".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{catch, catch_async};

    #[test]
    fn a_panic_becomes_an_error_with_its_message() {
        let error = catch(|| -> u32 { panic!("at {}", 7) }).unwrap_err();
        assert!(error.to_string().contains("at 7"), "{error}");
        let error = futures::executor::block_on(catch_async(async { panic!("later") }))
            .map(|(): ()| ())
            .unwrap_err();
        assert!(error.to_string().contains("later"), "{error}");
    }
}
