//! A worker's mailbox, which also wakes the worker.
//!
//! The pool posts under its own lock, so that the content always agrees with the pool's state. The only consumer is the
//! worker's event loop, which is woken only while it sleeps, and checks the mailbox once more before it sleeps.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::sync::{Mutex, MutexGuard};

/// A bounded queue with one consumer, and the waker of that consumer's worker.
pub(crate) struct Mailbox<T> {
    len_max: usize,
    inner: Mutex<Inner<T>>,
}

struct Inner<T> {
    queue: VecDeque<T>,
    /// The worker was woken since the mailbox was last found empty.
    rung: bool,
    /// Waker of the consumer, while it sleeps.
    sleeper: Option<Waker>,
}

/// Result of trying to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Park {
    /// The consumer may sleep, and will be woken.
    Asleep,
    /// The mailbox has mail.
    Mail,
    /// Its worker was woken while it was being polled.
    Rung,
}

impl<T> Mailbox<T> {
    pub(crate) fn new(len_max: usize) -> Self {
        Self {
            len_max,
            inner: Mutex::new(Inner {
                queue: VecDeque::new(),
                rung: false,
                sleeper: None,
            }),
        }
    }

    /// Adds a message. Returns the waker of a sleeping consumer. A full mailbox returns the message.
    pub(crate) fn post(&self, mail: T) -> Result<Option<Waker>, T> {
        let mut inner = self.lock();
        if inner.queue.len() >= self.len_max {
            return Err(mail);
        }
        inner.queue.push_back(mail);
        Ok(inner.sleeper.take())
    }

    /// Returns the next message. If there is none, forgets earlier wakes, because the consumer polls its worker next.
    pub(crate) fn take(&self) -> Option<T> {
        let mut inner = self.lock();
        inner.sleeper = None;
        let mail = inner.queue.pop_front();
        inner.rung &= mail.is_some();
        mail
    }

    /// Returns the minimum of the results of `look`, and the number of messages with a result.
    pub(crate) fn least<R: Ord>(&self, look: impl Fn(&T) -> Option<R>) -> (Option<R>, usize) {
        let inner = self.lock();
        let found = inner.queue.iter().filter_map(look);
        found.fold((None, 0), |(least, count), found| match least {
            Some(least) if least <= found => (Some(least), count + 1),
            _ => (Some(found), count + 1),
        })
    }

    /// Removes and returns the messages that match.
    pub(crate) fn take_where(&self, is: impl Fn(&T) -> bool) -> Vec<T> {
        let mut inner = self.lock();
        if !inner.queue.iter().any(&is) {
            return Vec::new();
        }
        let (taken, left): (VecDeque<_>, _) = std::mem::take(&mut inner.queue).into_iter().partition(is);
        inner.queue = left;
        taken.into()
    }

    /// Puts a message back, in front of the first one that `is_later`, however full it is.
    pub(crate) fn put_back(&self, mail: T, is_later: impl Fn(&T) -> bool) {
        let mut inner = self.lock();
        let at = inner.queue.iter().position(is_later).unwrap_or(inner.queue.len());
        inner.queue.insert(at, mail);
    }

    /// Returns the remaining mail. Called after the last post.
    pub(crate) fn drain(&self) -> VecDeque<T> {
        std::mem::take(&mut self.lock().queue)
    }

    /// Returns whether there is work: mail, or a woken worker.
    pub(crate) fn stirs(&self) -> bool {
        let inner = self.lock();
        inner.rung || !inner.queue.is_empty()
    }

    /// Stores the waker of the consumer before it sleeps, unless there is work.
    pub(crate) fn park(&self, waker: &Waker) -> Park {
        let mut inner = self.lock();
        if !inner.queue.is_empty() {
            Park::Mail
        } else if inner.rung {
            Park::Rung
        } else {
            inner.sleeper = Some(waker.clone());
            Park::Asleep
        }
    }

    /// Prepares for polling the worker without reading mail: forgets earlier wakes, and stores the waker for the next wake
    /// or mail.
    pub(crate) fn look_away(&self, waker: &Waker) {
        let mut inner = self.lock();
        inner.rung = false;
        inner.sleeper = Some(waker.clone());
    }

    /// Ready as soon as there is a message, which stays where it is.
    pub(crate) fn poll_mail(&self, cx: &Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if inner.queue.is_empty() {
            inner.sleeper = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        // Nothing in here panics, so a poisoned mailbox is still consistent.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The worker's waker.
impl<T: Send> Wake for Mailbox<T> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let sleeper = {
            let mut inner = self.lock();
            inner.rung = true;
            inner.sleeper.take()
        };
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }
}
