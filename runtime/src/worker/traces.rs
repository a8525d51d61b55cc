//! Stack traces of errors near the end of the stack.

use deno_core::error::prepare_stack_trace_callback;
use deno_core::v8;

use crate::platform::js_stack_left;

/// Stack needed to create a stack trace, with a margin: for deno_core's frames, and the script's functions that they
/// call.
const TELLING_BYTES: usize = if cfg!(debug_assertions) { 384 << 10 } else { 128 << 10 };

/// Wraps deno_core's function of this name.
///
/// V8 creates a stack trace on first access, possibly within recursive native code: cloning an error accesses the
/// stacks of all its causes, nested in each other. Native code that throws more than 40 KB below the end of
/// JavaScript's stack aborts the process; near that end, an error's stack is therefore its name and message.
pub(super) fn told<'s, 'i>(
    scope: &mut v8::PinScope<'s, 'i>,
    error: v8::Local<'s, v8::Value>,
    callsites: v8::Local<'s, v8::Array>,
) -> v8::Local<'s, v8::Value> {
    if js_stack_left().is_none_or(|left| left > TELLING_BYTES) {
        return prepare_stack_trace_callback(scope, error, callsites);
    }
    // Calls no function of the script.
    let text = error.to_detail_string(scope);
    text.unwrap_or_else(|| v8::String::empty(scope)).into()
}
