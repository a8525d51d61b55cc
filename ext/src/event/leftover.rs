//! Unfinished operations of ended events: timers, requests, bodies, calls of Rust functions.

use std::collections::{BTreeSet, HashMap};
use std::rc::{Rc, Weak};

use deno_core::CancelHandle;
use deno_error::JsErrorBox;

use super::keys::EventKey;

/// An operation that ends with the event that started it.
pub(crate) trait EndsWithEvent {
    fn event_ended(self: Rc<Self>);
}

impl EndsWithEvent for CancelHandle {
    fn event_ended(self: Rc<Self>) {
        self.cancel();
    }
}

/// The unfinished operations of an event.
#[derive(Default)]
pub(crate) struct UnderWay(Vec<Weak<dyn EndsWithEvent>>);

impl UnderWay {
    /// Ties an operation to the event. Its owner keeps it alive; a dropped operation is removed.
    pub(crate) fn add<T: EndsWithEvent + 'static>(&mut self, it: &Rc<T>) {
        if self.0.len() == self.0.capacity() {
            self.0.retain(|it| it.strong_count() > 0);
        }
        let it: Weak<T> = Rc::downgrade(it);
        self.0.push(it);
    }

    pub(crate) fn end(self) {
        self.0.iter().filter_map(Weak::upgrade).for_each(|it| it.event_ended());
    }
}

/// The error of an operation that was ended with its event.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[class("IsopodEventEnded")]
#[error("the event that started this has ended: pass work that continues after the answer to ctx.waitUntil()")]
pub struct EventEnded;

impl From<EventEnded> for JsErrorBox {
    fn from(ended: EventEnded) -> Self {
        Self::from_err(ended)
    }
}

/// The timers of a worker that belong to events.
#[derive(Default)]
pub(crate) struct Timers {
    owners: HashMap<i32, EventKey>,
    by_event: BTreeSet<(EventKey, i32)>,
    /// Timers of ended events, which JavaScript has to clear.
    leftover: Vec<i32>,
}

impl Timers {
    pub(crate) fn set(&mut self, timer: i32, event: EventKey) {
        self.owners.insert(timer, event);
        self.by_event.insert((event, timer));
    }

    pub(crate) fn gone(&mut self, timer: i32) {
        if let Some(event) = self.owners.remove(&timer) {
            self.by_event.remove(&(event, timer));
        }
    }

    pub(crate) fn event_ended(&mut self, event: EventKey) {
        let of_event = self.by_event.range((event, i32::MIN)..=(event, i32::MAX));
        self.leftover.extend(of_event.map(|(_, timer)| *timer));
    }

    pub(crate) fn take_leftover(&mut self) -> Vec<i32> {
        std::mem::take(&mut self.leftover)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn the_timers_that_an_event_leaves_are_given_once_and_only_its_own() {
        let mut timers = Timers::default();
        for (timer, event) in [(1, 7), (2, 8), (3, 7), (4, 7)] {
            timers.set(timer, event);
        }
        timers.gone(3);
        timers.event_ended(7);
        assert_eq!(timers.take_leftover(), [1, 4]);
        assert!(timers.take_leftover().is_empty());
        timers.gone(1);
        timers.gone(4);
        assert_eq!(timers.owners.len(), 1);
    }

    #[test]
    fn the_end_notifies_running_operations() {
        struct Flag(Cell<bool>);
        impl EndsWithEvent for Flag {
            fn event_ended(self: Rc<Self>) {
                self.0.set(true);
            }
        }
        let mut under_way = UnderWay::default();
        let lasting = Rc::new(Flag(Cell::new(false)));
        under_way.add(&lasting);
        for _ in 0..100 {
            under_way.add(&Rc::new(Flag(Cell::new(false))));
        }
        assert!(under_way.0.len() < 10, "{}", under_way.0.len());
        under_way.end();
        assert!(lasting.0.get());
    }
}
