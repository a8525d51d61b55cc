//! How the stack of an error is told where there is no stack left to tell it on.

use deno_core::error::prepare_stack_trace_callback;
use deno_core::v8;

use crate::platform::js_stack_left;

/// Stack that telling takes, with room to spare: deno_core's frames, and the script's functions that they call.
const TELLING_BYTES: usize = if cfg!(debug_assertions) { 384 << 10 } else { 128 << 10 };

/// Stands in front of deno_core's function of this name.
///
/// V8 tells a stack when it is first asked for, which may be in a recursion of native code: the clone of an error takes the
/// stacks of all its causes, one within the other. What throws more than 40 KB below the end of JavaScript's stack aborts
/// the process; so near the end an error's stack is its name and message.
pub(super) fn told<'s, 'i>(
    scope: &mut v8::PinScope<'s, 'i>,
    error: v8::Local<'s, v8::Value>,
    callsites: v8::Local<'s, v8::Array>,
) -> v8::Local<'s, v8::Value> {
    if js_stack_left().is_none_or(|left| left > TELLING_BYTES) {
        return prepare_stack_trace_callback(scope, error, callsites);
    }
    // It calls no function of the script's.
    let text = error.to_detail_string(scope);
    text.unwrap_or_else(|| v8::String::empty(scope)).into()
}
