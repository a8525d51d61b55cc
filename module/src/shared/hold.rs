//! The number of bodies that are kept in shared memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Limits how many received bodies stay in shared memory while they are used; further ones are copied. A side that kept all
/// slots would leave none to the sender.
#[derive(Debug)]
pub struct Holds {
    free: AtomicUsize,
}

impl Holds {
    /// Creates a limit.
    #[must_use]
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            free: AtomicUsize::new(max),
        })
    }

    pub(super) fn take(self: &Arc<Self>) -> Option<Hold> {
        let less = |free: usize| free.checked_sub(1);
        let taken = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok().then(|| Hold(Arc::clone(self)))
    }
}

/// One body that is kept.
#[derive(Debug)]
pub(super) struct Hold(Arc<Holds>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_free_again_when_it_is_dropped() {
        let holds = Holds::new(2);
        let (first, second) = (holds.take(), holds.take());
        assert!(first.is_some() && second.is_some() && holds.take().is_none());
        drop(first);
        assert!(holds.take().is_some());
    }
}
