//! The room in a worker's memory for bodies that are read whole. `collect.js` asks for it before it reads.
//!
//! Who finds none waits for other events to end: one after the other, the oldest event first. When all that hold some wait for more,
//! nobody would ever end: the youngest of them is told that there is none.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use deno_core::{OpState, op2};

use super::{EventKey, Events, events};

/// How long whoever waits for room waits at most before it looks again: what holds memory besides bodies tells nobody when it
/// gives it back.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What one event has of the room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// It may have a body in its hands.
    holds: bool,
    /// How many of its bodies wait.
    waiting: u32,
    /// It waits in vain.
    refused: bool,
}

/// What comes of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// It is its turn to look.
    Look,
    /// Others come first, or have something to give back.
    On,
    /// There will be no room.
    Refused,
}

impl Events {
    fn share(&mut self, key: EventKey) -> Option<&mut Share> {
        self.shares().find(|(other, _)| *other == key).map(|(_, share)| share)
    }

    /// Whether an older event waits, which is to have what there is.
    fn waits_behind(&mut self, key: EventKey) -> bool {
        self.shares().any(|(other, share)| other < key && share.waiting > 0)
    }

    fn turn(&mut self, key: EventKey) -> Wait {
        let refused = self.share(key).is_none_or(|share| std::mem::take(&mut share.refused));
        match (refused, self.waits_behind(key)) {
            (true, _) => Wait::Refused,
            (false, true) => Wait::On,
            (false, false) => Wait::Look,
        }
    }

    /// The first of those that wait has found no room. Where no event has some that it would give back, one that waits is refused.
    fn found_none(&mut self, key: EventKey) -> Wait {
        if self.shares().any(|(_, share)| share.holds && share.waiting == 0) {
            return Wait::On;
        }
        let holders = self.shares().filter(|(_, share)| share.holds && !share.refused);
        match holders.max_by_key(|(other, _)| *other) {
            Some((youngest, share)) if youngest > key => {
                share.refused = true;
                self.room_made.notify_waiters();
                Wait::On
            }
            _ => Wait::Refused,
        }
    }
}

/// Whether an event may look for room at once.
#[op2(fast)]
pub(super) fn op_isopod_may_look(state: &mut OpState, #[smi] key: EventKey) -> bool {
    !events(state).borrow_mut().waits_behind(key)
}

/// An event has found room.
#[op2(fast)]
pub(super) fn op_isopod_holds_body(state: &mut OpState, #[smi] key: EventKey) {
    if let Some(share) = events(state).borrow_mut().share(key) {
        share.holds = true;
    }
}

/// Waits until an event may look for room again. `false`: there is none. `looked`: it has, as the first of those that wait.
#[op2]
pub(super) fn op_isopod_room_is_made(
    state: Rc<RefCell<OpState>>,
    #[smi] key: EventKey,
    looked: bool,
) -> impl Future<Output = bool> + use<> {
    let shared = events(&state.borrow());
    if let Some(share) = shared.borrow_mut().share(key) {
        share.waiting += 1;
    }
    let mut wait = match looked {
        true => shared.borrow_mut().found_none(key),
        false => Wait::On,
    };
    async move {
        let room_made = shared.borrow().room_made.clone();
        while wait == Wait::On {
            let _ = tokio::time::timeout(LOOK_AGAIN, room_made.notified()).await;
            wait = shared.borrow_mut().turn(key);
        }
        if let Some(share) = shared.borrow_mut().share(key) {
            share.waiting -= 1;
        }
        wait == Wait::Look
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers::{Event, EventKind};

    fn events(count: u32) -> Events {
        let mut events = Events::new(1);
        for _ in 0..count {
            let (reply, _) = futures::channel::oneshot::channel();
            let request = Box::new(http::Request::new(crate::handlers::Body::empty()));
            events.accept(Event {
                entrypoint: None,
                kind: EventKind::Fetch { request, reply },
            });
        }
        events
    }

    fn set(events: &mut Events, key: EventKey, holds: bool, waiting: u32) {
        *events.share(key).expect("an event") = Share {
            holds,
            waiting,
            refused: false,
        };
    }

    #[test]
    fn the_oldest_of_those_that_wait_looks_first() {
        let mut events = events(3);
        set(&mut events, 1, true, 0);
        set(&mut events, 2, false, 1);
        set(&mut events, 3, false, 1);
        assert_eq!((events.turn(2), events.turn(3)), (Wait::Look, Wait::On));
        assert_eq!(events.found_none(2), Wait::On, "the first has some to give back");
        events.end(2);
        assert_eq!((events.turn(2), events.turn(3)), (Wait::Refused, Wait::Look));
    }

    #[test]
    fn where_all_that_hold_some_wait_the_youngest_is_refused() {
        let mut events = events(3);
        set(&mut events, 1, true, 1);
        set(&mut events, 2, true, 1);
        set(&mut events, 3, false, 1);
        assert_eq!(events.found_none(1), Wait::On);
        assert_eq!((events.turn(2), events.turn(3)), (Wait::Refused, Wait::On));
        set(&mut events, 2, true, 0);
        assert_eq!(events.found_none(1), Wait::On, "it has not ended yet");
        events.end(2);
        assert_eq!((events.turn(1), events.found_none(1)), (Wait::Look, Wait::Refused));
    }
}
