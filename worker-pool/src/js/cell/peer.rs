//! A connection between the pools of two processes, neither of which is a cell: one calls the other, with the protocol of cells.
//!
//! A side of HTTP/2 is either client or server, so a connection is two sockets: *forth*, on which the connecting process is the
//! client, and *back*, on which bodies, WebSockets and lent objects of that process are requested. Both begin with their kind and
//! the same token.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use h2::client::SendRequest;
use h2::server::SendResponse;
use http::Request;
use isopod_runtime::remote::{Parcel, ParcelFuture, Target, Transit};
use isopod_runtime::websocket::SocketLimits;
use isopod_runtime::written::FRAME_BYTES_MAX;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::line::{Limits, Line};
use super::offered;
use super::offers::Offers;
use super::wire::{ASK, Broken, CALL, CONNECTION_BYTES, HEADER_BYTES_MAX, Messages, WINDOW_BYTES};

/// Time limit for both sockets to state their kind.
const PAIRING: Duration = Duration::from_secs(5);

/// Maximum number of sockets that wait for their other half.
const HALVES_MAX: usize = 64;

/// Maximum number of concurrent calls of another process.
const REQUESTS_MAX: u32 = 4096;

/// Bytes of questions of another process, and of answers to it, that are held here at a time, each.
const TRANSIT_BYTES: usize = 256 << 20;

const FORTH: u8 = b'f';
const BACK: u8 = b'b';

/// Identifies a connection.
type Token = [u8; 16];

/// Answers the calls of another process.
pub(in crate::js) type Find = Arc<dyn Fn(Target, Parcel) -> ParcelFuture + Send + Sync>;

/// Limits of messages. Each script's own limits were checked by the sender.
fn limits() -> Limits {
    Limits {
        value_bytes_max: FRAME_BYTES_MAX,
        socket: SocketLimits::default(),
    }
}

/// The client side of a connection. Clones share it.
#[derive(Clone)]
pub(in crate::js) struct Peer(Line);

impl Peer {
    /// Connects to the process that listens at a path. Also returns the future that drives the connection, to be polled on the
    /// runtime of `handle`.
    pub(in crate::js) async fn connect(
        path: &Path,
        handle: Handle,
    ) -> io::Result<(Self, impl Future<Output = ()> + Send + use<>)> {
        let token = fastrand::u128(..).to_le_bytes();
        let forth = open(path, FORTH, token).await?;
        let back = open(path, BACK, token).await?;
        let (requests, connection) = client(forth).await.map_err(io::Error::other)?;
        let line = Line::new(requests, Offers::default(), handle, ASK, Transit::new(TRANSIT_BYTES));
        line.limit(limits());
        let peer = Self(line.clone());
        let connection = async move {
            // The other process may call only what was lent.
            let nothing: Find = Arc::new(|_, _| Box::pin(std::future::ready(Err("it is not lent".to_owned()))));
            let (_never, going_on) = watch::channel(false);
            tokio::select! {
                _ = connection => {}
                _ = answer_all(back, line.clone(), nothing, going_on) => {}
            }
            line.offers().close();
        };
        Ok((peer, connection))
    }

    /// Calls the other process, and waits for its response.
    ///
    /// # Errors
    /// The call, if that process refused it because it is ending, before it began.
    pub(in crate::js) async fn ask(&self, target: Target, parcel: Parcel) -> Result<Result<Parcel, String>, Parcel> {
        self.0.try_ask(target, parcel).await
    }

    /// Returns true if it accepts further calls.
    pub(in crate::js) fn is_open(&self) -> bool {
        let ready = self.0.requests().clone().ready().now_or_never();
        !matches!(ready, Some(Err(_)))
    }
}

/// Sockets of other processes whose other half has not connected yet.
#[derive(Default)]
pub(in crate::js) struct Halves(Mutex<HashMap<Token, (u8, UnixStream)>>);

/// Both sockets of a connection.
pub(in crate::js) struct Pair {
    forth: UnixStream,
    back: UnixStream,
}

impl Halves {
    /// Reads the kind of a socket. Returns the connection if it is the second half.
    pub(in crate::js) async fn pair(&self, mut socket: UnixStream) -> Option<Pair> {
        let mut preface = [0; 1 + size_of::<Token>()];
        timeout(PAIRING, socket.read_exact(&mut preface)).await.ok()?.ok()?;
        let (kind, token) = preface.split_first_chunk::<1>()?;
        let (kind, token) = (kind[0], Token::try_from(token).ok()?);
        let other = {
            let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match halves.remove(&token) {
                None if halves.len() < HALVES_MAX && matches!(kind, FORTH | BACK) => {
                    halves.insert(token, (kind, socket));
                    None
                }
                None => return None,
                Some(other) => Some((other, socket)),
            }
        };
        let Some(((of_other, other), socket)) = other else {
            tokio::time::sleep(PAIRING).await;
            let late = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&token);
            drop(late);
            return None;
        };
        match (kind, of_other) {
            (BACK, FORTH) => Some(Pair {
                forth: other,
                back: socket,
            }),
            (FORTH, BACK) => Some(Pair {
                forth: socket,
                back: other,
            }),
            _ => None,
        }
    }
}

/// Answers another process until it closes the connection, or, once `stops` is true, until its calls are answered.
pub(in crate::js) async fn serve(pair: Pair, handle: Handle, find: Find, stops: watch::Receiver<bool>) {
    let Ok((requests, connection)) = client(pair.back).await else {
        return;
    };
    let line = Line::new(requests, Offers::default(), handle, CALL, Transit::new(TRANSIT_BYTES));
    line.limit(limits());
    tokio::pin!(connection);
    tokio::select! {
        _ = &mut connection => {}
        ended = answer_all(pair.forth, line.clone(), find, stops) => match ended {
            // A call may be in transit. The other process retries it when it reads that this one accepts no more, and it reads that
            // only if its write succeeds. So the socket stays open until the other side has closed its own.
            Ok(answered) => {
                let _ = timeout(PAIRING, connection).await;
                drop(answered);
            }
            Err(error) => tracing::debug!(%error, "the connection of another process ended"),
        }
    }
    line.offers().close();
}

async fn open(path: &Path, kind: u8, token: Token) -> io::Result<UnixStream> {
    let mut socket = UnixStream::connect(path).await?;
    let mut preface = [0; 1 + size_of::<Token>()];
    preface[0] = kind;
    preface[1..].copy_from_slice(&token);
    socket.write_all(&preface).await?;
    Ok(socket)
}

type Connection = h2::client::Connection<UnixStream, Bytes>;

/// A connection whose calls are answered. Its socket is open.
type Answered = h2::server::Connection<UnixStream, Bytes>;

async fn client(socket: UnixStream) -> Result<(SendRequest<Bytes>, Connection), h2::Error> {
    h2::client::Builder::new()
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_BYTES)
        .max_header_list_size(HEADER_BYTES_MAX)
        .enable_push(false)
        .handshake(socket)
        .await
}

async fn answer_all(
    socket: UnixStream,
    line: Line,
    find: Find,
    mut stops: watch::Receiver<bool>,
) -> Result<Answered, Broken> {
    let mut connection = h2::server::Builder::new()
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_BYTES)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_concurrent_streams(REQUESTS_MAX)
        .handshake(socket)
        .await?;
    // Ends with the connection.
    let mut tasks = JoinSet::new();
    let mut is_stopping = false;
    loop {
        // By then the last response has been read, with its streams, which the other process requests on this connection.
        if is_stopping && tasks.is_empty() {
            // Has an effect once.
            connection.graceful_shutdown();
        }
        let accepted = tokio::select! {
            _ = stops.wait_for(|stops| *stops), if !is_stopping => {
                is_stopping = true;
                continue;
            }
            Some(_) = tasks.join_next() => continue,
            accepted = connection.accept() => accepted,
        };
        let Some(accepted) = accepted else {
            return Ok(connection);
        };
        let (request, mut respond) = accepted?;
        match is_stopping && request.uri().path().starts_with("/ask/") {
            // Nothing has been done, so the caller can retry elsewhere.
            true => respond.send_reset(h2::Reason::REFUSED_STREAM),
            false => drop(tasks.spawn(one(line.clone(), Arc::clone(&find), request, respond))),
        }
    }
}

async fn one(line: Line, find: Find, request: Request<h2::RecvStream>, respond: SendResponse<Bytes>) {
    let Some((request, mut respond)) = offered::serve(line.offers(), request, respond).await else {
        return;
    };
    let path = request.uri().path().to_owned();
    if let Some(number) = path.strip_prefix("/ask/").and_then(|number| number.parse().ok()) {
        let incoming = Messages::new(request.into_body());
        let answered = line.answer(number, incoming, respond, |target, parcel| find(target, parcel));
        if let Err(error) = answered.await {
            tracing::debug!(%error, "a question of another process broke off");
        }
    } else {
        respond.send_reset(h2::Reason::REFUSED_STREAM);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicU64, Ordering};

    use http_body::Body as _;
    use tokio::net::UnixListener;

    use super::*;

    /// Accepts one connection, and echoes its calls. Returns the number of calls that it began.
    async fn echo(listener: &UnixListener, handle: &Handle, stops: watch::Receiver<bool>) -> u64 {
        let halves = Halves::default();
        let accept = || async { halves.pair(listener.accept().await.unwrap().0).await };
        // The second half completes the pair.
        let pair = tokio::select! {
            Some(pair) = accept() => pair,
            Some(pair) = accept() => pair,
        };
        let begun = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&begun);
        let find: Find = Arc::new(move |_, parcel| {
            counted.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::ready(Ok(parcel)))
        });
        serve(pair, handle.clone(), find, stops).await;
        begun.load(Ordering::Relaxed)
    }

    /// Makes a call with this number. Returns true if it is answered, and false if it was refused.
    async fn ask(peer: Peer, number: u64) -> bool {
        let parcel = Parcel {
            bytes: number.to_string().into(),
            bodies: vec![format!("body of {number}").into()],
            ..Parcel::default()
        };
        match peer.ask(Target::Cache, parcel).await {
            Ok(answer) => {
                let mut answer = answer.expect("an answer");
                assert_eq!(answer.bytes, number.to_string());
                // The response may come before the other side has requested the body of the call, which it returns.
                let mut body = answer.bodies.pop().unwrap();
                let mut text = Vec::new();
                while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                    text.extend(frame.expect("the whole body").into_data().unwrap());
                }
                assert_eq!(text, format!("body of {number}").as_bytes());
                true
            }
            Err(refused) => {
                assert_eq!(refused.bytes, number.to_string());
                let body = refused.bodies[0].as_bytes().unwrap();
                assert_eq!(body, &format!("body of {number}"));
                false
            }
        }
    }

    /// A process that ends refuses a call or answers it: none is lost in transit.
    #[test]
    fn a_question_is_answered_or_given_back() {
        const QUESTIONS: u64 = 4;
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
        let handle = runtime.handle();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let mut refused_of_all = 0;
        let rounds = async {
            let listener = UnixListener::bind(&path).unwrap();
            for round in 0.. {
                let (stop, stops) = watch::channel(false);
                let asks = async {
                    let (peer, connection) = Peer::connect(&path, handle.clone()).await.unwrap();
                    let connection = handle.spawn(connection);
                    let asked: Vec<_> = (0..QUESTIONS).map(|n| handle.spawn(ask(peer.clone(), n))).collect();
                    stop.send_replace(true);
                    let mut refused = 0;
                    for one in asked {
                        refused += u64::from(!one.await.unwrap());
                    }
                    connection.abort();
                    refused
                };
                let (begun, refused) = tokio::join!(echo(&listener, handle, stops), asks);
                assert_eq!(begun + refused, QUESTIONS);
                refused_of_all += refused;
                if refused_of_all > 0 && round >= 100 {
                    break;
                }
                assert!(round < 10_000, "no question came to a process that ends");
            }
        };
        runtime.block_on(rounds);
    }
}
