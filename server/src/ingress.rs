//! Rejection of requests before a worker is used, and limits on incoming bodies.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::task::AtomicWaker;
use http::{HeaderMap, HeaderName, Method, Request, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::{body::Incoming, ext::Protocol};
use subtle::ConstantTimeEq;

use crate::{
    body::{BoxError, ServerBody},
    clock::Alarm,
    config::Limits,
    connection::Connection,
};

/// Reason for a response by the server itself, instead of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub(crate) enum Refusal {
    #[error("no route leads to a worker")]
    NoRoute = 1,
    #[error("the request has no valid host, or more than one")]
    BadHost,
    #[error("CONNECT is not supported")]
    Connect,
    #[error("the URL is longer than this server accepts")]
    UriTooLong,
    #[error("the headers are larger than this server accepts")]
    HeadersTooLarge,
    #[error("the body is larger than this server accepts")]
    BodyTooLarge,
    #[error("the request body timed out")]
    BodyStalled,
    #[error("the request body is incomplete")]
    BodyBroken,
    #[error("workers call each other in a cycle, or too deeply")]
    TooDeep,
    #[error("unsupported transfer coding of the request body")]
    BadEncoding,
    #[error("the request's target is not a path or an `http` URL")]
    BadTarget,
    #[error("the WebSocket version must be 13")]
    SocketVersion,
    #[error("the WebSocket handshake needs one Sec-WebSocket-Key of 16 bytes in Base64")]
    SocketKey,
}

impl Refusal {
    const fn from_code(code: u8) -> Option<Self> {
        match code {
            6 => Some(Self::BodyTooLarge),
            7 => Some(Self::BodyStalled),
            8 => Some(Self::BodyBroken),
            _ => None,
        }
    }
}

/// Returns the size of a request's head in bytes, without protocol overhead.
pub(crate) fn head_bytes<B>(request: &Request<B>) -> usize {
    let headers = request.headers().iter();
    headers
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum::<usize>()
        + path_bytes(request)
}

fn path_bytes<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    uri.path().len() + uri.query().map_or(0, |query| query.len() + 1)
}

/// Returns whether a request is an extended CONNECT for a WebSocket (RFC 8441, section 5).
pub(crate) fn is_connect<B>(request: &Request<B>) -> bool {
    let protocol = request.extensions().get::<Protocol>();
    request.method() == Method::CONNECT && protocol.is_some_and(|protocol| protocol.as_str() == "websocket")
}

/// Checks a request and the size of its head.
pub(crate) fn check<B>(request: &Request<B>, head_bytes: usize, limits: &Limits) -> Result<(), Refusal> {
    let headers = request.headers();
    let path_bytes = path_bytes(request);
    if request.method() == Method::CONNECT && !is_connect(request) {
        return Err(Refusal::Connect);
    }
    if path_bytes > limits.uri_bytes_max {
        return Err(Refusal::UriTooLong);
    }
    if headers.len() > limits.header_count_max || head_bytes - path_bytes > limits.header_bytes_max {
        return Err(Refusal::HeadersTooLarge);
    }
    if !is_plainly_framed(headers) {
        return Err(Refusal::BadEncoding);
    }
    Ok(())
}

/// Returns whether all servers on the path agree on the end of the body. Only `chunked` is supported; hyper accepts any list
/// that ends in it.
fn is_plainly_framed(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// Header of workers' requests to servers of this process, with their depth and the server's key.
const DEPTH: HeaderName = HeaderName::from_static("x-isopod-depth");

/// Removes and returns the depth of a request, which is 0 without the key.
pub(crate) fn take_depth(headers: &mut HeaderMap, key: Option<&str>, limits: &Limits) -> Result<u32, Refusal> {
    let Some(value) = headers.remove(DEPTH) else {
        return Ok(0);
    };
    let depth = value.to_str().ok().and_then(|value| {
        let (depth, given) = value.split_once(' ')?;
        let is_ours = key.is_some_and(|key| key.as_bytes().ct_eq(given.as_bytes()).into());
        is_ours.then(|| depth.parse().ok()).flatten()
    });
    match depth {
        Some(depth) if depth > limits.depth_max => Err(Refusal::TooDeep),
        depth => Ok(depth.unwrap_or(0)),
    }
}

/// Prepares a body for a worker, and reports later failures of it to the server. A body that is read whole must arrive
/// before the alarm.
pub(crate) async fn receive(
    incoming: Incoming,
    limits: &Arc<Limits>,
    connection: &Arc<Connection>,
    alarm: &Alarm,
) -> Result<(ServerBody, Option<Arc<Fault>>), Refusal> {
    if incoming.is_end_stream() {
        return Ok((ServerBody::empty(), None));
    }
    let hint = incoming.size_hint();
    if hint.lower() > limits.body_bytes_max {
        connection.body_left_unread();
        return Err(Refusal::BodyTooLarge);
    }
    let small = hint.exact().unwrap_or(limits.body_bytes_max) <= limits.body_buffer_max;
    let fault = Arc::new(Fault {
        code: AtomicU8::new(0),
        waker: AtomicWaker::new(),
    });
    connection.body_begun();
    let body = Limited {
        incoming,
        left: limits.body_bytes_max,
        limits: limits.clone(),
        connection: connection.clone(),
        alarm: None,
        ended: false,
        fault: fault.clone(),
    };
    if !small {
        return Ok((ServerBody::new(body), Some(fault)));
    }
    alarm.set(limits.request_timeout);
    let collected = tokio::select! {
        collected = body.collect() => collected,
        () = poll_fn(|cx| alarm.poll_due(cx)) => return Err(Refusal::BodyStalled),
    };
    match collected {
        Ok(whole) if whole.trailers().is_some() => Ok((ServerBody::new(whole), None)),
        Ok(whole) => Ok((whole.to_bytes().into(), None)),
        Err(_) => Err(fault.get().unwrap_or(Refusal::BodyBroken)),
    }
}

/// Failure of a body that a worker is reading, on any thread.
pub(crate) struct Fault {
    code: AtomicU8,
    waker: AtomicWaker,
}

impl Fault {
    fn raise(&self, refusal: Refusal) -> BoxError {
        self.code.store(refusal as u8, Ordering::Release);
        self.waker.wake();
        refusal.into()
    }

    fn get(&self) -> Option<Refusal> {
        Refusal::from_code(self.code.load(Ordering::Acquire))
    }

    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Refusal> {
        self.waker.register(cx.waker());
        self.get().map_or(Poll::Pending, Poll::Ready)
    }
}

/// An incoming body that fails when it becomes too long or its sender pauses too long.
struct Limited {
    incoming: Incoming,
    left: u64,
    limits: Arc<Limits>,
    connection: Arc<Connection>,
    /// Created at the first pause, because most bodies have none.
    alarm: Option<Alarm>,
    ended: bool,
    fault: Arc<Fault>,
}

impl Limited {
    /// Returns whether a finished body is complete. hyper treats two incomplete cases as complete: an HTTP/2 stream reset
    /// without an error, and a dropped HTTP/1 connection.
    fn is_whole(&self) -> bool {
        match self.connection.is_h2() {
            true => self.incoming.is_end_stream(),
            false => !self.connection.has_ended() && self.incoming.size_hint().lower() == 0,
        }
    }
}

impl HttpBody for Limited {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Some(refusal) = this.fault.get() {
            return Poll::Ready(Some(Err(refusal.into())));
        }
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
            let alarm = this.alarm.get_or_insert_with(|| {
                let alarm = this.connection.stream_alarm();
                alarm.set(this.limits.body_timeout);
                alarm
            });
            ready!(alarm.poll_due(cx));
            return Poll::Ready(Some(Err(this.fault.raise(Refusal::BodyStalled))));
        };
        this.alarm = None;
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                let len = frame.data_ref().map_or(0, Bytes::len);
                this.connection.bytes_used(len);
                let len = len as u64;
                match this.left.checked_sub(len) {
                    Some(left) => {
                        this.left = left;
                        Some(Ok(frame))
                    }
                    None => Some(Err(this.fault.raise(Refusal::BodyTooLarge))),
                }
            }
            Some(Err(error)) => {
                this.fault.raise(Refusal::BodyBroken);
                Some(Err(error.into()))
            }
            None if !this.is_whole() => Some(Err(this.fault.raise(Refusal::BodyBroken))),
            None => {
                this.ended = true;
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        if !self.ended && !self.incoming.is_end_stream() {
            self.connection.body_left_unread();
        }
        self.connection.body_ended();
    }
}
