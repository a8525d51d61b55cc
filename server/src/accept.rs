//! Accepting connections and serving HTTP on them.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, atomic::Ordering},
    task::Poll,
    time::Duration,
};

use futures::FutureExt;
use http::Request;
use http_body::Body as _;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::{
    client::Peer,
    connection::{Connection, Expiry},
    cut::Cut,
    dispatch::{Dispatch, Scheme, Tls},
    listener::Listener,
    location::{Location, MovableConnection},
    reused::ReusedPlace,
    service::{Origin, answer},
    shared::{App, Stage},
    stream::{Plain, Socket, Stream},
    tls::agreed,
    watched::Watched,
};

/// Time for a refused client to read the reason.
const GENTLE_CLOSE: Duration = Duration::from_secs(2);
/// hyper's default maximum number of headers. For another number it would allocate memory for each request.
const HEADERS_MAX: usize = 100;
/// Pause after the system could not accept another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// State for accepting besides the listener.
pub(crate) struct Accept<D> {
    pub(crate) app: Arc<App<D>>,
    pub(crate) room: Arc<Semaphore>,
    pub(crate) connections: TaskTracker,
    pub(crate) runtime: Handle,
}

impl<D: Dispatch> Accept<D> {
    /// Accepts until the server drains, and then those connections that were already waiting. Returns the listener, which
    /// must stay open for a while, because handshakes may be in flight.
    pub(crate) async fn until_draining(self, mut listener: Listener) -> (Self, Listener) {
        self.until(&listener, self.app.core.draining()).await;
        listener.refuse_new();
        // Closing the listener would reset connections that wait to be accepted.
        while let Ok(permit) = self.room.clone().try_acquire_owned()
            && let Some(Ok((stream, peer))) = listener.accept_waiting()
        {
            self.spawn(&listener, stream, peer, permit);
        }
        (self, listener)
    }

    /// Accepts connections in flight when the server began to drain, until it closes.
    pub(crate) async fn until_closing(self, listener: Listener) {
        self.until(&listener, self.app.core.closing.cancelled()).await;
    }

    async fn until(&self, listener: &Listener, end: impl Future<Output = ()>) {
        tokio::pin!(end);
        loop {
            // Acquires room before accepting, so that connections that cannot be served yet stay in the system's queue.
            let permit = tokio::select! {
                permit = self.room.clone().acquire_owned() => permit,
                () = &mut end => return,
            };
            let Ok(permit) = permit else { return };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = &mut end => return,
            };
            match accepted {
                Ok((stream, peer)) => self.spawn(listener, stream, peer, permit),
                Err(error) => {
                    tracing::warn!(target: "isopod::server", %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn spawn(&self, listener: &Listener, socket: Socket, peer: Option<SocketAddr>, permit: OwnedSemaphorePermit) {
        let app = self.app.clone();
        let location = Location::new();
        let stream = Plain::new(socket, location.clone());
        let tls = listener.tls.as_ref().map(|identity| identity.acceptor());
        // A child token, because several threads would lock the shared one at each poll.
        let stop = app.core.cut.child_token();
        let lives = location.clone();
        let served = self.connections.track_future(async move {
            let counts = &app.core.counts;
            counts.connections.fetch_add(1, Ordering::Relaxed);
            counts.connections_open.fetch_add(1, Ordering::Relaxed);
            stop.run_until_cancelled(serve(app.clone(), tls, stream, peer, lives.clone()))
                .await;
            counts.connections_open.fetch_sub(1, Ordering::Relaxed);
            let moves = u64::from(lives.moves());
            counts.connection_moves.fetch_add(moves, Ordering::Relaxed);
            drop(permit);
        });
        MovableConnection::start(served, location, self.runtime.clone());
    }
}

async fn serve<D: Dispatch>(
    app: Arc<App<D>>,
    tls: Option<TlsAcceptor>,
    stream: Plain,
    peer: Option<SocketAddr>,
    location: Arc<Location>,
) {
    let connection = Connection::open(&app.core);
    let scheme = if tls.is_some() { Scheme::Https } else { Scheme::Http };
    let opened = tokio::select! {
        biased;
        opened = open(tls, stream, &connection) => opened,
        // Counted before the socket is closed, like every cut.
        () = async {
            connection.opening_expired().await;
            app.core.counts.cuts.count(Cut::SlowHead);
        } => return,
        // Browsers and load balancers keep connections that they may never use.
        () = async {
            app.core.closing.cancelled().await;
            connection.hurries();
            std::future::pending().await
        } => return,
    };
    let origin = |tls| {
        Arc::new(Origin {
            app: app.clone(),
            connection: connection.clone(),
            address: peer,
            peer: Peer::new(peer.map(|peer| peer.ip()), scheme, &app.core.trusted_proxies),
            tls,
            switched: Mutex::default(),
            worker: Mutex::default(),
            location: location.clone(),
        })
    };
    match opened {
        Ok(Opened { io, is_h2: true, tls }) => {
            connection.speaks_h2();
            serve_h2(origin(tls), io).await
        }
        Ok(Opened { io, is_h2: false, tls }) => serve_h1(origin(tls), io).await,
        Err(error) => {
            tracing::debug!(target: "isopod::server", %error, ?peer, "a connection failed before its first request");
        }
    }
}

/// A connection that is ready for HTTP.
struct Opened {
    io: Watched,
    is_h2: bool,
    tls: Option<Tls>,
}

/// Performs the TLS handshake, if any. Returns the byte stream, and whether it carries HTTP/2.
async fn open(tls: Option<TlsAcceptor>, stream: Plain, connection: &Arc<Connection>) -> std::io::Result<Opened> {
    let Some(tls) = tls else {
        let mut io = Watched::new(Stream::Plain(stream), connection.clone());
        let is_h2 = io.speaks_h2().await?;
        return Ok(Opened { io, is_h2, tls: None });
    };
    let accepted = tls.accept(stream).into_fallible().await;
    let stream = accepted.map_err(|(error, _open)| {
        connection.core().counts.cuts.count(Cut::Handshake);
        error
    })?;
    let session = stream.get_ref().1;
    let is_h2 = session.alpn_protocol() == Some(b"h2");
    let tls = agreed(session);
    let io = Watched::new(Stream::Tls(Box::new(stream)), connection.clone());
    Ok(Opened { io, is_h2, tls })
}

/// Serves an HTTP/1 connection to its end.
async fn serve_h1<D: Dispatch>(origin: Arc<Origin<D>>, io: Watched) {
    let core = origin.app.core.clone();
    let connection = origin.connection.clone();
    let served_for = origin.clone();
    let reused = ReusedPlace::new();
    let service = service_fn(move |request: Request<Incoming>| {
        origin.connection.head_read(request.body().size_hint().exact());
        reused.run(answer(&origin, request)).map(Ok::<_, Infallible>)
    });
    let head_max = core.limits.header_bytes_max + core.limits.uri_bytes_max;
    let mut builder = http1::Builder::new();
    builder
        .header_read_timeout(None)
        .max_header_size(head_max + 1024)
        .max_buf_size(head_max.max(128 << 10));
    if core.limits.header_count_max != HEADERS_MAX {
        builder.max_headers(core.limits.header_count_max);
    }
    let mut http = builder.serve_connection(TokioIo::new(io), service);
    let (mut closing, mut hurries) = (false, false);
    let served = std::future::poll_fn(|cx| {
        let expiry = connection.poll_expired(cx);
        if let Expiry::Cut(cut) = expiry {
            return Poll::Ready(Err(cut));
        }
        if core.stage() == Stage::Closing && connection.awaits_head() {
            // Requests in flight or unread are answered; an incomplete head is not an accepted request.
            if !hurries {
                hurries = true;
                connection.hurries();
            }
        } else if !closing && (expiry == Expiry::Close || core.stage() == Stage::Closing) {
            // During the linger, a client may be sending on an idle connection. It is answered, with `close`.
            closing = true;
            Pin::new(&mut http).graceful_shutdown();
        }
        Pin::new(&mut http).poll(cx).map(Ok)
    })
    .await;
    connection.ends();
    let served = match served {
        Ok(served) => served,
        Err(cut) => return core.counts.cuts.count(cut),
    };
    if served.as_ref().is_err_and(|error| error.is_parse()) {
        core.counts.cuts.count(Cut::BadRequest);
    }
    if served.is_ok()
        && let Some(socket) = served_for.take_switched()
    {
        // Workers answer no more requests.
        served_for.location.return_to_server().await;
        let parts = http.into_parts();
        socket.run(parts.io.into_inner().switched(), parts.read_buf, core).await;
        return;
    }
    if (served.is_err() || connection.has_unread_body()) && !connection.is_open_ended() {
        // A timer belongs to a runtime.
        served_for.location.return_to_server().await;
        let io = http.into_parts().io.into_inner();
        // A client that takes longer has been answered already.
        let _ = tokio::time::timeout(GENTLE_CLOSE, io.close_gently()).await;
    }
}

/// Serves an HTTP/2 connection to its end.
async fn serve_h2<D: Dispatch>(origin: Arc<Origin<D>>, io: Watched) {
    let core = origin.app.core.clone();
    let connection = origin.connection.clone();
    let limits = &core.limits;
    let reused = ReusedPlace::new();
    let service = service_fn(move |request| reused.run(answer(&origin, request)).map(Ok::<_, Infallible>));
    let mut http = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.h2_streams_max)
        .initial_stream_window_size(limits.stream_window())
        .initial_connection_window_size(limits.connection_window())
        .max_pending_accept_reset_streams(limits.h2_resets_max)
        // A client may open many streams before it knows the limit, so one refused burst is not an attack.
        .max_local_error_reset_streams(limits.h2_resets_max + limits.h2_streams_max as usize)
        .enable_connect_protocol()
        .max_send_buf_size(limits.h2_send_buffer_max)
        .max_header_list_size(u32::try_from(limits.header_bytes_max + limits.uri_bytes_max).unwrap_or(u32::MAX))
        .keep_alive_interval(limits.h2_ping_interval)
        .keep_alive_timeout(limits.h2_ping_interval)
        .serve_connection(TokioIo::new(io), service);
    let (mut closing, mut leaves) = (false, false);
    let served = std::future::poll_fn(|cx| {
        let expiry = connection.poll_expired(cx);
        if let Expiry::Cut(cut) = expiry {
            return Poll::Ready(Err(cut));
        }
        // GOAWAY names the last accepted stream, so no linger is needed.
        if !closing && (expiry == Expiry::Close || core.stage() != Stage::Serving) {
            closing = true;
            Pin::new(&mut http).graceful_shutdown();
        }
        let polled = Pin::new(&mut http).poll(cx).map(Ok);
        // A client that does not answer GOAWAY's ping, or sends an incomplete head, must not delay the drain.
        if polled.is_pending() && core.stage() == Stage::Closing && leaves != connection.is_unused() {
            leaves = !leaves;
            if leaves {
                connection.leaves_soon();
                cx.waker().wake_by_ref();
            }
        }
        polled
    })
    .await;
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::debug!(target: "isopod::server", %error, "an HTTP/2 connection ended");
            if is_bad_frames(&error) {
                core.counts.cuts.count(Cut::BadFrames);
            }
        }
        Err(cut) => core.counts.cuts.count(cut),
    }
}

/// Returns whether invalid frames of the client, rather than the network, ended the connection.
fn is_bad_frames(error: &hyper::Error) -> bool {
    std::error::Error::source(error)
        .and_then(|cause| cause.downcast_ref::<h2::Error>())
        .is_some_and(|cause| cause.is_go_away() && cause.is_library())
}
