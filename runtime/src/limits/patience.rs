//! Tells native code on a worker's thread that it has to end: the start takes too long, or the running turn was ended.
//!
//! V8 terminates JavaScript only. Code that loads modules, or waits for a thread that parses one, asks here.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Weak};
use std::time::Instant;

use isopod_ext::event::CpuAccount;

use super::watchdog::Watched;

thread_local! {
    /// The deadline of the worker that starts on this thread.
    static STARTS_UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
    /// The isolate of this thread.
    static WORKER: RefCell<Weak<Watched>> = const { RefCell::new(Weak::new()) };
}

/// A start with a deadline. Ends when it is dropped.
pub(crate) struct Start(());

impl Start {
    /// Sets the deadline of the worker that starts on this thread.
    pub(crate) fn until(deadline: Option<Instant>) -> Self {
        STARTS_UNTIL.set(deadline);
        Self(())
    }
}

impl Drop for Start {
    fn drop(&mut self) {
        // The thread may be ending.
        STARTS_UNTIL.try_with(|until| until.set(None)).unwrap_or_default();
    }
}

/// Makes this thread end with the turns of this isolate, the thread's only one.
pub(crate) fn follow(worker: &Arc<Watched>) {
    WORKER.set(Arc::downgrade(worker));
}

/// Returns true if the deadline of the start has passed, or the turn that runs on this thread was ended.
pub(crate) fn has_to_stop() -> bool {
    STARTS_UNTIL.get().is_some_and(|until| Instant::now() >= until)
        || WORKER.with_borrow(|worker| worker.upgrade().is_some_and(|worker| worker.is_ending()))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Start, has_to_stop};

    #[test]
    fn a_start_has_to_stop_at_its_deadline() {
        assert!(!has_to_stop());
        let start = Start::until(Some(Instant::now()));
        assert!(has_to_stop());
        drop(start);
        assert!(!has_to_stop());
        let _start = Start::until(None);
        assert!(!has_to_stop());
    }
}
