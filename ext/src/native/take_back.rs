//! Resources lent to a worker's script for one event, and their release at the event's end.

use std::cell::RefCell;

use deno_core::{OpState, ResourceId};

use super::Natives;
use super::lending::Callbacks;
use crate::event::{Body, Borrowed, EventKey};
use crate::values::{Events, RequestBody, events};

/// Ends an event that its script has finished, unless functions in its result keep it open.
pub(crate) fn finish(state: &mut OpState, events: &RefCell<Events>, key: EventKey) {
    if !events.borrow_mut().is_over(key) {
        return;
    }
    let lent = events.borrow_mut().end(key);
    take_back(state, lent);
}

/// Releases what was lent for an ended event: closes its streams, removes its functions.
pub fn take_back(state: &mut OpState, lent: Option<Borrowed>) {
    let Some(Borrowed {
        resources,
        functions,
        under_way,
        callbacks,
        cpu: _,
    }) = lent
    else {
        return;
    };
    under_way.end();
    for rid in resources {
        if let Ok(resource) = state.resource_table.take_any(rid) {
            resource.close();
        }
    }
    if !functions.is_empty() {
        let natives = state.borrow_mut::<Natives>();
        functions.into_iter().for_each(|number| natives.remove(number));
    }
    if !callbacks.is_empty() {
        let lent = state.borrow_mut::<Callbacks>();
        callbacks.into_iter().for_each(|number| lent.remove(number));
    }
}

/// Adds a stream to the script's resources, for one event. Returns the id from which the JavaScript side creates a
/// `ReadableStream`.
pub fn lend_stream(state: &mut OpState, lent: &mut Borrowed, body: Body) -> ResourceId {
    let rid = state.resource_table.add(RequestBody::new(body));
    lent.resources.push(rid);
    rid
}

/// Removes the functions that the host has dropped, and ends events kept open only by them. Returns true if functions have to
/// be notified.
pub fn release_dropped(state: &mut OpState) -> bool {
    let dropped = state.borrow_mut::<Callbacks>().take_dropped();
    if dropped.is_empty() {
        return false;
    }
    let events = events(state);
    for (number, event) in dropped {
        let is_over = events.borrow_mut().release(event, number);
        if is_over {
            finish(state, &events, event);
        }
    }
    state.borrow::<Callbacks>().has_untold()
}
