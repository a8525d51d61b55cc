//! Calls of other workers that the worker of a thread waits for.

use std::cell::Cell;

thread_local! {
    /// A thread has one worker at a time.
    static AWAITED: Cell<usize> = const { Cell::new(0) };
}

/// Counts a call until it is answered, or no longer wanted.
struct Counted;

impl Counted {
    fn new() -> Self {
        AWAITED.set(AWAITED.get() + 1);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // While a thread ends, there may be no counter any more.
        let _ = AWAITED.try_with(|awaited| awaited.set(awaited.get().saturating_sub(1)));
    }
}

/// Waits for the answer to a call.
pub(crate) async fn awaited<T>(call: impl Future<Output = T>) -> T {
    let _counted = Counted::new();
    call.await
}

/// Returns whether the worker of this thread waits for the answer of another worker or a fetcher, which comes from another thread
/// and may come at once.
#[must_use]
pub fn is_awaited() -> bool {
    AWAITED.get() > 0
}
