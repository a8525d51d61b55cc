//! Which event's code runs. The key of an event is V8's asynchronous context, so that it goes where the event's promises and timers
//! go; `context.js` reads it for the other scripts of this crate, `current_event` for its ops.

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::{OpState, op2, v8};

use crate::handlers::{EventKey, Events};

/// The event whose code runs now; 0 outside of any. What `currentEvent()` of `context.js` says.
pub(crate) fn current_event(scope: &mut v8::PinScope<'_, '_>) -> EventKey {
    let context = scope.get_continuation_preserved_embedder_data();
    let Ok(context) = v8::Local::<v8::Object>::try_from(context) else {
        return 0;
    };
    // The object is made by `inContextOf`, without a prototype: nothing of a script's runs.
    let key = v8::String::new(scope, "isopodEvent").and_then(|name| context.get(scope, name.into()));
    key.and_then(|key| key.uint32_value(scope)).unwrap_or(0)
}

/// Whether code that runs for this event is waited for: it has not ended, or it is no event's.
pub(crate) fn is_open(state: &OpState, event: EventKey) -> bool {
    let events = state.try_borrow::<Rc<RefCell<Events>>>().filter(|_| event != 0);
    events.is_none_or(|events| events.borrow().is_open(event))
}

#[op2(fast)]
fn op_isopod_is_open(state: &mut OpState, #[smi] event: EventKey) -> bool {
    is_open(state, event)
}

deno_core::extension!(
    isopod_context,
    ops = [op_isopod_is_open],
    lazy_loaded_js = [dir "src/context", "context.js"],
);
