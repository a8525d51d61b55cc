//! The position in a script's value that has another type than the caller asked for, and the value there.

use deno_core::v8;
use serde::de::value::Error;
use serde_path_to_error::{Path, Segment};

/// Maximum number of characters shown of a text.
const SHOWN_MAX: usize = 40;

/// Describes the error of the part of a value at this path.
pub(super) fn describe_in<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
    path: &Path,
    error: &Error,
) -> String {
    let found = find(scope, value, path).map(|found| shown(scope, found));
    describe(path, error, found)
}

/// Describes the error of the part at this path, and the value found there.
pub(super) fn describe(path: &Path, error: &Error, found: Option<String>) -> String {
    let error = error.to_string();
    let error = error.strip_prefix("serde_v8 error: ").unwrap_or(&error);
    // The value found there is added below.
    let expected = error.strip_prefix("expected ");
    let what = match (expected, found) {
        (Some(expected), Some(found)) => format!("expected {expected}, found {found}"),
        (None, Some(found)) => format!("{error} (found {found})"),
        (_, None) => error.to_owned(),
    };
    match path.iter().next() {
        None => what,
        Some(_) => format!("at `{path}`: {what}"),
    }
}

/// Returns the part of a value at a path, if there is one. Getters run again.
fn find<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
    path: &Path,
) -> Option<v8::Local<'s, v8::Value>> {
    let mut found = value;
    for segment in path {
        let object = v8::Local::<v8::Object>::try_from(found).ok()?;
        v8::tc_scope!(scope, scope);
        found = match segment {
            Segment::Seq { index } => object.get_index(scope, u32::try_from(*index).ok()?)?,
            Segment::Map { key } | Segment::Enum { variant: key } => {
                let key = v8::String::new(scope, key)?;
                object.get(scope, key.into())?
            }
            Segment::Unknown => return None,
        };
    }
    Some(found)
}

/// Describes a value briefly. Runs no code of the script.
fn shown<'s>(scope: &mut v8::PinScope<'s, '_>, value: v8::Local<'s, v8::Value>) -> String {
    if let Ok(text) = v8::Local::<v8::String>::try_from(value) {
        return shown_text(&text.to_rust_string_lossy(scope));
    }
    if let Ok(array) = v8::Local::<v8::Array>::try_from(value) {
        return format!("an array of {}", array.length());
    }
    if value.is_number() {
        return format!("the number {}", value.number_value(scope).unwrap_or(f64::NAN));
    }
    if value.is_null_or_undefined() || value.is_boolean() {
        return value.to_rust_string_lossy(scope);
    }
    let kind = match () {
        () if value.is_big_int() => "a bigint",
        () if value.is_symbol() => "a symbol",
        () if value.is_function() => "a function",
        () if value.is_promise() => "a promise",
        () => return class(scope, value),
    };
    kind.to_owned()
}

/// Returns a text, or its beginning.
pub(super) fn shown_text(text: &str) -> String {
    let mut rest = text.chars();
    let text: String = rest.by_ref().take(SHOWN_MAX).collect();
    format!("the string {text:?}{}", if rest.next().is_some() { "…" } else { "" })
}

/// Returns the class of an object, by the name of its constructor.
fn class<'s>(scope: &mut v8::PinScope<'s, '_>, value: v8::Local<'s, v8::Value>) -> String {
    let Ok(object) = v8::Local::<v8::Object>::try_from(value) else {
        return "an object".to_owned();
    };
    let name = object.get_constructor_name().to_rust_string_lossy(scope);
    let name: String = name.chars().take(SHOWN_MAX).collect();
    match name.chars().next() {
        None => "an object".to_owned(),
        Some(_) if name == "Object" => "an object".to_owned(),
        Some(first) if "AEIO".contains(first) => format!("an {name}"),
        Some(_) => format!("a {name}"),
    }
}
