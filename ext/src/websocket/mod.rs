//! WebSockets of scripts: `WebSocketPair`, `WebSocket`, responses with `webSocket`.
//!
//! `websocket.js` defines the objects, and `ends.js` connects them. A `Socket` is the worker's end of a connection out of
//! the worker, by [`isopod_websocket`].
//!
//! A server's socket belongs to the event that answered with it. That event stays open as long as the socket, with all work that
//! its listeners start, and each message renews its CPU time and quotas. A client's socket belongs to the event that opened it,
//! and ends with it.

mod client;
mod service;
mod socket;

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::convert::ByteString;
use deno_core::{CancelFuture, OpState, ResourceId, op2, v8};
use isopod_websocket::{Close, InvalidClose, Message, SendError};

pub use isopod_websocket::{Ending, Guard, Limits as SocketLimits, Report, Role, Upgrade, Wire, handshake, relay};

pub(crate) use self::client::{ClientOpening, asks_for_socket, open_client};
pub(crate) use self::service::connect;
pub(crate) use self::socket::Socket;
use self::socket::{NEXT_ENDED, open};
use crate::event::{Body, EventKey, Tail};
use crate::handlers::{HandlerError, NoMemory, header_map, of_text, of_view, room};
use crate::quotas::{QuotaError, Usage};
use crate::values::events;

/// Errors of the ops of this folder.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[non_exhaustive]
pub enum SocketError {
    /// The resource is not a socket.
    #[class(inherit)]
    #[error(transparent)]
    Resource(#[from] deno_core::error::ResourceError),
    /// The close frame is invalid.
    #[class(type)]
    #[error(transparent)]
    Close(#[from] InvalidClose),
    /// The message is too large to be copied now.
    #[class(range)]
    #[error(transparent)]
    NoMemory(#[from] NoMemory),
    /// The worker has too many sockets.
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The response cannot be sent.
    #[class(inherit)]
    #[error(transparent)]
    Response(#[from] HandlerError),
    /// The value is neither text nor bytes.
    #[class(type)]
    #[error("a WebSocket message must be a string, an ArrayBuffer or a view of one")]
    NoMessage,
}

/// Answers an event with status 101 and a socket. The event stays open until the socket has ended.
#[op2]
#[smi]
fn op_isopod_socket_respond(
    state: &mut OpState,
    #[smi] key: EventKey,
    #[scoped] headers: Vec<(ByteString, ByteString)>,
) -> Result<ResourceId, SocketError> {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = http::StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = header_map(headers)?;
    let tail = Rc::new(Tail::default());
    let (socket, wire) = open(state, Some(key), &tail)?;
    response.extensions_mut().insert(Upgrade::new(wire));
    let events = events(state);
    let mut events = events.borrow_mut();
    events.respond(key, response);
    events.holds_socket(key, &tail);
    Ok(state.resource_table.add(socket))
}

/// Waits for the next message, or the end. Returns its kind, for the ops that fetch it.
#[op2(async(deferred), fast)]
#[smi]
async fn op_isopod_socket_next(state: Rc<RefCell<OpState>>, #[smi] rid: ResourceId) -> u32 {
    let Ok(socket) = state.borrow().resource_table.get::<Socket>(rid) else {
        return NEXT_ENDED;
    };
    let ended = socket.ended();
    let kind = socket.next().or_cancel(ended).await.unwrap_or(NEXT_ENDED);
    if let Some(event) = socket.event() {
        events(&state.borrow()).borrow_mut().renew(event);
    }
    kind
}

#[op2]
#[string]
fn op_isopod_socket_text(state: &mut OpState, #[smi] rid: ResourceId) -> Result<String, SocketError> {
    match state.resource_table.get::<Socket>(rid)?.take_message() {
        Some(Message::Text(text)) => Ok(text.as_str().to_owned()),
        _ => Ok(String::new()),
    }
}

#[op2]
#[buffer]
fn op_isopod_socket_bytes(state: &mut OpState, #[smi] rid: ResourceId) -> Result<Vec<u8>, SocketError> {
    match state.resource_table.get::<Socket>(rid)?.take_message() {
        Some(Message::Binary(bytes)) => Ok(bytes.into()),
        _ => Ok(Vec::new()),
    }
}

/// The end of a connection, for the script.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct End {
    code: u16,
    reason: String,
    was_clean: bool,
    error: Option<String>,
}

#[op2]
#[serde]
fn op_isopod_socket_end(state: &mut OpState, #[smi] rid: ResourceId) -> Result<Option<End>, SocketError> {
    let closed = state.resource_table.get::<Socket>(rid)?.take_closed();
    Ok(closed.map(|closed| End {
        code: closed.code,
        reason: closed.reason,
        was_clean: closed.was_clean,
        error: closed.error,
    }))
}

/// Sends a message, if the socket is open and its buffer has room.
#[op2(fast)]
fn op_isopod_socket_send(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] rid: ResourceId,
    message: v8::Local<'_, v8::Value>,
) -> Result<(), SocketError> {
    // Requesting memory may run V8 code that borrows the state.
    let (socket, usage) = {
        let state = state.borrow();
        (state.resource_table.get::<Socket>(rid), Usage::of(&state))
    };
    let Ok(socket) = socket else { return Ok(()) };
    let message = if let Ok(text) = v8::Local::<v8::String>::try_from(message) {
        room(scope, text.length())?;
        let bytes = usage.ledger().keep(of_text(scope, text)?);
        Message::text(bytes).map_err(|_| SocketError::NoMessage)?
    } else if let Ok(view) = v8::Local::<v8::ArrayBufferView>::try_from(message) {
        room(scope, view.byte_length())?;
        Message::Binary(usage.ledger().keep(of_view(view)?))
    } else {
        return Err(SocketError::NoMessage);
    };
    match socket.send(message) {
        // The following end reports a full buffer or a closed socket to the script.
        Ok(_) | Err(SendError::Full(_) | SendError::Closed) => Ok(()),
    }
}

/// Starts the close handshake, without a code if `code` is 0.
#[op2(fast)]
fn op_isopod_socket_close(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[smi] code: u16,
    #[string] reason: &str,
) -> Result<(), SocketError> {
    let close = Close::of_application((code != 0).then_some(code), reason)?;
    if let Ok(socket) = state.resource_table.get::<Socket>(rid) {
        socket.close(close);
    }
    Ok(())
}

/// Checks a close frame.
#[op2(fast)]
fn op_isopod_socket_check_close(#[smi] code: u16, #[string] reason: &str) -> Result<(), SocketError> {
    Close::of_application((code != 0).then_some(code), reason)?;
    Ok(())
}

/// Returns the number of unsent bytes.
#[op2(fast)]
#[number]
fn op_isopod_socket_unsent(state: &mut OpState, #[smi] rid: ResourceId) -> u64 {
    let socket = state.resource_table.get::<Socket>(rid);
    socket.map_or(0, |socket| socket.unsent_bytes() as u64)
}

/// Returns the maximum number of bytes that wait between two sockets of one worker.
#[op2(fast)]
#[number]
fn op_isopod_socket_buffer_max(state: &mut OpState) -> u64 {
    Usage::of(state).quotas.socket.buffered_bytes_max as u64
}

deno_core::extension!(
    isopod_web_socket,
    deps = [deno_web, deno_fetch, isopod_handlers],
    ops = [
        op_isopod_socket_respond,
        op_isopod_socket_next,
        op_isopod_socket_text,
        op_isopod_socket_bytes,
        op_isopod_socket_end,
        op_isopod_socket_send,
        op_isopod_socket_close,
        op_isopod_socket_check_close,
        op_isopod_socket_unsent,
        op_isopod_socket_buffer_max,
    ],
    lazy_loaded_js = [dir "src/websocket", "client.js", "ends.js", "websocket.js"],
);
