//! A task's window: the number of bytes that it may send before the host reads more.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Debug)]
pub(crate) struct Window {
    left: Mutex<i64>,
    grown: Notify,
}

impl Window {
    pub(crate) fn new(bytes: u64) -> Self {
        Self {
            left: Mutex::new(i64::try_from(bytes).unwrap_or(i64::MAX)),
            grown: Notify::new(),
        }
    }

    /// Waits until the window is open, and takes this number of bytes, which may leave it negative.
    pub(crate) async fn take(&self, bytes: u64) {
        loop {
            // Created before the check, so that no growth is missed.
            let grown = self.grown.notified();
            if self.try_take(bytes) {
                return;
            }
            grown.await;
        }
    }

    fn try_take(&self, bytes: u64) -> bool {
        let mut left = self.lock();
        let open = *left > 0;
        if open {
            *left = left.saturating_sub_unsigned(bytes);
            // The next waiter may proceed too.
            if *left > 0 {
                self.grown.notify_one();
            }
        }
        open
    }

    pub(crate) fn grow(&self, bytes: u64) {
        {
            let mut left = self.lock();
            *left = left.saturating_add_unsigned(bytes);
        }
        self.grown.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, i64> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_window_may_be_overdrawn_once() {
        let window = Window::new(10);
        assert!(window.take(25).now_or_never().is_some());
        assert!(window.take(1).now_or_never().is_none());
        window.grow(15);
        assert!(window.take(1).now_or_never().is_none());
        window.grow(1);
        assert!(window.take(1).now_or_never().is_some());
    }
}
