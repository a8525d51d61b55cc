//! Sending of requests on the thread's client, with limits, timeouts and bodies. Free of V8.

mod asks;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::error::Error as _;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use deno_core::url::Url;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::body::{Chunk, Chunks, Encoded, Form, IncomingBody, Pumped, chunks_of, cut_off, forward};
use super::client::{self, ClientKey};
use super::config::{FetchConfig, FetchLimits};
use super::guard::Refused;
use super::pipe;
use super::send_error::SendError;
use crate::coding::decode::{ByteStream, capped, decode, flattened};
use crate::coding::{Coding, Codings};
use crate::event::{Body, CALL_DEPTH, CpuMeter, reason_of};
use crate::io::{EventLoopIo, Io};
use crate::ledger::MemoryLedger;
use crate::websocket::ClientOpening;

/// A request that the guard has not checked yet.
pub(super) struct Outgoing {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: OutgoingBody,
    /// Number of calls between workers that led to it.
    pub(super) depth: u32,
    pub(super) opening: Option<Opening>,
}

/// The connection that a request opens.
pub(super) enum Opening {
    /// A WebSocket.
    Socket(Box<ClientOpening>),
    /// A WebSocket of a worker in a sandbox, which handles the protocol and sends these bytes.
    Pipe(Box<Body>),
}

pub(super) enum OutgoingBody {
    Empty,
    Full(Bytes),
    /// Chunks from the event loop.
    Stream(Pumped),
    /// A stream from another process.
    Pulled(Box<Body>),
}

/// The accounts to charge for decoding a response.
#[derive(Default)]
pub(super) struct Payer {
    pub(super) memory: MemoryLedger,
    pub(super) cpu: CpuMeter,
}

/// A response head, and the incoming body.
pub(super) struct Incoming {
    pub(super) status: StatusCode,
    pub(super) reason: String,
    pub(super) headers: HeaderMap,
    /// The length of the body for its reader.
    pub(super) length: Option<u64>,
    pub(super) body: IncomingBody,
}

/// Time for the answer to a WebSocket handshake, unless the worker has a `head_timeout`.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum number of remembered origins that corrupt their connections.
const SPOILERS_MAX: usize = 32;

/// The `fetch` of a worker.
pub(crate) struct FetchService {
    io: Rc<Io>,
    own_io: Option<Rc<EventLoopIo>>,
    config: FetchConfig,
    requests: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    /// Origins whose connections are not reused: see [`is_spoilt`].
    spoilers: RefCell<VecDeque<String>>,
}

impl FetchService {
    pub(crate) fn new(io: Rc<Io>, own_io: Option<Rc<EventLoopIo>>, config: FetchConfig) -> Self {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            requests: semaphore(config.limits.requests_max),
            bodies: semaphore(config.limits.open_bodies_max),
            spoilers: RefCell::default(),
            io,
            own_io,
            config,
        }
    }

    /// Chunks that a body buffers before its sender has to wait.
    pub(super) fn chunks_buffered(&self) -> usize {
        self.config.limits.chunks_buffered.max(1)
    }

    /// Checks a URL with the guard. Separate from [`send`](Self::send), so that a refusal is not reported as a network error.
    pub(super) fn check(&self, url: &Url) -> Result<(), Refused> {
        self.config.policy.check_url(url)
    }

    /// Sends a request once a slot is free. Dropping the future aborts it. Decoding the response is charged to `payer`.
    pub(super) async fn send(&self, mut request: Outgoing, payer: Payer) -> Result<Incoming, SendError> {
        self.check(&request.url)?;
        self.complete_headers(&mut request.headers);
        // The semaphores are never closed.
        let _slot = self.requests.clone().acquire_owned().await.ok();
        let limits = self.config.limits.clone();
        let open = self.open_body()?;
        if let Some(remote) = self.config.network.remote() {
            return self.send_elsewhere(Arc::clone(remote), request, payer, open).await;
        }
        let (sender, chunks) = mpsc::channel(self.chunks_buffered());
        let origin = request.url.origin().ascii_serialization();
        let (servers, resolver) = (self.config.servers.clone(), self.config.connection.resolver.clone());
        let head = self
            .client(&request.url, &origin, request.opening.is_some())?
            .run(move |client| async move {
                // Resolving needs the runtime.
                if let Some(depth) = servers.depth(&request.url, request.depth, &resolver).await {
                    request.headers.insert(CALL_DEPTH, depth);
                }
                exchange(client, request, limits, sender, payer).await
            })
            .await??;
        let Head {
            status,
            reason,
            headers,
            length,
            encoded,
        } = head;
        if is_spoilt(status, &headers) {
            self.remember_spoiler(origin);
        }
        Ok(Incoming {
            status,
            reason,
            headers,
            length,
            body: IncomingBody {
                chunks: Chunks::Channel(chunks),
                encoded,
                _open: open,
            },
        })
    }

    /// Counts another open body of the worker.
    pub(super) fn open_body(&self) -> Result<OwnedSemaphorePermit, SendError> {
        let open = self.bodies.clone().try_acquire_owned();
        open.map_err(|_| SendError::OpenBodies(self.config.limits.open_bodies_max))
    }

    pub(super) fn limits(&self) -> &FetchLimits {
        &self.config.limits
    }

    fn client(
        &self,
        url: &Url,
        origin: &String,
        opens_socket: bool,
    ) -> Result<crate::io::Bound<reqwest::Client>, SendError> {
        let mut key = ClientKey {
            policy: self.config.policy.clone(),
            port: self.config.policy.port_class(url.port_or_known_default()),
            connection: self.config.connection.clone(),
            // An HTTP/1.1 handshake cannot be sent over HTTP/2.
            http1: opens_socket,
        };
        if self.spoilers.borrow().contains(origin) {
            key.connection.idle_per_host_max = 0;
        }
        let own = self.own_io.as_ref().and_then(|own| own.used());
        own.unwrap_or(&self.io).client(&key, client::build)
    }

    fn remember_spoiler(&self, origin: String) {
        let mut spoilers = self.spoilers.borrow_mut();
        if spoilers.contains(&origin) {
            return;
        }
        if spoilers.len() == SPOILERS_MAX {
            spoilers.pop_front();
        }
        spoilers.push_back(origin);
    }

    fn complete_headers(&self, headers: &mut HeaderMap) {
        if !headers.contains_key(USER_AGENT)
            && let Ok(agent) = HeaderValue::from_str(&self.config.user_agent)
        {
            headers.insert(USER_AGENT, agent);
        }
    }
}

struct Head {
    status: StatusCode,
    reason: String,
    headers: HeaderMap,
    length: Option<u64>,
    encoded: Option<Encoded>,
}

/// Sends the request, checks the head, and spawns a task that forwards the body. Runs on the I/O runtime.
async fn exchange(
    client: reqwest::Client,
    mut request: Outgoing,
    limits: FetchLimits,
    sender: mpsc::Sender<Chunk>,
    payer: Payer,
) -> Result<Head, SendError> {
    let opening = request.opening.take();
    let is_head = request.method == Method::HEAD;
    let url = request.url.clone();
    let sending = send_once_or_twice(&client, request);
    let head_timeout = limits.head_timeout.or(opening.is_some().then_some(HANDSHAKE_TIMEOUT));
    let response = match head_timeout {
        Some(limit) => tokio::time::timeout(limit, sending)
            .await
            .map_err(|_| SendError::Timeout(limit))?,
        None => sending.await,
    };
    let mut response = response.map_err(|error| transport(&url, &error))?;
    let status = response.status();
    let reason = reason_of(status, response.extensions());
    let headers = std::mem::take(response.headers_mut());
    if status == StatusCode::SWITCHING_PROTOCOLS {
        if let Some(Opening::Socket(opening)) = &opening {
            opening.check(&headers)?;
        }
        let upgrade = response.upgrade();
        let stream = async || upgrade.await.map_err(|error| transport(&url, &error));
        match opening {
            Some(Opening::Socket(opening)) => spawn_here(opening.run(stream().await?)),
            Some(Opening::Pipe(from)) => spawn_here(pipe::run(stream().await?, *from, sender)),
            None => return Err(SendError::Switched),
        }
        return Ok(Head {
            status,
            reason,
            headers,
            length: None,
            encoded: None,
        });
    }
    check_headers(&headers, &limits)?;
    if let Some(coding) = transfer_coding(&headers) {
        return Err(SendError::TransferCoding(coding));
    }
    let length = response.content_length();
    let plain = received(response);
    let layers = layers_of(status, &headers, is_head);
    let (body, length, encoded) = if layers.is_empty() {
        (plain, length, None)
    } else {
        let (body, encoded) = in_either_form(plain, layers, length, limits.decoded_bytes_max, payer);
        (body, None, Some(encoded))
    };
    spawn_here(forward(body, sender));
    Ok(Head {
        status,
        reason,
        headers,
        length,
        encoded,
    })
}

/// Checks the head of a response against the limits.
pub(super) fn check_headers(headers: &HeaderMap, limits: &FetchLimits) -> Result<(), SendError> {
    let lengths = headers.iter().map(|(name, value)| name.as_str().len() + value.len());
    match lengths.sum::<usize>() > limits.response_header_bytes_max {
        true => Err(SendError::Headers(limits.response_header_bytes_max)),
        false => Ok(()),
    }
}

/// Returns the codings of a response's body that are decoded.
pub(super) fn layers_of(status: StatusCode, headers: &HeaderMap, is_head: bool) -> Vec<Coding> {
    match status {
        // A range is part of the encoded body (RFC 9110, section 14) and cannot be decoded.
        _ if is_head || status == StatusCode::PARTIAL_CONTENT => Vec::new(),
        _ => Codings::of(headers).layers(),
    }
}

/// Returns the transfer codings besides `chunked`, which are not supported.
fn transfer_coding(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(TRANSFER_ENCODING).iter();
    let codings = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let mut others = codings
        .map(<[u8]>::trim_ascii)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"chunked"));
    others.next().map(|coding| String::from_utf8_lossy(coding).into_owned())
}

/// Returns the incoming body. hyper reports an HTTP/2 stream that its server reset without an error as complete.
fn received(response: reqwest::Response) -> ByteStream {
    let is_h2 = response.version() == Version::HTTP_2;
    let body = Some(reqwest::Body::from(response));
    Box::pin(futures::stream::unfold(body, move |body| async move {
        let mut body = body?;
        loop {
            return match body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Some((Ok(data), Some(body))),
                    Err(_trailers) => continue,
                },
                Some(Err(error)) => Some((Err(io::Error::other(innermost(&error))), None)),
                None if is_h2 && !body.is_end_stream() => Some((Err(cut_off()), None)),
                None => None,
            };
        }
    }))
}

/// Returns an encoded body whose form is chosen when it is read.
pub(super) fn in_either_form(
    body: ByteStream,
    layers: Vec<Coding>,
    length: Option<u64>,
    decoded_bytes_max: u64,
    payer: Payer,
) -> (ByteStream, Encoded) {
    let (form, wanted) = oneshot::channel();
    let encoded = Encoded {
        layers: layers.clone(),
        length,
        form,
    };
    let body = flattened(async move {
        match wanted.await {
            Ok(Form::Encoded) => Ok(body),
            // Without a reader, the form does not matter.
            Ok(Form::Decoded) | Err(_) => Ok(capped(
                decode(body, &layers, &payer.memory, &payer.cpu),
                decoded_bytes_max,
            )),
        }
    });
    (body, encoded)
}

/// Returns whether a response that cannot have a body (RFC 9112, section 6.3) announces one. If the server sends it, it
/// would be taken for the response to the connection's next request.
fn is_spoilt(status: StatusCode, headers: &HeaderMap) -> bool {
    let announces = headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        && (announces || headers.contains_key(TRANSFER_ENCODING))
}

/// Sends a request, and repeats it once on a new connection if it failed on a reused one, which the server may have closed,
/// or an earlier response corrupted. Only for idempotent requests (RFC 9110, section 9.2.2) whose bodies are in memory.
async fn send_once_or_twice(client: &reqwest::Client, request: Outgoing) -> reqwest::Result<reqwest::Response> {
    let Outgoing {
        method,
        url,
        headers,
        body,
        ..
    } = request;
    let idempotent = method.is_idempotent();
    let mut prepared = reqwest::Request::new(method, url);
    *prepared.headers_mut() = headers;
    *prepared.body_mut() = match body {
        OutgoingBody::Empty => None,
        OutgoingBody::Full(bytes) => Some(bytes.into()),
        OutgoingBody::Stream(pumped) => Some(reqwest::Body::wrap_stream(pumped.into_stream())),
        OutgoingBody::Pulled(body) => Some(reqwest::Body::wrap_stream(chunks_of(*body))),
    };
    let again = if idempotent { prepared.try_clone() } else { None };
    match (client.execute(prepared).await, again) {
        (Err(error), Some(again)) if lost_connection(&error) => client.execute(again).await,
        (result, _) => result,
    }
}

fn lost_connection(error: &reqwest::Error) -> bool {
    let mut source = if error.is_connect() { None } else { error.source() };
    while let Some(cause) = source {
        if cause
            .downcast_ref::<hyper::Error>()
            .is_some_and(|error| error.is_incomplete_message() || error.is_parse())
            || cause
                .downcast_ref::<io::Error>()
                .is_some_and(|cause| cause.kind() == io::ErrorKind::ConnectionReset)
        {
            return true;
        }
        source = cause.source();
    }
    false
}

/// Spawns a task on the current runtime, the I/O runtime. It ends with its reader, so it need not be joined.
#[expect(
    clippy::disallowed_methods,
    reason = "called from a future that `Bound::run` put on the I/O runtime"
)]
fn spawn_here(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

fn transport(url: &Url, error: &reqwest::Error) -> SendError {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    SendError::Transport {
        url: shown.into(),
        cause: innermost(error),
    }
}

/// Returns the message of the innermost error, the cause.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    let mut is_parse = false;
    while let Some(source) = error.source() {
        error = source;
        is_parse |= error.downcast_ref().is_some_and(hyper::Error::is_parse);
    }
    match is_parse {
        true => format!("the server did not send a valid HTTP response: {error}"),
        false => error.to_string(),
    }
}
