//! Determines whose code is running, on the isolate's own thread, at a safe point of the code.
//!
//! V8 calls [`on_interrupt`] there at the watchdog's request. It only reads the asynchronous context, a plain object
//! that only the runtime's own script can reach: no JavaScript runs.
#![allow(unsafe_code, reason = "V8 calls back with a raw pointer to the isolate")]

use std::cell::RefCell;
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::Arc;

use deno_core::{JsRuntime, v8};
use isopod_ext::handlers::{EventKey, Events};

use super::super::memory::Gauge;
use super::watched::{BLAME, Breach, Limit, MEMORY, Watched};

/// The property in which handlers.js records the event.
const KEY: &[u8] = b"isopodEvent";

/// The callback's data, in a slot of the isolate so that it lives as long as the isolate.
pub(crate) struct Sampler {
    watched: Arc<Watched>,
    context: v8::Global<v8::Context>,
    key: v8::Global<v8::String>,
    events: Rc<RefCell<Events>>,
}

impl Sampler {
    /// Prepares an isolate for questions.
    pub(crate) fn install(runtime: &mut JsRuntime, watched: Arc<Watched>, events: Rc<RefCell<Events>>) {
        let context = runtime.main_context();
        let key = {
            deno_core::scope!(scope, runtime);
            let key = v8::String::new_from_one_byte(scope, KEY, v8::NewStringType::Internalized);
            key.map(|key| v8::Global::new(scope, key))
        };
        // Without memory for eleven letters the isolate is at its end; then no event is blamed.
        let Some(key) = key else { return };
        runtime.v8_isolate().set_slot(Self {
            watched,
            context,
            key,
            events,
        });
    }
}

/// Answers the question with this number.
pub(super) unsafe extern "C" fn on_interrupt(isolate: v8::UnsafeRawIsolatePtr, number: *mut c_void) {
    // SAFETY: V8 calls back with the isolate that was asked, on its thread, and inside a handle scope.
    let mut isolate = unsafe { v8::Isolate::from_raw_isolate_ptr(isolate) };
    // A long turn may exhaust memory without producing garbage that V8 would collect.
    if let Some(gauge) = isolate.get_slot::<Gauge>().cloned() {
        gauge.check_within(&mut isolate);
    }
    let Some(sampler) = isolate.get_slot::<Sampler>() else {
        return;
    };
    let (watched, events) = (sampler.watched.clone(), sampler.events.clone());
    if number as usize == MEMORY {
        watched.memory_looked_at();
        return;
    }
    let (context, key) = (sampler.context.clone(), sampler.key.clone());
    let runs = current_event(&mut isolate, &context, &key).filter(|key| *key != 0);
    // Code that outlives its event (such as a leftover timer) is charged to no event. If the table is in use, the event
    // is open.
    let event = runs.filter(|key| events.try_borrow().map_or(true, |events| events.is_open(*key)));
    let number = number as usize;
    if number == BLAME {
        watched.blame(event);
        watched.isolate.terminate_execution();
        return;
    }
    watched.answer(number as u64, event, runs.is_some() && event.is_none());
    if event.is_some_and(|event| watched.is_over(event)) {
        let limit = Limit::Cpu;
        watched.fire_from_inside(Breach { limit, event });
        watched.isolate.terminate_execution();
    }
}

fn current_event(
    isolate: &mut v8::Isolate,
    context: &v8::Global<v8::Context>,
    key: &v8::Global<v8::String>,
) -> Option<EventKey> {
    // SAFETY: V8 calls the caller inside a handle scope of this isolate.
    v8::callback_scope!(unsafe scope, isolate);
    let context = v8::Local::new(scope, context);
    let scope = &mut v8::ContextScope::new(scope, context);
    let data = scope.get_continuation_preserved_embedder_data();
    let data = data.try_cast::<v8::Object>().ok()?;
    let key = v8::Local::new(scope, key);
    let event = data.get_real_named_property(scope, key.into())?;
    event.try_cast::<v8::Uint32>().ok().map(|event| event.value())
}
