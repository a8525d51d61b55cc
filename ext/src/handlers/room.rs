//! Ops with which `collect.js` reserves memory before it reads a whole body. `event/room.rs` decides.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use deno_core::{OpState, op2};

use crate::event::{EventKey, Wait};
use crate::values::events;

/// Maximum time before a waiting event checks for room again: memory held by other things than bodies is released
/// without a notification.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Returns true if an event may check for room immediately.
#[op2(fast)]
pub(super) fn op_isopod_may_look(state: &mut OpState, #[smi] key: EventKey) -> bool {
    !events(state).borrow().room.waits_behind(key)
}

/// Records that an event has found room, and whether it holds a body now that others wait for.
#[op2(fast)]
pub(super) fn op_isopod_found_room(state: &mut OpState, #[smi] key: EventKey, holds: bool) {
    if let Some(room) = events(state).borrow_mut().room_for(key) {
        room.found(key, holds);
    }
}

/// Waits until an event may check for room again. Returns `false` if there will never be room. `looked`: it has checked, as the
/// oldest waiting event.
#[op2]
pub(super) fn op_isopod_room_is_made(
    state: Rc<RefCell<OpState>>,
    #[smi] key: EventKey,
    looked: bool,
) -> impl Future<Output = bool> + use<> {
    let shared = events(&state.borrow());
    if let Some(room) = shared.borrow_mut().room_for(key) {
        room.begin_wait(key);
    }
    let mut wait = match looked {
        true => shared.borrow_mut().room.found_none(key),
        false => Wait::On,
    };
    async move {
        let changed = shared.borrow().room.changed.clone();
        while wait == Wait::On {
            let _ = tokio::time::timeout(LOOK_AGAIN, changed.notified()).await;
            wait = shared.borrow_mut().room.turn(key);
        }
        shared.borrow_mut().room.end_wait(key);
        wait == Wait::Look
    }
}
