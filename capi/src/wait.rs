//! Waits for a future on the caller's thread until a deadline. Works inside any executor, including in a callback.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Returns the future's output, or `None` if the deadline passed first. The future is dropped in either case.
pub(crate) fn until<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let unpark = Arc::new(Unpark {
        thread: thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        // Other code may unpark this thread as well; only the flag is specific to this future.
        while !unpark.woken.swap(false, Ordering::Acquire) {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match left {
                Some(Duration::ZERO) => return None,
                Some(left) => thread::park_timeout(left),
                None => thread::park(),
            }
        }
    }
}

/// The deadline for a timeout in milliseconds. `None` for 0, and for a time beyond the clock's range.
pub(crate) fn deadline(timeout_ms: u64) -> Option<Instant> {
    let timeout = Duration::from_millis(timeout_ms);
    (timeout_ms > 0).then(|| Instant::now().checked_add(timeout)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wake_ups_from_other_threads_are_awaited() {
        let (sender, receiver) = futures::channel::oneshot::channel();
        let thread = thread::spawn(move || sender.send(3));
        assert_eq!(until(deadline(60_000), receiver), Some(Ok(3)));
        assert!(thread.join().is_ok());
    }

    #[test]
    fn endless_work_is_dropped_at_the_deadline() {
        thread::current().unpark();
        assert_eq!(until(deadline(10), std::future::pending::<()>()), None);
    }

    #[test]
    fn no_time_is_no_limit_and_the_longest_one_is_no_panic() {
        assert_eq!(deadline(0), None);
        assert!(deadline(1).is_some());
        let longest = deadline(u64::MAX);
        assert_eq!(until(longest, std::future::ready(3)), Some(3));
    }
}
