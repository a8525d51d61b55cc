//! Converts a call's arguments to JavaScript values.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use deno_core::{OpState, serde_v8, v8};
use isopod_ext::handlers::{EventKey, Events, Fault, FaultKind, lend_stream};
use isopod_ext::ledger::MemoryLedger;
use isopod_ext::native::Natives;
use isopod_ext::values::{Argument, Arguments, ToScript, ValueError};

/// Streams and functions among a call's arguments, each as `[position, isStream, number]`: the JavaScript side creates
/// them.
type Others = Vec<(usize, bool, u32)>;

/// Creates the array of arguments, and the list of those to be inserted by the JavaScript side (`undefined` if empty).
pub(super) fn arguments<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    state: &RefCell<OpState>,
    events: &RefCell<Events>,
    key: EventKey,
    arguments: Arguments,
) -> Result<[v8::Local<'s, v8::Value>; 2], Fault> {
    let each = match arguments.into_whole() {
        Ok(whole) => {
            let whole = converted(scope, whole)?;
            return Ok([as_list(scope, whole), v8::undefined(scope).into()]);
        }
        Err(each) => each,
    };
    let mut list = Vec::with_capacity(each.len());
    let mut others = Others::new();
    for (position, argument) in each.into_iter().enumerate() {
        let placeholder = v8::null(scope).into();
        list.push(match argument {
            Argument::Value(value) => converted(scope, value)?,
            other => {
                if let Some((is_stream, number)) = lend(&mut state.borrow_mut(), &mut events.borrow_mut(), key, other) {
                    others.push((position, is_stream, number));
                }
                placeholder
            }
        });
    }
    let list = v8::Array::new_with_elements(scope, &list).into();
    let others = match others.is_empty() {
        true => v8::undefined(scope).into(),
        false => value(scope, others)?,
    };
    Ok([list, others])
}

/// Lends a stream or a function to the script until the event ends.
fn lend(state: &mut OpState, events: &mut Events, key: EventKey, argument: Argument) -> Option<(bool, u32)> {
    let lent = events.lent(key)?;
    match argument {
        Argument::Stream(body) => Some((true, lend_stream(state, lent, body))),
        Argument::Function(function) => {
            let number = state.borrow_mut::<Natives>().add(function);
            lent.functions.push(number);
            Some((false, number))
        }
        Argument::Value(_) => None,
    }
}

/// Converts a caller's value. A panic in its `Serialize` must not affect the worker.
fn converted<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    mut value: Box<dyn ToScript>,
) -> Result<v8::Local<'s, v8::Value>, Fault> {
    let overdraft = MemoryLedger::overdraw_for(scope);
    let made = catch_unwind(AssertUnwindSafe(|| value.to_script(scope)));
    drop(overdraft);
    made.unwrap_or_else(|_| Err(ValueError::ToScript("serialization panicked".to_owned())))
        .map_err(|error| Fault::new(FaultKind::Exception, error.to_string()))
}

/// The list of arguments for `Function.prototype.apply`.
fn as_list<'s>(scope: &v8::PinScope<'s, '_>, arguments: v8::Local<'s, v8::Value>) -> v8::Local<'s, v8::Value> {
    if arguments.is_array() {
        arguments
    } else if arguments.is_null_or_undefined() {
        v8::Array::new(scope, 0).into()
    } else {
        v8::Array::new_with_elements(scope, &[arguments]).into()
    }
}

fn value<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: impl serde::Serialize,
) -> Result<v8::Local<'s, v8::Value>, Fault> {
    serde_v8::to_v8(scope, value).map_err(|error| {
        Fault::new(
            FaultKind::Exception,
            format!("cannot convert a value for the script: {error}"),
        )
    })
}
