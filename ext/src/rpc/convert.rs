//! Messages as scripts' values: `[bytes, parts]`.
//!
//! From a script, the parts are `[kind, resource, …]`, or `null` if there are none. To a script, they are the resource of a
//! parcel, which is opened as part of the receiving event.

use std::any::Any;
use std::cell::RefCell;

use deno_core::{JsRuntime, OpState, ResourceId, v8};

use super::failure::RpcError;
use super::message::{Part, RpcMessage};
use super::resources::{OutgoingStream, Parcel, StubResource};
use crate::bindings::Held;
use crate::quotas::Usage;
use crate::values::{FromScript, ToScript, ValueError};

/// The kinds of parts, as `values.js` has them.
const STUB: u32 = 0;
const STREAM: u32 = 1;

impl ToScript for RpcMessage {
    fn to_script<'s>(&mut self, scope: &mut v8::PinScope<'s, '_>) -> Result<v8::Local<'s, v8::Value>, ValueError> {
        let bytes = std::mem::take(&mut self.bytes);
        let length = bytes.len();
        let store = v8::ArrayBuffer::new_backing_store_from_vec(bytes).make_shared();
        let buffer = v8::ArrayBuffer::with_backing_store(scope, &store);
        let view = v8::Uint8Array::new(scope, buffer, 0, length);
        let view = view.ok_or_else(|| ValueError::ToScript("there is no memory for it".to_owned()))?;
        let parts = std::mem::take(&mut self.parts);
        let parcel = match parts.is_empty() {
            true => v8::null(scope).into(),
            false => {
                let state = JsRuntime::op_state_from(scope);
                let mut state = state
                    .try_borrow_mut()
                    .map_err(|_| ValueError::Internal("a message cannot be read from here".to_owned()))?;
                let rid = state.resource_table.add(Parcel(RefCell::new(parts)));
                v8::Integer::new_from_unsigned(scope, rid).into()
            }
        };
        self.charge = None;
        self.held = Held::default();
        Ok(v8::Array::new_with_elements(scope, &[view.into(), parcel]).into())
    }

    fn as_any(&mut self) -> Option<&mut dyn Any> {
        Some(self)
    }
}

impl FromScript for RpcMessage {
    fn from_script<'s>(scope: &mut v8::PinScope<'s, '_>, value: v8::Local<'s, v8::Value>) -> Result<Self, ValueError> {
        read(scope, value).map_err(|error| ValueError::FromScript(error.to_string()))
    }
}

/// Takes a message of the script: its parts first, so that they are always released with it.
pub(crate) fn read<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
) -> Result<RpcMessage, RpcError> {
    let message = v8::Local::<v8::Array>::try_from(value).map_err(|_| RpcError::Message("it is no message"))?;
    let parts = match message.get_index(scope, 1) {
        Some(parts) => numbers(scope, parts),
        None => Vec::new(),
    };
    let state = JsRuntime::op_state_from(scope);
    let usage = {
        let mut state = state
            .try_borrow_mut()
            .map_err(|_| RpcError::Message("the worker's state is in use"))?;
        let taken: Vec<_> = parts
            .chunks_exact(2)
            .map(|part| take(&mut state, part[0], part[1]))
            .collect();
        let taken = taken.into_iter().collect::<Result<Vec<_>, _>>();
        (Usage::of(&state), taken)
    };
    let (usage, parts) = (usage.0, usage.1?);
    let bytes = message.get_index(scope, 0);
    let bytes = bytes.and_then(|bytes| v8::Local::<v8::ArrayBufferView>::try_from(bytes).ok());
    let view = bytes.ok_or(RpcError::Message("it has no bytes"))?;
    let (bytes, max) = (view.byte_length(), usage.quotas.message_bytes);
    if bytes > max {
        return Err(RpcError::TooLarge { bytes, max });
    }
    let charge = usage.hold(bytes)?;
    let mut data = vec![0; bytes];
    view.copy_contents(&mut data);
    Ok(RpcMessage {
        bytes: data,
        parts,
        charge: Some(charge),
        held: Held::default(),
    })
}

/// Reads the numbers in a list of an internal script.
fn numbers<'s>(scope: &mut v8::PinScope<'s, '_>, list: v8::Local<'s, v8::Value>) -> Vec<u32> {
    let Ok(list) = v8::Local::<v8::Array>::try_from(list) else {
        return Vec::new();
    };
    let number = |index| list.get_index(scope, index)?.uint32_value(scope);
    (0..list.length()).filter_map(number).collect()
}

fn take(state: &mut OpState, kind: u32, rid: ResourceId) -> Result<Part, RpcError> {
    let table = &mut state.resource_table;
    match kind {
        STUB => {
            let stub = table.take::<StubResource>(rid).map_err(|_| RpcError::Disposed)?;
            Ok(Part::Stub(stub.0.clone()))
        }
        STREAM => {
            let stream = table.take::<OutgoingStream>(rid).ok();
            let body = stream.and_then(|stream| stream.body.take());
            Ok(Part::Stream(body.ok_or(RpcError::Message("a stream in it has ended"))?))
        }
        _ => Err(RpcError::Message("it has a part of an unknown kind")),
    }
}
