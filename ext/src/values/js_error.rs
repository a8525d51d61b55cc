//! Reading the error that a script threw.

use deno_core::error::JsError;
use deno_core::v8;

use crate::event::CAUSES_MAX;

/// Maximum length of a text that is read, in characters. A longer one may be a few repeated pieces, which reading would flatten.
const TEXT_LENGTH_MAX: usize = 16 << 20;

/// Reads an error that a script threw, which may run its getters. If one of its texts is too long, the result says so instead.
pub(crate) fn js_error<'s>(scope: &mut v8::PinScope<'s, '_>, thrown: v8::Local<'s, v8::Value>) -> Box<JsError> {
    let length = longest_text(scope, thrown);
    if length <= TEXT_LENGTH_MAX {
        return JsError::from_v8_exception(scope, thrown);
    }
    let told = format!("the thrown error's text of {length} characters is too long to be shown");
    match v8::String::new(scope, &told) {
        Some(told) => {
            let told = v8::Exception::error(scope, told);
            JsError::from_v8_exception(scope, told)
        }
        None => JsError::from_v8_exception(scope, thrown),
    }
}

/// Returns the length of the longest text of an error and its causes, or of a text that was thrown.
fn longest_text<'s>(scope: &mut v8::PinScope<'s, '_>, thrown: v8::Local<'s, v8::Value>) -> usize {
    v8::tc_scope!(let scope, scope);
    let names = ["message", "name", "cause"].map(|name| v8::String::new(scope, name));
    let [Some(message), Some(name), Some(cause)] = names else {
        return 0;
    };
    let text_of =
        |value: v8::Local<'_, v8::Value>| v8::Local::<v8::String>::try_from(value).map_or(0, |text| text.length());
    let (mut longest, mut next) = (0, Some(thrown));
    for _ in 0..=CAUSES_MAX {
        let Some(value) = next else { break };
        longest = longest.max(text_of(value));
        let Ok(object) = v8::Local::<v8::Object>::try_from(value) else {
            break;
        };
        if value.is_proxy() {
            break;
        }
        for key in [message, name] {
            longest = longest.max(object.get(scope, key.into()).map_or(0, text_of));
        }
        next = object.get(scope, cause.into());
    }
    longest
}
