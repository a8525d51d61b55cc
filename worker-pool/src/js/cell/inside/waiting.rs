//! Events that the worker has not begun. They can be returned to the pool, because nothing of them was used.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use isopod_runtime::Begun;
use isopod_runtime::handlers::Event as JsEvent;
use tokio::sync::mpsc;

use crate::engine::SlotId;
use crate::js::cell::wire::Report;

/// A received event that has not begun.
pub(super) struct Begin {
    /// The number of its stream.
    pub(super) number: u64,
    /// Creates the event from its written form. Returns `None` if it is invalid; its caller has been answered.
    pub(super) make: Box<dyn FnOnce() -> Option<JsEvent> + Send>,
    pub(super) stop_at: Option<Instant>,
    /// Receives each turn of the event; it has room for all.
    pub(super) turns: mpsc::Sender<Report>,
}

/// The events that the worker has not begun, by slot.
pub(super) struct Waiting {
    events: Mutex<Events>,
    /// Those that it has begun, as the pool knows them after the end of this process.
    begun: Begun,
}

#[derive(Default)]
struct Events {
    begins: HashMap<SlotId, Begin>,
    /// Number of long turns that were reported to the pool.
    long_turns: u64,
    is_closed: bool,
}

impl Waiting {
    pub(super) fn new(begun: Begun) -> Self {
        Self {
            events: Mutex::default(),
            begun,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an event that the pool sent when this number of long turns had been reported to it. Returns `false` if the event goes
    /// back, because a long turn has been reported since: events then begin in the order in which they were sent.
    pub(super) fn add(&self, slot: SlotId, long_turns: u64, begin: Begin) -> bool {
        let mut events = self.lock();
        let is_wanted = !events.is_closed && long_turns >= events.long_turns;
        if is_wanted {
            events.begins.insert(slot, begin);
        }
        is_wanted
    }

    /// Takes an event to begin it; `None` if it was returned to the pool.
    pub(super) fn take(&self, slot: SlotId) -> Option<Begin> {
        let begin = self.lock().begins.remove(&slot)?;
        self.begun.begins(begin.number);
        Some(begin)
    }

    /// Returns the events that wait behind a long turn to the pool, and counts the turn as reported.
    pub(super) fn long_turn(&self) {
        let mut events = self.lock();
        events.long_turns += 1;
        let begins = std::mem::take(&mut events.begins);
        drop(events);
        give_back(begins);
    }

    /// Returns all events that have not begun, now and later, because the worker is condemned.
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
    use std::os::unix::net::UnixStream;

    use super::*;

    fn slot(index: u32) -> SlotId {
        SlotId { index, generation: 1 }
    }

    /// The events of a process, and what its pool reads about them.
    fn waiting() -> (Waiting, Begun) {
        let (to, from) = UnixStream::pair().unwrap();
        let known = Begun::create(&to).unwrap();
        (Waiting::new(Begun::receive(&from).unwrap()), known)
    }

    fn begin(number: u64) -> (Begin, mpsc::Receiver<Report>) {
        let (turns, turned) = mpsc::channel(1);
        let begin = Begin {
            number,
            make: Box::new(|| None),
            stop_at: None,
            turns,
        };
        (begin, turned)
    }

    #[test]
    fn events_sent_before_a_long_turn_was_known_are_given_back() {
        let (waiting, known) = waiting();
        let (begins, (behind, mut told)) = (begin(0).0, begin(1));
        assert!(waiting.add(slot(0), 0, begins) && waiting.add(slot(1), 0, behind));
        assert!(!known.may_have_begun(0));
        assert!(waiting.take(slot(0)).is_some() && known.may_have_begun(0));
        waiting.long_turn();
        assert!(matches!(told.try_recv(), Ok(Report::Unbegun)) && waiting.take(slot(1)).is_none());
        assert!(!waiting.add(slot(2), 0, begin(2).0));
        assert!(waiting.add(slot(3), 1, begin(3).0) && waiting.take(slot(3)).is_some());
        let begun = [0, 1, 2, 3].map(|number| known.may_have_begun(number));
        assert_eq!(begun, [true, false, false, true]);
    }

    #[test]
    fn a_closed_list_gives_everything_back() {
        let (waiting, _) = waiting();
        let (behind, mut told) = begin(0);
        assert!(waiting.add(slot(0), 0, behind));
        waiting.close();
        assert!(matches!(told.try_recv(), Ok(Report::Unbegun)));
        assert!(!waiting.add(slot(1), 9, begin(1).0) && waiting.take(slot(0)).is_none());
    }
}
