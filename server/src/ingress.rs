//! What is refused before a worker is used, and the limits on bodies while they come in.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::task::AtomicWaker;
use http::{HeaderMap, HeaderName, Method, Request, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;

use crate::{
    clock::Alarm,
    config::Limits,
    connection::Connection,
    dispatch::{Body, BoxError},
};

/// Why the server answers by itself. No worker is to blame and none was asked, or its answer came too late to matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub(crate) enum Refusal {
    #[error("no route leads to a worker")]
    NoRoute = 1,
    #[error("the request names no host, or more than one")]
    BadHost,
    #[error("tunnels are not offered")]
    Connect,
    #[error("the URL is longer than this server accepts")]
    UriTooLong,
    #[error("the headers are larger than this server accepts")]
    HeadersTooLarge,
    #[error("the body is larger than this server accepts")]
    BodyTooLarge,
    #[error("the body stopped coming in")]
    BodyStalled,
    #[error("the body broke off")]
    BodyBroken,
    #[error("workers call each other in a circle, or too deep")]
    TooDeep,
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

pub(crate) fn check<B>(request: &Request<B>, limits: &Limits) -> Result<(), Refusal> {
    let (uri, headers) = (request.uri(), request.headers());
    if request.method() == Method::CONNECT {
        return Err(Refusal::Connect);
    }
    if uri.path().len() + uri.query().map_or(0, |query| query.len() + 1) > limits.uri_bytes_max {
        return Err(Refusal::UriTooLong);
    }
    let bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if headers.len() > limits.header_count_max || bytes > limits.header_bytes_max {
        return Err(Refusal::HeadersTooLarge);
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let needed = request.version() == Version::HTTP_11;
    match (hosts.next(), hosts.next()) {
        (None, _) if needed => Err(Refusal::BadHost),
        (Some(_), Some(_)) => Err(Refusal::BadHost),
        _ => Ok(()),
    }
}

/// What workers' requests say of the calls that led to them: see `CALL_DEPTH` of the runtime's fetch.
const DEPTH: HeaderName = HeaderName::from_static("x-isopod-depth");

/// Takes off how many calls between workers led to a request. What a client from outside says there can only be to its
/// own harm.
pub(crate) fn take_depth(headers: &mut HeaderMap, limits: &Limits) -> Result<u32, Refusal> {
    let Some(depth) = headers.remove(DEPTH) else {
        return Ok(0);
    };
    let depth = depth.to_str().ok().and_then(|depth| depth.parse().ok());
    depth.filter(|depth| *depth <= limits.depth_max).ok_or(Refusal::TooDeep)
}

/// A body made ready for a worker, and where the server learns that it went wrong meanwhile.
pub(crate) async fn receive(
    incoming: Incoming,
    limits: &Arc<Limits>,
    connection: &Arc<Connection>,
) -> Result<(Body, Option<Arc<Fault>>), Refusal> {
    if incoming.is_end_stream() {
        return Ok((Empty::new().map_err(|never| match never {}).boxed_unsync(), None));
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
        return Ok((body.boxed_unsync(), Some(fault)));
    }
    match body.collect().await {
        Ok(whole) if whole.trailers().is_some() => Ok((whole.map_err(|never| match never {}).boxed_unsync(), None)),
        Ok(whole) => Ok((
            Full::new(whole.to_bytes())
                .map_err(|never| match never {})
                .boxed_unsync(),
            None,
        )),
        Err(_) => Err(fault.get().unwrap_or(Refusal::BodyBroken)),
    }
}

/// What went wrong with a body while a worker was reading it, on whatever thread that was.
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

/// An incoming body that ends in an error when it grows too long or its sender pauses for too long.
struct Limited {
    incoming: Incoming,
    left: u64,
    limits: Arc<Limits>,
    connection: Arc<Connection>,
    /// Made at the first pause: most bodies have none.
    alarm: Option<Alarm>,
    ended: bool,
    fault: Arc<Fault>,
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
                let len = frame.data_ref().map_or(0, |data| data.len() as u64);
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
    }
}
