//! Stack traces that must not end the process: of errors near the end of the stack, and those with long texts.

use deno_core::error::prepare_stack_trace_callback;
use deno_core::v8;
use isopod_ext::unwind;

use crate::platform::js_stack_left;

/// Stack needed to create a stack trace, with a margin: for deno_core's frames, and the script's functions that they
/// call.
const TELLING_BYTES: usize = if cfg!(debug_assertions) { 384 << 10 } else { 128 << 10 };

/// Characters of an error's name and message, and of all names in its stack trace. The trace is put together outside of
/// the isolate, in several copies: a name of a megabyte in a thousand frames would be gigabytes that no limit counts.
const TEXT_MAX: usize = 1 << 20;

/// The methods of V8's stack frames that return text.
const TEXTS: [&str; 5] = [
    "getFunctionName",
    "getTypeName",
    "getMethodName",
    "getFileName",
    "getEvalOrigin",
];

/// Wraps deno_core's function of this name.
///
/// V8 creates a stack trace on first access, possibly within recursive native code: cloning an error accesses the
/// stacks of all its causes, nested in each other. Native code that throws more than 40 KB below the end of
/// JavaScript's stack aborts the process; near that end, an error's stack is therefore its name and message.
///
/// V8 calls this through `extern "C"`, where a panic would abort as well: deno_core panics if the text is longer than
/// the longest string.
pub(super) fn told<'s, 'i>(
    scope: &mut v8::PinScope<'s, 'i>,
    error: v8::Local<'s, v8::Value>,
    callsites: v8::Local<'s, v8::Array>,
) -> v8::Local<'s, v8::Value> {
    if js_stack_left().is_some_and(|left| left <= TELLING_BYTES) {
        // Calls no function of the script.
        let text = error.to_detail_string(scope);
        return text.unwrap_or_else(|| v8::String::empty(scope)).into();
    }
    let told = unwind::catch(|| match text_length(scope, error) {
        Some(length) if length <= TEXT_MAX => {
            let callsites = first_frames(scope, callsites);
            prepare_stack_trace_callback(scope, error, callsites)
        }
        length => without_text(scope, length),
    });
    told.unwrap_or_else(|_| without_text(scope, None))
}

/// The text in place of a stack trace that would be too long.
fn without_text<'s>(scope: &mut v8::PinScope<'s, '_>, length: Option<usize>) -> v8::Local<'s, v8::Value> {
    let text = match length {
        Some(length) => format!("Error: its text of {length} characters is too long for a stack trace"),
        None => "Error: it has no stack trace".to_owned(),
    };
    let text = v8::String::new(scope, &text);
    text.unwrap_or_else(|| v8::String::empty(scope)).into()
}

/// The length of an error's name and message. `None` if a proxy would be asked, which may answer differently each time.
fn text_length<'s>(scope: &mut v8::PinScope<'s, '_>, error: v8::Local<'s, v8::Value>) -> Option<usize> {
    v8::tc_scope!(let scope, scope);
    let Ok(object) = error.try_cast::<v8::Object>() else {
        return Some(0);
    };
    if error.is_proxy() {
        return None;
    }
    let mut length: usize = 0;
    for name in ["name", "message"] {
        let key = v8::String::new(scope, name)?;
        let text = object.get(scope, key.into()).and_then(string);
        length = length.saturating_add(text.map_or(0, |text| text.length()));
    }
    Some(length)
}

/// The frames up to the one whose names would make the trace too long.
fn first_frames<'s>(scope: &mut v8::PinScope<'s, '_>, frames: v8::Local<'s, v8::Array>) -> v8::Local<'s, v8::Array> {
    let methods = TEXTS.map(|name| v8::String::new(scope, name));
    let mut kept = Vec::with_capacity(frames.length() as usize);
    let mut left = TEXT_MAX;
    for at in 0..frames.length() {
        let Some(frame) = frames.get_index(scope, at) else {
            return frames;
        };
        let Some(rest) = left.checked_sub(names_length(scope, frame, &methods)) else {
            return v8::Array::new_with_elements(scope, &kept);
        };
        left = rest;
        kept.push(frame);
    }
    frames
}

/// The length of all texts of a frame.
fn names_length<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    frame: v8::Local<'s, v8::Value>,
    methods: &[Option<v8::Local<'s, v8::String>>],
) -> usize {
    v8::tc_scope!(let scope, scope);
    let Ok(object) = frame.try_cast::<v8::Object>() else {
        return 0;
    };
    let lengths = methods.iter().flatten().map(|method| {
        let method = object.get(scope, (*method).into())?;
        let method = method.try_cast::<v8::Function>().ok()?;
        method.call(scope, frame, &[]).and_then(string)
    });
    lengths.flatten().fold(0, |sum, text| sum.saturating_add(text.length()))
}

fn string(value: v8::Local<'_, v8::Value>) -> Option<v8::Local<'_, v8::String>> {
    value.try_cast().ok()
}
