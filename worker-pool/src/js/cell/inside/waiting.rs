//! Events that the worker has not begun. They can be given back: nothing of them has been touched.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use isopod_runtime::handlers::Event as JsEvent;
use tokio::sync::mpsc;

use crate::engine::SlotId;
use crate::js::cell::wire::Report;

/// An event to be begun.
pub(super) struct Begin {
    /// Makes it of its written form, with what it brings. `None`: it is invalid, and its caller has been told.
    pub(super) make: Box<dyn FnOnce() -> Option<JsEvent> + Send>,
    pub(super) stop_at: Option<Instant>,
    /// Gets each turn of the event; it has room for all.
    pub(super) turns: mpsc::Sender<Report>,
}

/// The events that the worker has not begun, by slot.
#[derive(Default)]
pub(super) struct Waiting(Mutex<Events>);

#[derive(Default)]
struct Events {
    begins: HashMap<SlotId, Begin>,
    /// Number of long turns that the pool has been told of.
    long_turns: u64,
    is_closed: bool,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Events> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event that the pool sent when it had heard of this number of long turns. `false`: it is given back. One that was sent before
    /// is, whether it has come before or after the turn began, so that events are never begun in another order than they were sent.
    pub(super) fn add(&self, slot: SlotId, long_turns: u64, begin: Begin) -> bool {
        let mut events = self.lock();
        let is_wanted = !events.is_closed && long_turns >= events.long_turns;
        if is_wanted {
            events.begins.insert(slot, begin);
        }
        is_wanted
    }

    /// Takes an event, for the worker to begin. `None`: it has been given back.
    pub(super) fn take(&self, slot: SlotId) -> Option<Begin> {
        self.lock().begins.remove(&slot)
    }

    /// Gives back what waits behind a long turn, of which the pool has been told.
    pub(super) fn long_turn(&self) {
        let mut events = self.lock();
        events.long_turns += 1;
        let begins = std::mem::take(&mut events.begins);
        drop(events);
        give_back(begins);
    }

    /// Gives back all that is not begun, now and later: the worker is condemned.
    pub(super) fn close(&self) {
        let mut events = self.lock();
        events.is_closed = true;
        let begins = std::mem::take(&mut events.begins);
        drop(events);
        give_back(begins);
    }
}

fn give_back(begins: HashMap<SlotId, Begin>) {
    for begin in begins.into_values() {
        drop(begin.turns.try_send(Report::Unbegun));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(index: u32) -> SlotId {
        SlotId { index, generation: 1 }
    }

    fn begin() -> (Begin, mpsc::Receiver<Report>) {
        let (turns, turned) = mpsc::channel(1);
        let begin = Begin {
            make: Box::new(|| None),
            stop_at: None,
            turns,
        };
        (begin, turned)
    }

    #[test]
    fn events_sent_before_a_long_turn_was_known_are_given_back() {
        let waiting = Waiting::default();
        let (begins, (behind, mut told)) = (begin().0, begin());
        assert!(waiting.add(slot(0), 0, begins) && waiting.add(slot(1), 0, behind));
        assert!(waiting.take(slot(0)).is_some());
        waiting.long_turn();
        assert!(matches!(told.try_recv(), Ok(Report::Unbegun)) && waiting.take(slot(1)).is_none());
        assert!(!waiting.add(slot(2), 0, begin().0));
        assert!(waiting.add(slot(3), 1, begin().0) && waiting.take(slot(3)).is_some());
    }

    #[test]
    fn a_closed_list_gives_everything_back() {
        let waiting = Waiting::default();
        let (behind, mut told) = begin();
        assert!(waiting.add(slot(0), 0, behind));
        waiting.close();
        assert!(matches!(told.try_recv(), Ok(Report::Unbegun)));
        assert!(!waiting.add(slot(1), 9, begin().0) && waiting.take(slot(0)).is_none());
    }
}
