//! The room in a worker's memory for bodies that are read whole: decides which of the waiting events is next.
//!
//! An event without room waits for others to end. Waiting events are served one after another, oldest first. If every
//! event that holds a body waits for more, none would ever end, so the youngest of them is refused.

use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Notify;

use super::EventKey;

/// An event's share of the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    /// True if it may hold a body.
    holds: bool,
    /// Number of its bodies that wait.
    waiting: u32,
    /// True if it has been refused.
    refused: bool,
}

/// The state of a waiting event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It is the event's turn to check for room.
    Look,
    /// It has to wait for others.
    On,
    /// There will be no room.
    Refused,
}

/// The shares of the open events. An event has one from when it holds a body or waits for room until it ends.
#[derive(Default)]
pub(crate) struct Room {
    shares: BTreeMap<EventKey, Share>,
    /// Notified when an event that may have held a body has ended, and when another becomes the oldest waiting one.
    pub(crate) changed: Rc<Notify>,
}

impl Room {
    /// Records that an open event has found room, and whether it holds a body now. There may be room for the next as
    /// well.
    pub(crate) fn found(&mut self, key: EventKey, holds: bool) {
        if holds {
            self.shares.entry(key).or_default().holds = true;
        }
        self.changed.notify_waiters();
    }

    /// Records that another body of an open event is waiting.
    pub(crate) fn begin_wait(&mut self, key: EventKey) {
        self.shares.entry(key).or_default().waiting += 1;
    }

    /// Records that one body less is waiting; the event may have ended.
    pub(crate) fn end_wait(&mut self, key: EventKey) {
        if let Some(share) = self.shares.get_mut(&key) {
            share.waiting -= 1;
        }
    }

    /// Returns true if an older event is waiting, which has precedence.
    pub(crate) fn waits_behind(&self, key: EventKey) -> bool {
        self.shares.range(..key).any(|(_, share)| share.waiting > 0)
    }

    /// The state of a waiting event. A refusal is reported once.
    pub(crate) fn turn(&mut self, key: EventKey) -> Wait {
        let share = self.shares.get_mut(&key);
        let refused = share.is_none_or(|share| std::mem::take(&mut share.refused));
        match (refused, self.waits_behind(key)) {
            (true, _) => Wait::Refused,
            (false, true) => Wait::On,
            (false, false) => Wait::Look,
        }
    }

    /// Records that the oldest waiting event has found no room. If no other event will release any, a waiting one is
    /// refused.
    pub(crate) fn found_none(&mut self, key: EventKey) -> Wait {
        if self.shares.values().any(|share| share.holds && share.waiting == 0) {
            return Wait::On;
        }
        let mut holders = self
            .shares
            .iter_mut()
            .filter(|(_, share)| share.holds && !share.refused);
        match holders.next_back() {
            Some((youngest, share)) if *youngest > key => {
                share.refused = true;
                self.changed.notify_waiters();
                Wait::On
            }
            _ => Wait::Refused,
        }
    }

    /// Removes an ended event.
    pub(crate) fn ended(&mut self, key: EventKey) {
        self.shares.remove(&key);
        self.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(shares: &[(EventKey, bool, u32)]) -> Room {
        let mut room = Room::default();
        shares.iter().for_each(|share| set(&mut room, *share));
        room
    }

    fn set(room: &mut Room, (key, holds, waiting): (EventKey, bool, u32)) {
        let refused = false;
        let share = Share {
            holds,
            waiting,
            refused,
        };
        room.shares.insert(key, share);
    }

    #[test]
    fn the_oldest_waiting_event_checks_first() {
        let mut room = room(&[(1, true, 0), (2, false, 1), (3, false, 1)]);
        assert_eq!((room.turn(2), room.turn(3)), (Wait::Look, Wait::On));
        assert_eq!(room.found_none(2), Wait::On, "the first will release some");
        room.ended(2);
        assert_eq!((room.turn(2), room.turn(3)), (Wait::Refused, Wait::Look));
    }

    #[test]
    fn the_youngest_waiter_is_refused_in_a_deadlock() {
        let mut room = room(&[(1, true, 1), (2, true, 1), (3, false, 1)]);
        assert_eq!(room.found_none(1), Wait::On);
        assert_eq!((room.turn(2), room.turn(3)), (Wait::Refused, Wait::On));
        set(&mut room, (2, true, 0));
        assert_eq!(room.found_none(1), Wait::On, "it has not ended yet");
        room.ended(2);
        assert_eq!((room.turn(1), room.found_none(1)), (Wait::Look, Wait::Refused));
    }

    #[test]
    fn room_is_offered_to_waiting_events_in_turn() {
        let mut room = room(&[(1, true, 0), (2, false, 1), (3, false, 1)]);
        let changed = Rc::clone(&room.changed);
        for holds in [false, true] {
            let mut told = std::pin::pin!(changed.notified());
            told.as_mut().enable();
            room.end_wait(2);
            assert_eq!(room.turn(3), Wait::Look);
            room.found(2, holds);
            assert!(futures::FutureExt::now_or_never(told).is_some());
            room.begin_wait(2);
        }
    }
}
