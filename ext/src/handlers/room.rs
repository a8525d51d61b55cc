//! Ops by which `collect.js` asks for room in memory before it reads a body whole. `event/room.rs` decides.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use deno_core::{OpState, op2};

use crate::event::{EventKey, Wait};
use crate::values::events;

/// The longest wait before an event looks for room again: memory that is held by other things than bodies is released without
/// notice.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Whether an event may look for room at once.
#[op2(fast)]
pub(super) fn op_isopod_may_look(state: &mut OpState, #[smi] key: EventKey) -> bool {
    !events(state).borrow().room.waits_behind(key)
}

/// Notes that an event has found room, and whether it holds a body now that others wait for.
#[op2(fast)]
pub(super) fn op_isopod_found_room(state: &mut OpState, #[smi] key: EventKey, holds: bool) {
    if let Some(room) = events(state).borrow_mut().room_for(key) {
        room.found(key, holds);
    }
}

/// Waits until an event may look for room again. `false`: there is none. `looked`: it has, as the oldest of those that wait.
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
