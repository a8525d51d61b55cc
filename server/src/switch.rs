//! Requests that become WebSockets: the switch of the connection, and the record at the socket's end.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header, response::Parts};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use isopod_outcome::Outcome;
use isopod_websocket::{
    Ending, Role, Wire,
    handshake::{self, Opening, OpeningError},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    connection::Connection,
    dispatch::{REQUEST_ID, RequestId},
    head::strip,
    ingress::{Refusal, is_connect},
    reply::Ticket,
    shared::Core,
};

/// Returns the WebSocket handshake that a request opens, if any.
///
/// # Errors
///
/// The handshake is invalid.
pub(crate) fn opening<B>(request: &Request<B>) -> Result<Option<Opening>, Refusal> {
    handshake::opening(request, is_connect(request)).map_err(|error| match error {
        OpeningError::Version => Refusal::SocketVersion,
        OpeningError::Key => Refusal::SocketKey,
    })
}

/// Normalizes a request that opens a WebSocket to a `GET` with `Upgrade: websocket` in lower case, with which scripts
/// compare although the standard ignores the case. On HTTP/2, returns the stream to be switched.
pub(crate) fn prepare<B>(request: &mut Request<B>, opening: &Opening) -> Option<OnUpgrade> {
    let upgrade = matches!(opening, Opening::Http2).then(|| hyper::upgrade::on(&mut *request));
    *request.method_mut() = Method::GET;
    let headers = request.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    upgrade
}

/// Returns the head of the response that accepts a handshake, based on the worker's.
pub(crate) fn head(mut head: Parts, opening: &Opening, id: &RequestId) -> Parts {
    head.status = match opening {
        Opening::Http1(_) => StatusCode::SWITCHING_PROTOCOLS,
        Opening::Http2 => StatusCode::OK,
    };
    strip(&mut head.headers);
    handshake::complete(&mut head.headers, opening);
    head.headers.insert(REQUEST_ID, id.as_header().clone());
    head
}

/// A socket whose handshake is being answered. It holds the ticket of its request, which is open until the socket has ended.
pub(crate) struct Switched {
    pub(crate) wire: Wire,
    pub(crate) ticket: Ticket,
}

impl Switched {
    /// Runs the socket on a byte stream to its end. `read` has the bytes that were read before.
    pub(crate) async fn run<S>(self, stream: S, read: Bytes, core: Arc<Core>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let Self { wire, mut ticket } = self;
        let draining = core.draining();
        let drains = async move {
            draining.await;
            Ending {
                code: 1001,
                reason: "the server is shutting down",
                outcome: Outcome::Ok,
            }
        };
        core.counts.sockets.fetch_add(1, Ordering::Relaxed);
        let _open = Open::new(&core.counts.sockets_open);
        let report = wire.run(stream, read, Role::Server, drains).await;
        core.counts
            .messages_received
            .fetch_add(report.messages_received, Ordering::Relaxed);
        core.counts
            .messages_sent
            .fetch_add(report.messages_sent, Ordering::Relaxed);
        ticket.socket_ended(&report);
    }

    /// Runs the socket on an HTTP/2 stream once it is switched.
    pub(crate) async fn run_on_stream(self, upgrade: OnUpgrade, connection: Arc<Connection>, core: Arc<Core>) {
        let cut = core.cut.clone();
        let running = async move {
            match upgrade.await {
                Ok(stream) => {
                    let stream = Counted {
                        stream: TokioIo::new(stream),
                        connection,
                    };
                    self.run(stream, Bytes::new(), core).await;
                }
                Err(error) => tracing::debug!(target: "isopod::server", %error, "a WebSocket was not opened"),
            }
        };
        cut.run_until_cancelled(running).await;
    }
}

/// Guard that counts an open socket, even if its future is dropped.
struct Open<'a>(&'a AtomicU64);

impl<'a> Open<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An HTTP/2 stream whose bytes count as use of its connection.
struct Counted<S> {
    stream: S,
    connection: Arc<Connection>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.connection.bytes_used(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.connection.bytes_used(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
