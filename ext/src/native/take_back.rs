//! What a worker's script is lent for the time of one event, and how it is taken back when the event ends.

use std::cell::RefCell;

use deno_core::{OpState, ResourceId};

use super::Natives;
use super::lending::Callbacks;
use crate::event::{Body, EventKey, Lent};
use crate::values::{Events, RequestBody, events};

/// Ends an event whose script is done with it, unless functions in its answer keep it open.
pub(crate) fn finish(state: &mut OpState, events: &RefCell<Events>, key: EventKey) {
    if !events.borrow_mut().is_over(key) {
        return;
    }
    let lent = events.borrow_mut().end(key);
    take_back(state, lent);
}

/// Takes back what was lent for an event that has ended: closes its streams, lets go of its functions.
pub fn take_back(state: &mut OpState, lent: Option<Lent>) {
    let Some(Lent {
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

/// Puts a stream among a script's resources, for the time of one event. Gives what its side makes a `ReadableStream` of.
pub fn lend_stream(state: &mut OpState, lent: &mut Lent, body: Body) -> ResourceId {
    let rid = state.resource_table.add(RequestBody::new(body));
    lent.resources.push(rid);
    rid
}

/// Lets go of the functions that the host has dropped, and ends events that only they kept open.
pub fn let_go(state: &mut OpState) {
    let dropped = state.borrow_mut::<Callbacks>().take_dropped();
    if dropped.is_empty() {
        return;
    }
    let events = events(state);
    for (number, event) in dropped {
        let is_over = events.borrow_mut().let_go(event, number);
        if is_over {
            finish(state, &events, event);
        }
    }
}
