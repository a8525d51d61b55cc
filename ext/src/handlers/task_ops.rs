//! Ops of tasks and messages: progress, partial results, and the content of a message.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use deno_core::{OpState, ToV8, op2, serde_v8, v8};
use deno_error::JsErrorBox;
use tokio::sync::mpsc::error::TrySendError;

use super::copy;
use crate::event::{Data, EventKey, RESULT_NAME_BYTES_MAX, TaskItem};
use crate::quotas::Usage;
use crate::unwind;
use crate::values::{self, events};

/// Maximum number of a task's items that wait for room in its channel. A script that awaits `ctx.progress()` has one.
const UNSENT_MAX: usize = 256;

/// An error of these ops.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub(super) enum TaskError {
    #[class(type)]
    #[error("progress() and emit() are only available inside a running task")]
    NoTask,
    #[class("DOMExceptionAbortError")]
    #[error("the caller disconnected")]
    CallerLeft,
    #[class(range)]
    #[error("more than {UNSENT_MAX} items are unread: await ctx.progress() and ctx.emit()")]
    TooMany,
    #[class(range)]
    #[error("a result's name must have 1 to {RESULT_NAME_BYTES_MAX} bytes, not {0}")]
    Name(usize),
    #[class(type)]
    #[error("cannot send the value: {0}")]
    Value(String),
}

#[op2(async(lazy), fast)]
pub(super) fn op_isopod_progress<'s>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] key: EventKey,
    value: v8::Local<'s, v8::Value>,
) -> impl Future<Output = Result<(), TaskError>> + use<> {
    let item = plain_value(scope, value)
        .map(TaskItem::Progress)
        .map_err(TaskError::Value);
    send(state, key, item)
}

#[op2(async(lazy), fast)]
pub(super) fn op_isopod_emit<'s>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] key: EventKey,
    #[string] name: String,
    value: v8::Local<'s, v8::Value>,
    transfer: bool,
) -> impl Future<Output = Result<(), TaskError>> + use<> {
    let item = match name.len() {
        1..=RESULT_NAME_BYTES_MAX => plain_data(scope, value, transfer)
            .map(|data| TaskItem::Result { name, data })
            .map_err(TaskError::Value),
        length => Err(TaskError::Name(length)),
    };
    send(state, key, item)
}

/// Sends an item immediately if there is room; otherwise it waits, up to the limit.
fn send(
    state: Rc<RefCell<OpState>>,
    key: EventKey,
    item: Result<TaskItem, TaskError>,
) -> impl Future<Output = Result<(), TaskError>> {
    let sent = item.and_then(|item| {
        let shared = events(&state.borrow());
        let events = shared.borrow();
        let items = events.items(key).ok_or(TaskError::NoTask)?;
        match items.sender.try_send(item) {
            Ok(()) => Ok(None),
            Err(TrySendError::Full(_)) if items.unsent.get() >= UNSENT_MAX => Err(TaskError::TooMany),
            Err(TrySendError::Full(item)) => {
                items.unsent.set(items.unsent.get() + 1);
                Ok(Some((items.clone(), item)))
            }
            Err(TrySendError::Closed(_)) => Err(TaskError::CallerLeft),
        }
    });
    async move {
        let Some((items, item)) = sent? else {
            return Ok(());
        };
        let sent = items.sender.send(item).await;
        items.unsent.set(items.unsent.get() - 1);
        sent.map_err(|_| TaskError::CallerLeft)
    }
}

/// A plain value or bytes. `transfer` detaches the bytes instead of copying them.
pub(crate) fn plain_data<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
    transfer: bool,
) -> Result<Data, String> {
    if value.is_undefined() {
        return Ok(Data::Empty);
    }
    if value.is_array_buffer_view() || value.is_array_buffer() {
        return bytes(scope, value, transfer).map(Data::Bytes);
    }
    plain_value(scope, value).map(Data::Json)
}

/// Reads a plain value, which may run getters.
fn plain_value<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
) -> Result<serde_json::Value, String> {
    unwind::catch(|| values::read(scope, value)).unwrap_or_else(|panic| Err(panic.to_string()))
}

fn bytes<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
    transfer: bool,
) -> Result<Bytes, String> {
    let view = match v8::Local::<v8::ArrayBuffer>::try_from(value) {
        Ok(buffer) => v8::Uint8Array::new(scope, buffer, 0, buffer.byte_length()).map(Into::into),
        Err(_) => v8::Local::<v8::ArrayBufferView>::try_from(value).ok(),
    };
    let view: v8::Local<'_, v8::ArrayBufferView> = view.ok_or("the value is not bytes")?;
    let buffer = view.buffer(scope);
    // Resizable memory cannot be lent to Rust.
    let resizable = buffer.is_some_and(|buffer| buffer.get_backing_store().is_resizable_by_user_javascript());
    if transfer && !resizable {
        let taken: serde_v8::DetachedBuffer = serde_v8::from_v8(scope, value).map_err(|error| error.to_string())?;
        return Ok(Bytes::from_owner(taken));
    }
    let usage = Usage::of_isolate(scope);
    usage
        .check_message(view.byte_length())
        .map_err(|error| error.to_string())?;
    let bytes = copy::of_view(view).map_err(|error| error.to_string())?;
    if transfer && let Some(buffer) = buffer {
        buffer.detach(None);
    }
    Ok(bytes)
}

/// The content of a message, converted when the script reads it: its kind, and the value or the bytes.
pub(super) struct Read(Data);

impl<'a> ToV8<'a> for Read {
    type Error = JsErrorBox;

    fn to_v8<'i>(self, scope: &mut v8::PinScope<'a, 'i>) -> Result<v8::Local<'a, v8::Value>, JsErrorBox> {
        let to_array = |scope: &mut v8::PinScope<'a, 'i>, bytes: Bytes| {
            serde_v8::to_v8(scope, serde_v8::ToJsBuffer::from(Vec::from(bytes)))
        };
        let (cloned, value) = match self.0 {
            Data::Empty => (false, Ok(v8::undefined(scope).into())),
            Data::Json(value) => (false, serde_v8::to_v8(scope, value)),
            Data::Bytes(bytes) => (false, to_array(scope, bytes)),
            Data::Cloned(bytes) => (true, to_array(scope, bytes)),
        };
        let value = value.map_err(|error| JsErrorBox::type_error(error.to_string()))?;
        let cloned = v8::Boolean::new(scope, cloned).into();
        Ok(v8::Array::new_with_elements(scope, &[cloned, value]).into())
    }
}

/// The properties of the service binding by which an event came.
#[op2]
pub(super) fn op_isopod_props(state: &mut OpState, #[smi] key: EventKey) -> Read {
    let events = events(state);
    let events = events.borrow();
    Read(
        events
            .caller(key)
            .map(|caller| caller.props.clone())
            .unwrap_or_default(),
    )
}

#[op2]
pub(super) fn op_isopod_message_data(state: &mut OpState, #[smi] key: EventKey) -> Result<Read, TaskError> {
    let data = events(state).borrow_mut().take_data(key).ok_or(TaskError::NoTask)?;
    Ok(Read(data))
}
