//! Slots of shared memory, for tasks that wait for one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::shared::{End, Loan};

/// The number of times that a body waits until the host has received all bodies before it. Then it goes over the socket:
/// the slots are used by buffers that are being written, or by others that wait.
const ROUNDS_MAX: u32 = 32;

/// The module's side of the shared memory. The host says when it has received what was sent; nothing is polled.
#[derive(Debug, Default)]
pub(crate) struct Room {
    end: Mutex<Option<Arc<End>>>,
    /// True while the host has not yet answered.
    asked: AtomicBool,
    answered: Notify,
}

impl Room {
    pub(crate) fn open(&self, end: Arc<End>) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    /// Takes a slot for a body of this length: `take` tries to, and `ask` asks the host to answer. Returns `None` if bodies of this
    /// length go over the socket, or if this one has waited often enough.
    pub(crate) async fn slot<A>(
        &self,
        length: usize,
        take: impl Fn(&End) -> Option<Loan>,
        ask: impl Fn() -> A,
    ) -> Option<Loan>
    where
        A: Future<Output = bool>,
    {
        for _ in 0..ROUNDS_MAX {
            // Created before the attempt, so that no answer is missed.
            let answered = self.answered.notified();
            let end = self.end()?;
            if !end.takes(length) {
                return None;
            }
            if let Some(loan) = take(&end) {
                return Some(loan);
            }
            drop(end);
            if !self.asked.swap(true, Ordering::Relaxed) && !ask().await {
                return None;
            }
            answered.await;
        }
        self.end().and_then(|end| take(&end))
    }

    /// The host has received all bodies that were sent before it was asked.
    pub(crate) fn answer(&self) {
        self.asked.store(false, Ordering::Relaxed);
        self.answered.notify_waiters();
    }

    /// Ends all waits. Further bodies go over the socket.
    pub(crate) fn close(&self) {
        drop(self.end.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.answered.notify_waiters();
    }

    fn end(&self) -> Option<Arc<End>> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(all(test, feature = "shared-memory"))]
mod tests {
    use std::future::ready;
    use std::pin::pin;
    use std::sync::atomic::AtomicU32;

    use futures::FutureExt;

    use super::*;
    use crate::shared::pair::{MIB, Pair, pair};

    /// Fills all slots of a memory.
    fn full(of: &str) -> (Room, Pair) {
        let pair = pair(of);
        for _ in 0..4 {
            assert!(pair.module.slot(MIB).unwrap().send());
        }
        let room = Room::default();
        room.open(Arc::clone(&pair.module));
        (room, pair)
    }

    #[test]
    fn a_body_waits_until_the_host_has_received_those_before_it() {
        let (room, pair) = full("waits");
        let asked = AtomicU32::new(0);
        let ask = || {
            asked.fetch_add(1, Ordering::Relaxed);
            ready(true)
        };
        let mut first = pin!(room.slot(MIB, |end| end.slot(MIB), ask));
        let mut second = pin!(room.slot(MIB, |end| end.slot(MIB), ask));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        drop(pair.host.receive_copy(MIB).unwrap());
        room.answer();
        let slot = first.as_mut().now_or_never().flatten();
        assert!(slot.is_some());
        // There was room for one only.
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        drop(slot);
        room.answer();
        assert!(second.as_mut().now_or_never().flatten().is_some());
    }

    #[test]
    fn a_body_that_has_waited_often_enough_goes_over_the_socket() {
        let (room, _pair) = full("often");
        let mut wait = pin!(room.slot(MIB, |end| end.slot(MIB), || ready(true)));
        let answers = std::iter::from_fn(|| {
            let waits = wait.as_mut().now_or_never().is_none();
            room.answer();
            waits.then_some(())
        });
        assert_eq!(answers.count(), ROUNDS_MAX as usize);
    }

    #[test]
    fn the_end_of_the_host_ends_all_waits() {
        let (room, _pair) = full("ends");
        let mut wait = pin!(room.slot(MIB, |end| end.slot(MIB), || ready(true)));
        assert!(wait.as_mut().now_or_never().is_none());
        room.close();
        assert!(matches!(wait.now_or_never(), Some(None)));
    }

    #[test]
    fn small_bodies_do_not_wait() {
        let (room, _pair) = full("small");
        let wait = room.slot(1000, |end| end.slot(1000), || ready(true));
        assert!(matches!(wait.now_or_never(), Some(None)));
    }
}
