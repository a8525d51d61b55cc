//! Requests that are answered in the process, without a socket, and their responses. The limits, quotas, codings and
//! cancellation of network requests apply, but not the guard. The only added headers are `Host`, `Content-Length` and the
//! request id for logs.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use deno_core::convert::{ByteString, Uint8Array};
use deno_core::url::{Position, Url};
use deno_core::{CancelHandle, OpState, ResourceId, v8};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, UPGRADE};
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri, response};
use http_body::Body as _;

use super::body::{Chunks, IncomingBody, ResponseBody, chunks_of, exact_size, keep_encoded};
use super::error::FetchError;
use super::service::{Payer, check_headers, in_either_form, layers_of};
use super::{charge_event, insert, request_headers, service};
use crate::coding::Codings;
use crate::context::{cpu_of, current_event, end_with_event};
use crate::event::{Body, Caller, EventKey, reason_of};
use crate::quotas::{QuotaError, Usage};
use crate::values::{Events, Outgoing};
use crate::websocket::asks_for_socket;

/// The header with the id of a request, for logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The parts of a script's request.
pub(crate) struct Parts {
    pub(crate) method: ByteString,
    pub(crate) url: String,
    pub(crate) headers: Vec<(ByteString, ByteString)>,
    pub(crate) has_body: bool,
    /// The body, if it is in memory.
    pub(crate) data: Option<Uint8Array>,
    /// The body, if it is a stream.
    pub(crate) resource: Option<ResourceId>,
}

/// A request for a fetcher.
pub(crate) struct DirectRequest {
    pub(crate) request: Request<Body>,
    pub(crate) caller: Caller,
    /// The stream of its body, which is moved to the reader.
    pub(crate) stream: Option<Outgoing>,
    /// The event whose code makes the request; 0 for none.
    pub(crate) event: EventKey,
    /// Canceled when the event ends.
    pub(crate) cancel: Rc<CancelHandle>,
    /// True if it asks for a WebSocket.
    pub(crate) opens_socket: bool,
}

impl DirectRequest {
    /// Creates a request of the worker with this name, and charges it to the event whose code runs.
    pub(crate) fn new(
        state: &mut OpState,
        scope: &mut v8::PinScope<'_, '_>,
        worker: &Arc<str>,
        parts: Parts,
    ) -> Result<Self, FetchError> {
        let usage = Usage::of(state);
        usage.room_for_handle(state)?;
        let mut url = Url::parse(&parts.url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchError::Scheme(url.scheme().to_owned()));
        }
        let event = current_event(scope);
        let caller = caller_of(state, event, worker, &usage)?;
        let method = Method::from_bytes(&parts.method)?;
        let opens_socket = method == Method::GET && asks_for_socket(&parts.headers);
        let mut headers = request_headers(&mut url, parts.headers)?;
        if opens_socket {
            // The same value as the server's.
            insert(&mut headers, UPGRADE, HeaderValue::from_static("websocket"))?;
            insert(&mut headers, CONNECTION, HeaderValue::from_static("Upgrade"))?;
        }
        let host = &url[Position::BeforeHost..Position::AfterPort];
        insert(&mut headers, HOST, HeaderValue::from_str(host)?)?;
        if let Some(id) = &caller.request_id {
            insert(&mut headers, REQUEST_ID, HeaderValue::from_str(id)?)?;
        }
        let (body, length, stream) = match (parts.has_body, parts.data, parts.resource) {
            (true, Some(data), _) => {
                let bytes = usage.ledger().keep(Bytes::from(data.0));
                let length = bytes.len() as u64;
                (Body::from(bytes), Some(length), None)
            }
            (true, None, Some(rid)) => {
                // A response body that is forwarded with its `Content-Encoding` stays encoded.
                keep_encoded(state, rid, &Codings::of(&headers).layers());
                let resource = state.resource_table.take_any(rid)?;
                let length = exact_size(&*resource);
                let (outgoing, body) = Outgoing::on_demand(resource);
                end_with_event(state, event, outgoing.tail())?;
                (body, length, Some(outgoing))
            }
            _ => {
                let length = matches!(method, Method::POST | Method::PUT).then_some(0);
                (Body::empty(), length, None)
            }
        };
        if let Some(length) = length {
            insert(&mut headers, CONTENT_LENGTH, length.into())?;
        }
        let cancel = CancelHandle::new_rc();
        end_with_event(state, event, &cancel)?;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = Uri::try_from(url.as_str())?;
        *request.headers_mut() = headers;
        Ok(Self {
            request,
            caller,
            stream,
            event,
            cancel,
            opens_socket,
        })
    }
}

/// Returns the caller for a fetcher, and charges the event with a request.
pub(crate) fn caller_of(
    state: &OpState,
    event: EventKey,
    worker: &Arc<str>,
    usage: &Usage,
) -> Result<Caller, QuotaError> {
    let mut caller = Caller::new(worker.clone());
    caller.depth = charge_event(state, event, usage)?;
    if let Some(events) = state.try_borrow::<Rc<RefCell<Events>>>() {
        let events = events.borrow();
        caller.deadline = events.deadline(event);
        caller.request_id = events.request_id(event).map(str::to_owned);
    }
    Ok(caller)
}

/// The head of a response, and its body's resource, which ends with the event.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) status_text: String,
    pub(crate) headers: Vec<(ByteString, ByteString)>,
    pub(crate) body: ResourceId,
}

impl Answered {
    /// Converts the head of a response. `body` is the resource of its body or WebSocket.
    pub(crate) fn new(head: &response::Parts, body: ResourceId) -> Self {
        let headers = head.headers.iter();
        Self {
            status: head.status.as_u16(),
            status_text: reason_of(head.status, &head.extensions),
            headers: headers
                .map(|(name, value)| (name.as_str().into(), value.as_bytes().into()))
                .collect(),
            body,
        }
    }
}

/// Checks the head of a response against the limits of the requesting worker.
pub(crate) fn check_head(state: &mut OpState, head: &response::Parts) -> Result<(), FetchError> {
    Ok(check_headers(&head.headers, service(state)?.limits())?)
}

/// Adds the body of a response to the worker's resources.
pub(crate) fn answered(
    state: &mut OpState,
    event: EventKey,
    response: Response<Body>,
    is_head: bool,
) -> Result<Answered, FetchError> {
    let (head, body) = response.into_parts();
    check_head(state, &head)?;
    let service = service(state)?;
    let layers = layers_of(head.status, &head.headers, is_head);
    let body = Rc::new(match body.as_bytes() {
        Some(bytes) if layers.is_empty() => ResponseBody::full(bytes.clone()),
        _ => {
            let length = body.size_hint().exact();
            let (stream, length, encoded) = match layers.is_empty() {
                true => (chunks_of(body), length, None),
                false => {
                    let payer = Payer {
                        memory: Usage::of(state).ledger().clone(),
                        cpu: cpu_of(state, event),
                    };
                    let decoded_bytes_max = service.limits().decoded_bytes_max;
                    let (stream, encoded) = in_either_form(chunks_of(body), layers, length, decoded_bytes_max, payer);
                    (stream, None, Some(encoded))
                }
            };
            let body = IncomingBody {
                chunks: Chunks::Stream(stream),
                encoded,
                _open: service.open_body()?,
            };
            ResponseBody::streaming(body, length)
        }
    });
    end_with_event(state, event, &body)?;
    let body = state.resource_table.add_rc(body);
    Ok(Answered::new(&head, body))
}

/// Adds a body in memory to the worker's resources. It ends with the event.
pub(crate) fn body_of(state: &mut OpState, event: EventKey, bytes: Bytes) -> Result<ResourceId, FetchError> {
    Usage::of(state).room_for_handle(state)?;
    let body = Rc::new(ResponseBody::full(bytes));
    end_with_event(state, event, &body)?;
    Ok(state.resource_table.add_rc(body))
}

/// Adds a body without a response to the worker's resources. It ends with the event, and a stream counts as one of the
/// worker's open bodies.
pub(crate) fn streamed(state: &mut OpState, event: EventKey, body: Body) -> Result<ResourceId, FetchError> {
    if body.is_end_stream() {
        return body_of(state, event, Bytes::new());
    }
    if let Some(bytes) = body.as_bytes() {
        return body_of(state, event, bytes.clone());
    }
    Usage::of(state).room_for_handle(state)?;
    let length = body.size_hint().exact();
    let body = IncomingBody {
        chunks: Chunks::Stream(chunks_of(body)),
        encoded: None,
        _open: service(state)?.open_body()?,
    };
    let body = Rc::new(ResponseBody::streaming(body, length));
    end_with_event(state, event, &body)?;
    Ok(state.resource_table.add_rc(body))
}
