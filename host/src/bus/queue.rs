//! The bounded queue of one subscription: any number of publishers, one reader. A publisher never waits. Messages without
//! room are lost, and their number is reported at the place where they are missing.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

// The parent module decides the lock: `bus` has the real one, `bus::schedules` a simulated one.
use super::lock::{Mutex, MutexGuard};

/// Policy for messages that a subscriber is too slow for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Slow {
    /// The oldest queued messages are lost: the subscriber sees the newest.
    #[default]
    DropOldest,
    /// New messages are lost: the subscriber sees the oldest.
    DropNewest,
    /// The subscription ends after its queued messages are read: the subscriber sees every message, or knows that it does not.
    Disconnect,
}

/// The reason why a subscription ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The bus or the subscription was closed, or the bus's last handle was dropped.
    Closed,
    /// It was too slow, and [`Slow::Disconnect`] is its policy.
    Slow,
}

/// Result of pushing a message.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pushed {
    /// The message was queued.
    Queued,
    /// A message was lost; `first` if the reader has read every message before it, or knows of its loss.
    Lost { first: bool },
    /// The queue has just ended because of this message.
    Disconnected,
    /// The queue had ended before.
    Ended,
}

/// An item of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item<T> {
    Value(T),
    /// This many messages are missing here.
    Lost(u64),
}

#[derive(Debug)]
pub(super) struct Queue<T>(Mutex<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    waiting: VecDeque<Slot<T>>,
    capacity: usize,
    slow: Slow,
    /// Number of messages lost after the last queued one.
    lost: u64,
    /// A loss is not yet reported to the reader.
    lagging: bool,
    end: Option<End>,
    reader: Option<Waker>,
}

#[derive(Debug)]
struct Slot<T> {
    /// Number of messages lost just before this one.
    lost: u64,
    value: T,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize, slow: Slow) -> Self {
        Self(Mutex::new(Inner {
            waiting: VecDeque::new(),
            capacity: capacity.max(1),
            slow,
            lost: 0,
            lagging: false,
            end: None,
            reader: None,
        }))
    }

    pub(super) fn push(&self, value: T) -> Pushed {
        // Messages are dropped and the reader is woken outside of the lock, because both may run other code.
        let (pushed, _oldest, reader) = {
            let mut inner = self.lock();
            let (pushed, oldest) = inner.push(value);
            (pushed, oldest, inner.reader.take())
        };
        if let Some(reader) = reader {
            reader.wake();
        }
        pushed
    }

    /// Ends the queue; queued messages can still be read. Only the first reason counts.
    pub(super) fn end(&self, end: End) {
        let reader = {
            let mut inner = self.lock();
            inner.end.get_or_insert(end);
            inner.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Ends the queue and drops the queued messages: its reader is gone.
    pub(super) fn abandon(&self) {
        let _waiting = {
            let mut inner = self.lock();
            inner.end.get_or_insert(End::Closed);
            inner.reader = None;
            std::mem::take(&mut inner.waiting)
        };
    }

    /// Returns the next item if there is one now. `None`: there will never be one.
    pub(super) fn try_pop(&self) -> Poll<Option<Item<T>>> {
        self.lock().pop()
    }

    /// Polls the next item; stores the waker if there is none.
    pub(super) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<Item<T>>> {
        let mut inner = self.lock();
        let popped = inner.pop();
        if popped.is_pending() {
            match &mut inner.reader {
                Some(reader) => reader.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
        }
        popped
    }

    pub(super) fn ended(&self) -> Option<End> {
        self.lock().end
    }

    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Inner<T> {
    fn push(&mut self, value: T) -> (Pushed, Option<T>) {
        if self.end.is_some() {
            return (Pushed::Ended, Some(value));
        }
        if self.waiting.len() < self.capacity {
            self.append(value);
            return (Pushed::Queued, None);
        }
        let first = !std::mem::replace(&mut self.lagging, true);
        match self.slow {
            Slow::DropOldest => {
                let oldest = self.waiting.pop_front();
                let missing = oldest.as_ref().map_or(0, |slot| slot.lost + 1);
                self.append(value);
                // The gap is before the message that is now the oldest.
                if let Some(front) = self.waiting.front_mut() {
                    front.lost += missing;
                }
                (Pushed::Lost { first }, oldest.map(|slot| slot.value))
            }
            Slow::DropNewest => {
                self.lost += 1;
                (Pushed::Lost { first }, Some(value))
            }
            Slow::Disconnect => {
                self.lost += 1;
                self.end = Some(End::Slow);
                (Pushed::Disconnected, Some(value))
            }
        }
    }

    fn append(&mut self, value: T) {
        let lost = std::mem::take(&mut self.lost);
        self.waiting.push_back(Slot { lost, value });
    }

    fn pop(&mut self) -> Poll<Option<Item<T>>> {
        if let Some(front) = self.waiting.front_mut() {
            let lost = std::mem::take(&mut front.lost);
            if lost > 0 {
                self.lagging = self.lost > 0;
                return Poll::Ready(Some(Item::Lost(lost)));
            }
            return Poll::Ready(self.waiting.pop_front().map(|slot| Item::Value(slot.value)));
        }
        match std::mem::take(&mut self.lost) {
            0 if self.end.is_some() => Poll::Ready(None),
            0 => Poll::Pending,
            lost => {
                self.lagging = false;
                Poll::Ready(Some(Item::Lost(lost)))
            }
        }
    }
}
