//! A response on its way out, with the ticket that records how its request ended, exactly once.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use http::{Method, StatusCode, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};

use isopod_pool::{Failure, Outcome};

use crate::{
    connection::Connection,
    dispatch::{Body, BoxError, RequestId},
    server::Core,
};

/// A request from its headers to the end of its response. Dropped early it records that the client left.
pub(crate) struct Ticket {
    core: Arc<Core>,
    connection: Arc<Connection>,
    started: Instant,
    /// Nothing: refused by the server itself.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) status: StatusCode,
    bytes: u64,
    /// Bytes the response's headers promise.
    pub(crate) promised: Option<u64>,
    complete: bool,
    log: Option<Box<Line>>,
}

/// What the access log needs of a request that is otherwise gone by then.
struct Line {
    method: Method,
    uri: Uri,
    id: RequestId,
    worker: Option<Arc<str>>,
}

impl Ticket {
    pub(crate) fn open<B>(
        core: &Arc<Core>,
        connection: &Arc<Connection>,
        started: Instant,
        request: &http::Request<B>,
        id: &RequestId,
    ) -> Self {
        connection.request_started();
        core.counts.requests_open.fetch_add(1, Ordering::Relaxed);
        let log = tracing::enabled!(target: "isopod::access", tracing::Level::INFO).then(|| {
            let (method, uri) = (request.method().clone(), request.uri().clone());
            Box::new(Line {
                method,
                uri,
                id: id.clone(),
                worker: None,
            })
        });
        Self {
            core: core.clone(),
            connection: connection.clone(),
            started,
            outcome: Some(Outcome::Canceled),
            // Never sent: what other servers log for a client that closed the connection.
            status: StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            bytes: 0,
            promised: None,
            complete: false,
            log,
        }
    }

    pub(crate) fn goes_to(&mut self, worker: &Arc<str>) {
        if let Some(line) = &mut self.log {
            line.worker = Some(worker.clone());
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let sent = self.complete || self.promised.is_some_and(|promised| self.bytes >= promised);
        let outcome = match self.outcome {
            Some(Outcome::Ok) if !sent => Some(Outcome::Canceled),
            outcome => outcome,
        };
        let duration = self.started.elapsed();
        self.core.counts.requests_open.fetch_sub(1, Ordering::Relaxed);
        self.core.counts.record(outcome, duration, self.bytes);
        if let Some(line) = &self.log {
            tracing::info!(
                target: "isopod::access",
                method = %line.method,
                path = line.uri.path(),
                status = self.status.as_u16(),
                outcome = outcome.map_or("refused", Outcome::as_str),
                worker = line.worker.as_deref(),
                duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
                bytes = self.bytes,
                request_id = %line.id,
            );
        }
        self.connection.request_finished();
    }
}

/// A response's body as hyper sends it.
pub(crate) struct Reply {
    content: Content,
    ticket: Ticket,
}

pub(crate) enum Content {
    Empty,
    Whole(Bytes),
    Stream(Body),
}

impl Reply {
    pub(crate) fn new(content: Content, mut ticket: Ticket) -> Self {
        ticket.complete = match &content {
            Content::Empty => true,
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Stream(body) => body.is_end_stream(),
        };
        Self { content, ticket }
    }
}

impl HttpBody for Reply {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { content, ticket } = self.get_mut();
        let frame = match content {
            Content::Empty => None,
            Content::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *content = Content::Empty;
                (!bytes.is_empty()).then(|| Ok(Frame::data(bytes)))
            }
            Content::Stream(body) => ready!(Pin::new(body).poll_frame(cx)),
        };
        match &frame {
            None => ticket.complete = true,
            Some(Ok(frame)) => {
                ticket.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                ticket.complete = match &content {
                    Content::Stream(body) => body.is_end_stream(),
                    Content::Empty | Content::Whole(_) => true,
                };
            }
            Some(Err(error)) => {
                let failure = error.downcast_ref::<Failure>();
                ticket.outcome = Some(failure.map_or(Outcome::Exception, |failure| failure.outcome));
                tracing::warn!(target: "isopod::server", %error, "a response broke off");
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(body) => body.size_hint(),
        }
    }
}
