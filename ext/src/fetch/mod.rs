//! `fetch`, with the classes of deno_fetch, on the HTTP client of the worker's thread.
//!
//! `fetch.js` handles redirects, aborting and integrity; the other scripts complete deno_fetch's classes. The runtime places
//! an `Rc<Io>`, an `Rc<EventLoopIo>` if it is to be used and, unless the defaults apply, a [`FetchConfig`] in the worker's `OpState`.
//!
//! The path of a request: ops (here) → [`guard`] → `service` (limits; the thread's client, on the I/O runtime) → `body`
//! (bounded channels in both directions). An encoded response is decoded there, unless it is forwarded unchanged. The
//! resolver in `client` asks the guard again.

mod address;
mod body;
mod client;
mod config;
mod direct;
mod elsewhere;
mod error;
pub mod guard;
mod identity;
mod integrity;
mod pipe;
mod resolve;
mod rule;
mod send_error;
mod served;
mod servers;
mod service;
mod written;

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use deno_core::convert::{ByteString, Uint8Array};
use deno_core::url::Url;
use deno_core::{CancelFuture, CancelHandle, OpDecl, OpState, Resource, ResourceId, op2, v8};
use deno_fetch::data_url::DataUrl;
use deno_fetch::{FetchResponse, FetchReturn, basic_auth, extract_authority};
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, RANGE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use self::body::{Pump, ResponseBody};
use self::service::{Incoming, Opening, Outgoing, OutgoingBody, Payer};
use crate::coding::{Coding, Codings, offered};
use crate::context::{cpu_of, current_event, end_with_event, is_open};
use crate::event::{CALL_DEPTH, EventEnded, EventKey, Headers, Tail};
use crate::io::{EventLoopIo, Io};
use crate::quotas::{QuotaError, Usage};
use crate::unwind;
use crate::values::Events;
use crate::websocket::{self, Socket};

pub(crate) use self::body::{exact_size, keep_encoded};
pub(crate) use self::client::{permitted, root_certificates, tls_config, tls_config_builder};
pub use self::config::{ConnectionOptions, FetchConfig, FetchLimits};
pub(crate) use self::direct::{Answered, DirectRequest, Parts, answered, body_of, caller_of, check_head, streamed};
pub use self::elsewhere::Network;
pub(crate) use self::elsewhere::{NetworkCall, NetworkReply, ask, begun};
pub use self::error::FetchError;
pub use self::guard::{NetPolicy, Refused};
pub(crate) use self::pipe::{Piped, incoming, piped, run as run_pipe, sent};
pub use self::resolve::{ResolveHost, Resolver};
pub use self::rule::{Rule, RuleError};
pub use self::send_error::SendError;
pub use self::servers::{OwnServers, WrittenServers};
pub(crate) use self::service::FetchService;
pub use self::written::WrittenFetch;

deno_core::extension!(
    isopod_fetch,
    deps = [deno_web, deno_fetch],
    ops = [op_isopod_body_length, op_isopod_keep_encoded, op_isopod_matches_integrity],
    lazy_loaded_js = [dir "src/fetch", "bodies.js", "fetch.js", "fixed_length.js", "form_data.js", "responses.js"],
    // A middleware applies to the ops of every extension, regardless of its position in the list.
    middleware = |op: OpDecl| match op.name {
        "op_fetch" => op.with_implementation_from(&op_isopod_fetch()),
        "op_fetch_send" => op.with_implementation_from(&op_isopod_fetch_send()),
        "op_fetch_custom_client" => op.with_implementation_from(&op_isopod_fetch_custom_client()),
        _ => op,
    },
);

/// A request between `op_fetch` and `op_fetch_send`.
enum Pending {
    /// A `data:` URL, which contains the response.
    Data { url: Url, mime: String, body: Bytes },
    Network {
        service: Rc<FetchService>,
        request: Outgoing,
        /// The source of a streamed body, and the channel it is moved to.
        source: Option<Pump>,
        /// The WebSocket that it opens.
        socket: Option<Box<Socket>>,
        /// The event whose code makes the request; 0 for none.
        event: EventKey,
        cancel: Rc<CancelHandle>,
    },
}

struct PendingFetch(RefCell<Option<Pending>>);

impl Resource for PendingFetch {
    fn name(&self) -> Cow<'_, str> {
        "fetchRequest".into()
    }
}

/// Cancels a request when it is closed.
pub(crate) struct FetchCancel(pub(crate) Rc<CancelHandle>);

impl Resource for FetchCancel {
    fn name(&self) -> Cow<'_, str> {
        "fetchCancelHandle".into()
    }

    fn close(self: Rc<Self>) {
        self.0.cancel();
    }
}

#[op2]
#[allow(clippy::too_many_arguments, reason = "the signature of the op it stands in for")]
fn op_isopod_fetch(
    state: &mut OpState,
    scope: &mut v8::PinScope<'_, '_>,
    #[scoped] method: ByteString,
    #[string] url: String,
    #[scoped] headers: Vec<(ByteString, ByteString)>,
    #[smi] client_rid: Option<u32>,
    has_body: bool,
    data: Option<Uint8Array>,
    #[smi] resource: Option<ResourceId>,
) -> Result<FetchReturn, FetchError> {
    unwind::catch(|| {
        if client_rid.is_some() {
            return Err(FetchError::CustomClient);
        }
        let usage = Usage::of(state);
        usage.room_for_handle(state)?;
        let mut url = Url::parse(&url)?;
        let (pending, cancel) = match url.scheme() {
            "data" => (data_url(url)?, None),
            "blob" => return Err(FetchError::BlobNotFound),
            _ => {
                let service = service(state)?;
                service.check(&url)?;
                let event = current_event(scope);
                let depth = charge_event(state, event, &usage)?;
                let method = Method::from_bytes(&method)?;
                let opens_socket = method == Method::GET && websocket::asks_for_socket(&headers);
                let mut headers = request_headers(&mut url, headers)?;
                let layers = Codings::of(&headers).layers();
                let (body, length, source) = request_body(state, &service, has_body, data, resource, &method, &layers)?;
                if let Some(length) = length {
                    insert(&mut headers, CONTENT_LENGTH, length.into())?;
                }
                if !headers.contains_key(ACCEPT_ENCODING) {
                    let offered = codings_offered(state, event, &headers);
                    insert(&mut headers, ACCEPT_ENCODING, offered)?;
                }
                let cancel = CancelHandle::new_rc();
                end_with_event(state, event, &cancel)?;
                let (socket, opening) = if opens_socket {
                    let tail = Rc::new(Tail::default());
                    end_with_event(state, event, &tail)?;
                    let (socket, opening) = websocket::open_client(state, &tail, &mut headers)?;
                    (Some(Box::new(socket)), Some(Opening::Socket(Box::new(opening))))
                } else {
                    (None, None)
                };
                let request = Outgoing {
                    method,
                    url,
                    headers,
                    body,
                    depth,
                    opening,
                };
                (
                    Pending::Network {
                        service,
                        request,
                        source,
                        socket,
                        event,
                        cancel: cancel.clone(),
                    },
                    Some(cancel),
                )
            }
        };
        let table = &mut state.resource_table;
        Ok(FetchReturn {
            request_rid: table.add(PendingFetch(RefCell::new(Some(pending)))),
            cancel_handle_rid: cancel.map(|cancel| table.add(FetchCancel(cancel))),
        })
    })?
}

#[op2]
async fn op_isopod_fetch_send(
    state: Rc<RefCell<OpState>>,
    #[smi] rid: ResourceId,
) -> Result<FetchResponse, FetchError> {
    unwind::catch_async(async {
        let pending = state.borrow_mut().resource_table.take::<PendingFetch>(rid)?;
        // Sending a request twice fails; deno_fetch's own script never does.
        let pending = pending.0.borrow_mut().take().ok_or(FetchError::Canceled)?;
        match pending {
            Pending::Data { url, mime, body } => {
                let body_rid = state.borrow_mut().resource_table.add(ResponseBody::full(body));
                let headers = vec![("content-type".into(), mime.as_bytes().into())];
                Ok(FetchResponse {
                    status: 200,
                    status_text: "OK".to_owned(),
                    headers,
                    url: url.into(),
                    response_rid: body_rid,
                    ..FetchResponse::default()
                })
            }
            Pending::Network {
                service,
                request,
                source,
                socket,
                event,
                cancel,
            } => {
                let url = String::from(request.url.clone());
                if let Some(pump) = source {
                    // Not awaited, because a body may be sent while the response is read. The task ends with the event loop.
                    drop(deno_core::unsync::spawn(pump.run()));
                }
                let usage = Usage::of(&state.borrow());
                let _slot = usage.begin_op()?;
                let payer = Payer {
                    memory: usage.ledger().clone(),
                    cpu: cpu_of(&state.borrow(), event),
                };
                match service.send(request, payer).or_cancel(cancel).await {
                    Err(_) if is_open(&state.borrow(), event) => Err(FetchError::Canceled),
                    Err(_) => Err(EventEnded.into()),
                    Ok(Ok(incoming)) => response(&mut state.borrow_mut(), event, url, incoming, socket),
                    // deno_fetch's script turns this into a TypeError whose `cause` has the reason.
                    Ok(Err(error @ SendError::Transport { .. })) => {
                        let detail = error.to_string();
                        let SendError::Transport { cause, .. } = error else {
                            return Err(FetchError::Canceled);
                        };
                        Ok(FetchResponse {
                            error: Some((detail, cause)),
                            ..FetchResponse::default()
                        })
                    }
                    Ok(Err(error)) => Err(error.into()),
                }
            }
        }
    })
    .await?
}

#[op2(fast)]
fn op_isopod_fetch_custom_client() -> Result<(), FetchError> {
    Err(FetchError::CustomClient)
}

/// Returns the length of a stream's source, or -1 if unknown.
#[op2(fast)]
#[number]
fn op_isopod_body_length(state: &mut OpState, #[smi] rid: ResourceId) -> i64 {
    let length = state.resource_table.get_any(rid).ok().and_then(|it| exact_size(&*it));
    length.and_then(|length| i64::try_from(length).ok()).unwrap_or(-1)
}

/// Makes a response body be read as received.
#[op2(fast)]
fn op_isopod_keep_encoded(state: &mut OpState, #[smi] rid: ResourceId) {
    if let Ok(body) = state.resource_table.get::<ResponseBody>(rid) {
        body.keep_encoded(None);
    }
}

#[op2(fast)]
fn op_isopod_matches_integrity(#[string] metadata: &str, #[buffer] bytes: &[u8]) -> bool {
    integrity::matches(metadata, bytes)
}

/// Returns the worker's service, created on first use.
fn service(state: &mut OpState) -> Result<Rc<FetchService>, FetchError> {
    if let Some(service) = state.try_borrow::<Rc<FetchService>>() {
        return Ok(service.clone());
    }
    let io = state.try_borrow::<Rc<Io>>().ok_or(FetchError::NoIo)?.clone();
    let own = state.try_borrow::<Rc<EventLoopIo>>().cloned();
    let config = state.try_borrow::<FetchConfig>().cloned().unwrap_or_default();
    let service = Rc::new(FetchService::new(io, own, config));
    state.put(service.clone());
    Ok(service)
}

/// Returns the body to send, its length if known, and its source if it is streamed.
fn request_body(
    state: &mut OpState,
    service: &FetchService,
    has_body: bool,
    data: Option<Uint8Array>,
    resource: Option<ResourceId>,
    method: &Method,
    layers: &[Coding],
) -> Result<(OutgoingBody, Option<u64>, Option<Pump>), FetchError> {
    match (has_body, data, resource) {
        (true, Some(data), _) => {
            let bytes = Bytes::from(data.0);
            let length = bytes.len() as u64;
            Ok((OutgoingBody::Full(bytes), Some(length), None))
        }
        (true, None, Some(rid)) => {
            // A response body that is forwarded with its `Content-Encoding` is not decoded.
            keep_encoded(state, rid, layers);
            let resource = state.resource_table.take_any(rid)?;
            let length = exact_size(&*resource);
            let (pump, pumped) = Pump::new(resource, service.chunks_buffered());
            Ok((OutgoingBody::Stream(pumped), length, Some(pump)))
        }
        _ => {
            // https://fetch.spec.whatwg.org/#http-network-or-cache-fetch
            let length = matches!(*method, Method::POST | Method::PUT).then_some(0);
            Ok((OutgoingBody::Empty, length, None))
        }
    }
}

/// Returns the codings that a request accepts unless its script names some.
fn codings_offered(state: &OpState, event: EventKey, headers: &HeaderMap) -> HeaderValue {
    // https://fetch.spec.whatwg.org/#http-network-or-cache-fetch: a range of an encoded body could not be decoded.
    if headers.contains_key(RANGE) {
        return HeaderValue::from_static("identity");
    }
    let events = state.try_borrow::<Rc<RefCell<Events>>>().map(|events| events.borrow());
    offered(events.as_ref().and_then(|events| events.sent_headers(event)))
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) -> Result<(), FetchError> {
    let inserted = headers.try_insert(name, value);
    inserted.map(drop).map_err(|_| FetchError::TooManyHeaders)
}

/// Headers that determine a message's destination and end. Workers share connections, so a script that controls the end of
/// its request could hide another one in it, whose response another worker would receive.
const OURS: [HeaderName; 8] = [
    CALL_DEPTH,
    HOST,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    CONNECTION,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Charges a request to its event. Returns the request's depth.
pub(crate) fn charge_event(state: &OpState, event: EventKey, usage: &Usage) -> Result<u32, QuotaError> {
    let Some(events) = state.try_borrow::<Rc<RefCell<Events>>>() else {
        return Ok(1);
    };
    let mut events = events.borrow_mut();
    events.spent(event).subrequest(&usage.quotas)?;
    Ok(events.origin(event).depth.saturating_add(1))
}

/// Returns the headers to send. Moves credentials from the URL to their header, and sets host and length.
pub(crate) fn request_headers(url: &mut Url, headers: Vec<(ByteString, ByteString)>) -> Result<HeaderMap, FetchError> {
    let mut map = Headers::default();
    if let Some((user, password)) = extract_authority(url) {
        map.append(AUTHORIZATION, basic_auth(&user, password.as_deref()))
            .map_err(|_| FetchError::TooManyHeaders)?;
    }
    for (name, value) in headers {
        let name = HeaderName::from_bytes(&name)?;
        let value = HeaderValue::from_bytes(&value)?;
        if !OURS.contains(&name) {
            map.append(name, value).map_err(|_| FetchError::TooManyHeaders)?;
        }
    }
    Ok(map.finish())
}

fn data_url(url: Url) -> Result<Pending, FetchError> {
    let invalid = |error: &dyn std::fmt::Debug| FetchError::DataUrl(format!("{error:?}"));
    let parsed = DataUrl::process(url.as_str()).map_err(|error| invalid(&error))?;
    let (body, _fragment) = parsed.decode_to_vec().map_err(|error| invalid(&error))?;
    let mime = parsed.mime_type().to_string();
    Ok(Pending::Data {
        mime,
        body: body.into(),
        url,
    })
}

fn response(
    state: &mut OpState,
    event: EventKey,
    url: String,
    incoming: Incoming,
    socket: Option<Box<Socket>>,
) -> Result<FetchResponse, FetchError> {
    let Incoming {
        status,
        reason,
        headers,
        length,
        body,
    } = incoming;
    let pairs = headers
        .iter()
        .map(|(name, value)| (name.as_str().into(), value.as_bytes().into()))
        .collect();
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(socket)) = (status, socket) {
        return Ok(FetchResponse {
            status: status.as_u16(),
            status_text: reason,
            headers: pairs,
            url,
            response_rid: state.resource_table.add(*socket),
            ..FetchResponse::default()
        });
    }
    let body_decoded = body.encoded.is_some();
    let body = Rc::new(ResponseBody::streaming(body, length));
    end_with_event(state, event, &body)?;
    Ok(FetchResponse {
        status: status.as_u16(),
        status_text: reason,
        headers: pairs,
        url,
        response_rid: state.resource_table.add_rc(body),
        content_length: length,
        body_decoded,
        error: None,
    })
}
