//! The event whose code is running, and the owners of timers. An event's key is V8's asynchronous context, so that
//! promises and timers inherit it. `context.js` reads it for the other scripts of this crate, `current_event` for its
//! ops. `async_hooks.js` stores the values of `AsyncLocalStorage` beside it.

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::{OpState, op2, v8};

use crate::event::{CpuMeter, EndsWithEvent, EventEnded, EventKey};
use crate::quotas::{QuotaError, Usage};
use crate::values::Events;

/// The event whose code is running; 0 if it belongs to none. The same as `currentEvent()` of `context.js`.
pub(crate) fn current_event(scope: &mut v8::PinScope<'_, '_>) -> EventKey {
    let context = scope.get_continuation_preserved_embedder_data();
    let Ok(context) = v8::Local::<v8::Object>::try_from(context) else {
        return 0;
    };
    // The object is created by `inContextOf` without a prototype: no code of a script runs.
    let key = v8::String::new(scope, "isopodEvent").and_then(|name| context.get(scope, name.into()));
    key.and_then(|key| key.uint32_value(scope)).unwrap_or(0)
}

/// Returns true unless this is the key of an event that has ended.
pub(crate) fn is_open(state: &OpState, event: EventKey) -> bool {
    let events = state.try_borrow::<Rc<RefCell<Events>>>().filter(|_| event != 0);
    events.is_none_or(|events| events.borrow().is_open(event))
}

/// Ties something to the event that requested it, unless that has ended already.
pub(crate) fn end_with_event<T: EndsWithEvent + 'static>(
    state: &OpState,
    event: EventKey,
    it: &Rc<T>,
) -> Result<(), EventEnded> {
    let Some(events) = state.try_borrow::<Rc<RefCell<Events>>>().filter(|_| event != 0) else {
        return Ok(());
    };
    let mut events = events.borrow_mut();
    events.lent(event).ok_or(EventEnded)?.under_way.add(it);
    Ok(())
}

/// Charges an operation on storage to an event.
pub(crate) fn begin_operation(state: &OpState, event: EventKey, usage: &Usage) -> Result<(), QuotaError> {
    match state.try_borrow::<Rc<RefCell<Events>>>() {
        Some(events) => events.borrow_mut().spent(event).storage_operation(&usage.quotas),
        None => Ok(()),
    }
}

/// The meter for CPU time used for an event outside of its JavaScript.
pub(crate) fn cpu_of(state: &OpState, event: EventKey) -> CpuMeter {
    let events = state.try_borrow::<Rc<RefCell<Events>>>();
    events.map_or_else(CpuMeter::default, |events| events.borrow().cpu(event))
}

#[op2(fast)]
fn op_isopod_is_open(state: &mut OpState, #[smi] event: EventKey) -> bool {
    is_open(state, event)
}

/// Replaces `op_timer_track`, which keeps a list for test runners: here, timers are counted.
#[op2(fast)]
fn op_isopod_timer_track(
    state: &mut OpState,
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] id: i32,
    is_repeat: bool,
    is_system: bool,
) {
    let _ = is_repeat;
    Usage::of(state).timer_set();
    // Timers of deno's own scripts end with their purpose.
    if !is_system && let Some(events) = state.try_borrow::<Rc<RefCell<Events>>>() {
        events.borrow_mut().timer_set(id, current_event(scope));
    }
}

/// Replaces `op_timer_untrack`.
#[op2(fast)]
fn op_isopod_timer_untrack(state: &mut OpState, #[smi] id: i32) {
    Usage::of(state).timer_gone();
    if let Some(events) = state.try_borrow::<Rc<RefCell<Events>>>() {
        events.borrow_mut().timer_gone(id);
    }
}

deno_core::extension!(
    isopod_context,
    ops = [op_isopod_is_open],
    lazy_loaded_js = [dir "src/context", "async_hooks.js", "context.js"],
    synthetic_esm = ["node:async_hooks" = "ext:isopod_context/async_hooks.js"],
    middleware = |op| match op.name {
        "op_timer_track" => op.with_implementation_from(&op_isopod_timer_track()),
        "op_timer_untrack" => op.with_implementation_from(&op_isopod_timer_untrack()),
        _ => op,
    },
);
