//! The handler interface: calls a script's `export default { fetch, scheduled, queue }`, its named entry points and its
//! plain functions, and returns their answers.
//!
//! It has the interface of Workers. The open events are in [`event`](crate::event); the ops here convert; `handlers.js`
//! is the JavaScript side. Nothing here knows of pools or servers.

mod begin;
mod copy;
mod event;
mod fields;
mod input;
mod label;
mod room;
mod task_ops;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use deno_core::convert::{ByteString, OptionNull};
use deno_core::{OpState, ResourceId, op2, v8};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;

use self::label::Label;
use crate::coding;
use crate::coding::encode::EncodeError;
use crate::event::{Headers, TooManyHeaders, set_reason};
use crate::native::finish;
use crate::quotas::{QuotaError, Usage};
use crate::unwind;
use crate::values::{Outgoing, RequestBody, StreamError, events, js_error, stay};

pub use self::begin::{Begin, COMMON_METHODS};
pub use self::copy::NoMemory;
pub(crate) use self::copy::{of_text, of_view, room};
pub use self::event::{Event, EventKind};
pub use self::input::{CronTrigger, HandlerInput, Input, Message, Task};
pub(crate) use self::task_ops::plain_data;
/// The parts of events.
pub use crate::event::{
    Attachment, Body, BodyError, Borrowed, BoxError, CALL_DEPTH, CallDepth, Caller, CodeFrames, Data, Draw, EVENTS_MAX,
    Ended, EventEnded, EventKey, Fault, FaultKind, KeyHasher, KeyMap, Keys, NotPlain, Origin, RESULT_NAME_BYTES_MAX,
    Reply, Report, RequestCf, RequestInfo, RequestUrl, Stage, TaskItem, Thrown,
};
pub use crate::native::{lend_stream, take_back};
pub use crate::values::Events;

/// An error of this module's ops.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[non_exhaustive]
pub enum HandlerError {
    /// The response's status is invalid.
    #[class(range)]
    #[error("a response's status must be between 200 and 599, not {0}")]
    Status(u16),
    /// A response header is invalid.
    #[class(type)]
    #[error("cannot send the response header {0:?}: {1}")]
    Header(String, String),
    /// The status text is invalid.
    #[class(type)]
    #[error("{0}")]
    Reason(String),
    /// There are too many response headers.
    #[class(range)]
    #[error("the response has {}", TooManyHeaders)]
    TooManyHeaders,
    /// The body is too large to be copied.
    #[class(range)]
    #[error(transparent)]
    NoMemory(#[from] copy::NoMemory),
    /// The worker has no room for an encoder.
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The body could not be encoded.
    #[class(inherit)]
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The event has ended.
    #[class(type)]
    #[error("the request this belongs to has ended: read its body before the handler returns, or in ctx.waitUntil")]
    Ended,
    /// The stream could not be sent.
    #[class(inherit)]
    #[error(transparent)]
    Stream(#[from] StreamError),
}

#[op2]
fn op_isopod_request_headers(state: &mut OpState, #[smi] key: EventKey) -> Vec<Vec<ByteString>> {
    let events = events(state);
    let mut events = events.borrow_mut();
    let Some(headers) = events.headers(key) else {
        return Vec::new();
    };
    fields::pairs(headers)
}

/// The value of one request header; `null` without it, or once its event has ended.
#[op2]
fn op_isopod_request_header(
    state: &mut OpState,
    #[smi] key: EventKey,
    #[scoped] name: ByteString,
) -> OptionNull<ByteString> {
    let events = events(state);
    let mut events = events.borrow_mut();
    OptionNull(events.headers(key).and_then(|headers| fields::value(headers, &name)))
}

/// The `cf` of a request: properties of its connection, or JSON of another worker.
#[derive(Serialize)]
#[serde(untagged)]
enum Cf {
    Connection(RequestCf),
    Passed(String),
}

/// The `cf` of a request; none once its event has ended.
#[op2]
#[serde]
fn op_isopod_request_cf(state: &mut OpState, #[smi] key: EventKey) -> Option<Cf> {
    let events = events(state);
    let events = events.borrow();
    match events.caller(key) {
        Some(caller) => {
            let cf = caller.cf.as_deref()?;
            Some(Cf::Passed(String::from_utf8_lossy(cf).into_owned()))
        }
        None => events.request_cf(key).map(Cf::Connection),
    }
}

#[op2(fast)]
#[smi]
fn op_isopod_request_body(state: &mut OpState, #[smi] key: EventKey) -> Result<ResourceId, HandlerError> {
    let events = events(state);
    let body = events.borrow_mut().take_body(key).ok_or(HandlerError::Ended)?;
    let rid = state.resource_table.add(RequestBody::new(body));
    if let Some(lent) = events.borrow_mut().lent(key) {
        lent.resources.push(rid);
    }
    Ok(rid)
}

/// Copies a body that is in memory.
#[op2(fast)]
fn op_isopod_request_bytes(
    state: &mut OpState,
    #[smi] key: EventKey,
    #[buffer] to: &mut [u8],
) -> Result<(), HandlerError> {
    let body = events(state).borrow_mut().take_body(key).ok_or(HandlerError::Ended)?;
    let bytes = body.as_bytes().filter(|bytes| bytes.len() == to.len());
    to.copy_from_slice(bytes.ok_or(HandlerError::Ended)?);
    Ok(())
}

/// Decodes a body that is in memory: <https://encoding.spec.whatwg.org/#utf-8-decode>.
#[op2]
fn op_isopod_request_text<'s>(
    state: &mut OpState,
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] key: EventKey,
) -> Result<v8::Local<'s, v8::String>, HandlerError> {
    let body = events(state).borrow_mut().take_body(key).ok_or(HandlerError::Ended)?;
    let bytes = body.as_bytes().ok_or(HandlerError::Ended)?;
    let text = fields::text(scope, bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes));
    text.ok_or(HandlerError::NoMemory(copy::NoMemory(bytes.len())))
}

pub(crate) fn response(
    status: u16,
    reason: &[u8],
    headers: Vec<(ByteString, ByteString)>,
) -> Result<http::Response<()>, HandlerError> {
    let code = StatusCode::from_u16(status)
        .ok()
        .filter(|_| (200..600).contains(&status));
    let mut response = http::Response::new(());
    *response.status_mut() = code.ok_or(HandlerError::Status(status))?;
    set_reason(&mut response, reason).map_err(|error| HandlerError::Reason(error.to_string()))?;
    *response.headers_mut() = header_map(headers)?;
    Ok(response)
}

/// The headers of a script's response.
pub(crate) fn header_map(given: Vec<(ByteString, ByteString)>) -> Result<HeaderMap, HandlerError> {
    let mut headers = Headers::default();
    for (name, value) in given {
        let shown = || String::from_utf8_lossy(&name).into_owned();
        let parsed = HeaderName::from_bytes(&name).map_err(|e| HandlerError::Header(shown(), e.to_string()))?;
        let value = HeaderValue::from_maybe_shared(Bytes::from(value.to_vec()))
            .map_err(|e| HandlerError::Header(shown(), e.to_string()))?;
        headers
            .append(parsed, value)
            .map_err(|_| HandlerError::TooManyHeaders)?;
    }
    Ok(headers.finish())
}

/// Answers with a body in memory. `last` also ends the event, because nothing else is pending. `manual`: the script has
/// encoded the body itself.
#[op2]
#[allow(clippy::too_many_arguments, reason = "the parts of a response, and how it is sent")]
fn op_isopod_respond(
    state: &mut OpState,
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] key: EventKey,
    #[smi] status: u16,
    #[scoped] reason: ByteString,
    #[scoped] headers: Vec<(ByteString, ByteString)>,
    body: v8::Local<v8::Value>,
    last: bool,
    manual: bool,
) -> Result<(), HandlerError> {
    let bytes = copy::of_text_or_view(scope, body)?;
    let mut response = response(status, &reason, headers)?;
    let events = events(state);
    let body = match bytes {
        None => Body::empty(),
        Some(bytes) => {
            let usage = Usage::of(state);
            let label = Label::of(&mut response, events.borrow().sent_headers(key), manual);
            let bytes = match label {
                Label::Encode(layers) => {
                    let cpu = events.borrow().cpu(key);
                    let encoded = coding::encode::encode(&bytes, &layers, &usage, &cpu);
                    if let Err(EncodeError::Cpu(exceeded)) = &encoded {
                        let fault = Fault::new(FaultKind::ExceededCpu, exceeded.to_string());
                        events.borrow_mut().fail(key, fault);
                    }
                    encoded?
                }
                Label::Encoded(_) | Label::Plain => bytes,
            };
            Body::from(usage.ledger().keep(bytes))
        }
    };
    let response = response.map(|()| body);
    events.borrow_mut().respond(key, response);
    if last {
        finish(state, &events, key);
    }
    Ok(())
}

/// Answers with status 200, a body in memory and at most the header `content-type`: a string, or 1 for that of texts. Skips the
/// conversions of [`op_isopod_respond`], which most answers do not need.
#[op2(fast)]
fn op_isopod_respond_plain<'s>(
    state: &mut OpState,
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] key: EventKey,
    body: v8::Local<'s, v8::Value>,
    content_type: v8::Local<'s, v8::Value>,
    last: bool,
) -> Result<(), HandlerError> {
    let bytes = copy::of_text_or_view(scope, body)?.unwrap_or_default();
    let mut response = http::Response::new(Body::from(Usage::of(state).ledger().keep(bytes)));
    if let Some(content_type) = fields::content_type(scope, content_type)? {
        let mut headers = Headers::default();
        headers
            .append(http::header::CONTENT_TYPE, content_type)
            .map_err(|_| HandlerError::TooManyHeaders)?;
        *response.headers_mut() = headers.finish();
    }
    let events = events(state);
    events.borrow_mut().respond(key, response);
    if last {
        finish(state, &events, key);
    }
    Ok(())
}

/// Answers with a stream, and waits until it has been sent or the client has disconnected.
#[op2]
fn op_isopod_respond_stream(
    state: Rc<RefCell<OpState>>,
    #[smi] key: EventKey,
    #[smi] status: u16,
    #[scoped] reason: ByteString,
    #[scoped] headers: Vec<(ByteString, ByteString)>,
    #[smi] rid: ResourceId,
    manual: bool,
) -> impl Future<Output = Result<bool, HandlerError>> + use<> {
    let head = response(status, &reason, headers);
    let begun = begin_stream(&state, key, head, rid, manual);
    stay(state, rid, Some(key), begun)
}

fn begin_stream(
    state: &RefCell<OpState>,
    key: EventKey,
    head: Result<http::Response<()>, HandlerError>,
    rid: ResourceId,
    manual: bool,
) -> Result<Outgoing, HandlerError> {
    let mut state = state.borrow_mut();
    let resource = state.resource_table.get_any(rid).map_err(StreamError::from)?;
    let begun = head.and_then(|mut response| {
        let label = Label::of(&mut response, events(&state).borrow().sent_headers(key), manual);
        Ok((response, label.stream(&state, key, rid, resource)?))
    });
    let (response, resource) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            drop(state.resource_table.take_any(rid).map(|resource| resource.close()));
            return Err(error);
        }
    };
    let (outgoing, body) = Outgoing::new(resource);
    let events = events(&state);
    let mut events = events.borrow_mut();
    events.respond(key, response.map(|()| body));
    events.streams(key, outgoing.tail());
    Ok(outgoing)
}

/// Answers with a value: the result of a call, or the decision about a batch.
#[op2(fast, reentrant)]
fn op_isopod_give<'s>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] key: EventKey,
    value: v8::Local<'s, v8::Value>,
    last: bool,
) {
    let shared = events(&state.borrow());
    // Reading a value may run getters, which may call ops: no borrow is held.
    let answer = shared.borrow_mut().take_answer(key);
    if let Some(answer) = answer {
        let before = shared.borrow().callbacks(key);
        let given = unwind::catch(|| answer.give(scope, value)).unwrap_or_else(|panic| Err(panic.into()));
        let mut events = shared.borrow_mut();
        events.answered_with(key, before);
        if let Err(error) = given {
            tracing::debug!(target: "isopod::worker", event = key, "{error}");
            events.set_failed(key, FaultKind::Exception);
        }
    }
    if last {
        finish(&mut state.borrow_mut(), &shared, key);
    }
}

/// Answers with a stream, like [`op_isopod_respond_stream`].
#[op2]
fn op_isopod_give_stream(
    state: Rc<RefCell<OpState>>,
    #[smi] key: EventKey,
    #[smi] rid: ResourceId,
) -> impl Future<Output = Result<bool, HandlerError>> + use<> {
    let begun = begin_given_stream(&state, key, rid);
    stay(state, rid, Some(key), begun)
}

fn begin_given_stream(state: &RefCell<OpState>, key: EventKey, rid: ResourceId) -> Result<Outgoing, HandlerError> {
    let state = state.borrow();
    let resource = state.resource_table.get_any(rid).map_err(StreamError::from)?;
    let (outgoing, body) = Outgoing::new(resource);
    let shared = events(&state);
    let answer = shared.borrow_mut().take_answer(key).ok_or(HandlerError::Ended)?;
    answer
        .stream(body)
        .map_err(|error| StreamError::Value(error.to_string()))?;
    shared.borrow_mut().streams(key, outgoing.tail());
    Ok(outgoing)
}

/// Answers with the exception of a handler. `last` as for a response. `missing`: the script has no such function.
#[op2(fast, reentrant)]
fn op_isopod_fail<'s>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] key: EventKey,
    error: v8::Local<'s, v8::Value>,
    last: bool,
    missing: bool,
) {
    // Reading an error may run getters, which may call ops: no borrow is held.
    let error = js_error(scope, error);
    let mut state = state.borrow_mut();
    let mut fault = Fault::from_js(FaultKind::Exception, &error, state.try_borrow::<CodeFrames>());
    if missing {
        fault.thrown = Some(Arc::new(Thrown::new(&error).missing()));
    }
    let events = events(&state);
    events.borrow_mut().fail(key, fault);
    if last {
        finish(&mut state, &events, key);
    }
}

#[op2(fast)]
fn op_isopod_end(state: &mut OpState, #[smi] key: EventKey) {
    let events = events(state);
    finish(state, &events, key);
}

/// Records that an event has been answered completely, and continues with its `waitUntil` promises.
#[op2(fast)]
fn op_isopod_linger(state: &mut OpState, #[smi] key: EventKey) {
    events(state).borrow_mut().enter_wait_until(key);
}

#[op2(fast)]
fn op_isopod_pass_through(state: &mut OpState, #[smi] key: EventKey) {
    events(state).borrow_mut().set_pass_through(key);
}

/// Replaces `op_dispatch_exception`, which ends the isolate: an uncaught error is reported, and the worker continues.
#[op2(fast, reentrant)]
fn op_isopod_report<'s>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, '_>,
    error: v8::Local<'s, v8::Value>,
    rejection: bool,
) {
    let error = js_error(scope, error);
    let state = state.borrow();
    let Some(shared) = state.try_borrow::<Rc<RefCell<Events>>>() else {
        return;
    };
    let fault = Fault::from_js(FaultKind::Exception, &error, state.try_borrow::<CodeFrames>());
    shared.borrow_mut().report(Report {
        fault,
        event: None,
        rejection,
    });
}

deno_core::extension!(
    isopod_handlers,
    deps = [deno_webidl, deno_web, deno_fetch],
    ops = [
        op_isopod_request_header,
        op_isopod_request_headers,
        op_isopod_request_body,
        op_isopod_request_bytes,
        op_isopod_request_text,
        op_isopod_request_cf,
        op_isopod_respond,
        op_isopod_respond_plain,
        op_isopod_respond_stream,
        op_isopod_give,
        op_isopod_give_stream,
        task_ops::op_isopod_message_data,
        task_ops::op_isopod_props,
        task_ops::op_isopod_progress,
        task_ops::op_isopod_emit,
        op_isopod_fail,
        op_isopod_end,
        op_isopod_linger,
        op_isopod_pass_through,
        op_isopod_report,
        room::op_isopod_found_room,
        room::op_isopod_may_look,
        room::op_isopod_room_is_made,
    ],
    lazy_loaded_js = [dir "src/handlers", "classes.js", "handlers.js", "held.js", "incoming.js", "inputs.js", "last.js", "respond.js", "rows.js", "soft_limit.js", "transfer.js"],
    middleware = |op| match op.name {
        "op_dispatch_exception" => op.with_implementation_from(&op_isopod_report()),
        _ => op,
    },
);
