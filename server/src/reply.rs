//! Responses, with the ticket that records the outcome of a request exactly once.

use std::{
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Method, StatusCode, Uri};
use http_body::{Body as HttpBody, Frame, SizeHint};

use isopod_outcome::{Failure, Outcome};
use isopod_websocket::Report;

use crate::{
    body::{BoxError, ServerBody},
    clock::Alarm,
    connection::Connection,
    counts::Part,
    cut::Cut,
    dispatch::RequestId,
};

/// A request from its headers to the end of its response. Dropping it early records that the client disconnected.
pub(crate) struct Ticket {
    connection: Arc<Connection>,
    started: Instant,
    counted: Part,
    /// `None` if the server itself rejected the request.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) status: StatusCode,
    bytes: u64,
    /// The length of the response's body, if known.
    pub(crate) promised: Option<u64>,
    /// True if the response ends with its connection, as for HTTP/1.0 clients.
    pub(crate) ends_with_connection: bool,
    complete: bool,
    /// Close code of the WebSocket that the request became.
    close_code: Option<u16>,
    log: Option<Box<Line>>,
}

/// Data of a request for the access log.
struct Line {
    method: Method,
    uri: Uri,
    id: RequestId,
    client: Option<IpAddr>,
    worker: Option<Arc<str>>,
}

impl Ticket {
    /// Opens the ticket of a request that begins on the thread with this number.
    pub(crate) fn open<B>(
        connection: &Arc<Connection>,
        thread: u64,
        started: Instant,
        request: &http::Request<B>,
        id: &RequestId,
    ) -> Self {
        connection.request_started();
        let counted = Part::of(thread);
        connection.core().counts.begin(counted);
        let log = tracing::enabled!(target: "isopod::access", tracing::Level::INFO).then(|| {
            let (method, uri) = (request.method().clone(), request.uri().clone());
            Box::new(Line {
                method,
                uri,
                id: id.clone(),
                client: None,
                worker: None,
            })
        });
        Self {
            connection: connection.clone(),
            started,
            counted,
            outcome: Some(Outcome::Canceled),
            // Never sent; other servers also log it for a client that closed the connection.
            status: StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            bytes: 0,
            promised: None,
            ends_with_connection: false,
            complete: false,
            close_code: None,
            log,
        }
    }

    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    /// Records the end of the WebSocket that the request became.
    pub(crate) fn socket_ended(&mut self, report: &Report) {
        self.outcome = Some(report.outcome);
        self.bytes = report.bytes_sent;
        self.complete = true;
        self.close_code = Some(report.code);
    }

    /// Returns the worker and the request's id, if the access log is enabled.
    fn named(&self) -> (Option<&str>, Option<String>) {
        let line = self.log.as_ref();
        let worker = line.and_then(|line| line.worker.as_deref());
        (worker, line.map(|line| line.id.to_string()))
    }

    pub(crate) fn comes_from(&mut self, client: Option<IpAddr>) {
        if let Some(line) = &mut self.log {
            line.client = client;
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
        if self.ends_with_connection && self.complete {
            self.connection.set_open_ended(false);
        }
        let duration = self.started.elapsed();
        let counts = &self.connection.core().counts;
        counts.end(self.counted, outcome, duration, self.bytes);
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
                close_code = self.close_code,
                client = line.client.map(tracing::field::display),
                request_id = %line.id,
            );
        }
        if outcome == Some(Outcome::Canceled) {
            self.connection.request_cancelled();
        }
        self.connection.request_finished();
    }
}

/// A response's body for hyper.
pub(crate) struct Reply {
    body: ServerBody,
    /// `None` if the response only switches to a WebSocket, which has the ticket.
    ticket: Option<Ticket>,
    stream: Option<Stream>,
    /// Error that ends the body once earlier data was sent.
    broken: Option<BoxError>,
}

/// State of a body on a multiplexed connection. Each stream has its own window there, so the connection's writes do not show
/// the progress of one reader.
///
/// A client that opens no window is disconnected. Until then the data stays in memory, hence the small pieces.
struct Stream {
    /// The rest of a large frame.
    rest: Bytes,
    /// Alarm that is set while a piece waits for the reader's window.
    unread: Alarm,
    write_timeout: Duration,
}

/// Maximum size of a piece, which is the size of HTTP/2 frames.
const PIECE_BYTES: usize = 16 << 10;

impl Reply {
    /// Creates a reply. `alarm` is `Some` for protocols with concurrent streams.
    pub(crate) fn new(body: ServerBody, mut ticket: Ticket, alarm: Option<Alarm>) -> Self {
        ticket.complete = body.is_end_stream();
        if ticket.ends_with_connection && !ticket.complete {
            ticket.connection.set_open_ended(true);
        }
        let stream = alarm.filter(|_| !ticket.complete).map(|unread| {
            let connection = ticket.connection.clone();
            unread.clear();
            unread.on_due(move || connection.cut(Cut::SlowReader));
            Stream {
                rest: Bytes::new(),
                unread,
                write_timeout: ticket.connection.core().limits.write_timeout,
            }
        });
        Self {
            body,
            ticket: Some(ticket),
            stream,
            broken: None,
        }
    }

    /// Creates the reply that switches to a WebSocket.
    pub(crate) const fn switching() -> Self {
        Self {
            body: ServerBody::empty(),
            ticket: None,
            stream: None,
            broken: None,
        }
    }
}

impl Stream {
    /// Returns the next piece of the remaining frame.
    fn next(&mut self) -> Option<Frame<Bytes>> {
        self.unread.clear();
        let len = self.rest.len().min(PIECE_BYTES);
        (len > 0).then(|| Frame::data(self.rest.split_to(len)))
    }

    /// Returns a frame or its first piece, which waits for the reader from now on.
    fn hand_over(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        self.unread.set(self.write_timeout);
        match frame.into_data() {
            Ok(mut data) => {
                if data.len() > PIECE_BYTES {
                    self.rest = data.split_off(PIECE_BYTES);
                }
                Frame::data(data)
            }
            Err(frame) => frame,
        }
    }
}

impl HttpBody for Reply {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Some(error) = this.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let rest = this.stream.as_mut().and_then(Stream::next);
        let frame = match rest {
            Some(piece) => Some(Ok(piece)),
            None => ready!(Pin::new(&mut this.body).poll_frame(cx)),
        };
        let frame = match (frame, &mut this.stream) {
            (Some(Ok(frame)), Some(stream)) => Some(Ok(stream.hand_over(frame))),
            (frame, _) => frame,
        };
        let is_ended = HttpBody::is_end_stream(this);
        let Some(ticket) = &mut this.ticket else {
            return Poll::Ready(None);
        };
        match &frame {
            None => ticket.complete = true,
            Some(Ok(frame)) => {
                let len = frame.data_ref().map_or(0, Bytes::len);
                ticket.bytes += len as u64;
                ticket.connection.bytes_used(len);
                ticket.complete = is_ended;
            }
            Some(Err(error)) => {
                let failure = error.downcast_ref::<Failure>();
                ticket.outcome = Some(failure.map_or(Outcome::Exception, |failure| failure.outcome));
                // The dispatch reports how an event failed.
                if failure.is_none() {
                    let (worker, id) = ticket.named();
                    tracing::warn!(target: "isopod::server", %error, worker, request_id = id, "a response ended early");
                }
            }
        }
        if let Some(Err(error)) = frame {
            // After an error, hyper discards unsent data, even the head. It gets another poll to send it first.
            this.broken = Some(error);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && self.stream.as_ref().is_none_or(|stream| stream.rest.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        if self.stream.as_ref().is_some_and(|stream| !stream.rest.is_empty()) {
            return SizeHint::default();
        }
        self.body.size_hint()
    }
}
