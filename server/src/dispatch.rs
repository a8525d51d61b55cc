//! The interface between HTTP and request handling.

use std::{
    cell::RefCell,
    fmt,
    future::Future,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version};

use isopod_outcome::Failure;

use crate::{body::ServerBody, location::Location, metric::Metric};

/// Answers requests. It is the server's only interface to workers.
pub trait Dispatch: Send + Sync + 'static {
    /// Dispatches a request to a worker.
    ///
    /// Dropping the future, or later the response's body, cancels the event. The server removes hop-by-hop headers of the
    /// response and derives its length from its body.
    fn fetch(
        &self,
        worker: &str,
        request: Request<ServerBody>,
        meta: RequestMeta,
    ) -> impl Future<Output = Result<Response<ServerBody>, Failure>> + Send;

    /// Returns whether requests can be answered now, for `/readyz`.
    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    /// Returns additional metrics for `/metrics` and `/stats`.
    fn stats(&self) -> Vec<Metric> {
        Vec::new()
    }
}

/// Readiness for requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Requests can be answered.
    Ready,
    /// Requests cannot be answered, for the given reason.
    NotReady(String),
}

/// Metadata of a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestMeta {
    /// Id from `x-request-id`, or generated.
    pub id: RequestId,
    /// Time by which the response must start.
    pub deadline: Option<Instant>,
    /// Address of the connection's peer; `None` on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// Address of the client: the peer, or the client that a trusted proxy names.
    pub client: Option<IpAddr>,
    /// Scheme used by the client, from a trusted proxy or the connection.
    pub scheme: Scheme,
    /// Full URL as in `Request.url`: the result of parsing target and host by the URL Standard.
    pub url: String,
    /// HTTP version of the connection.
    pub http: Version,
    /// TLS parameters of the connection, if any.
    pub tls: Option<Tls>,
    /// True if the peer is a trusted proxy, which `http` and `tls` then describe instead of the client.
    pub is_proxied: bool,
    /// Depth of calls between workers: 0 for a request from outside.
    pub depth: u32,
    /// True if the request opens a WebSocket, so that a response with status 101 may have an
    /// [`Upgrade`](isopod_websocket::Upgrade) in its extensions.
    pub opens_websocket: bool,
    /// Location of the connection, which may move to the thread of the worker that answers: see [`Location::answered_by`].
    /// `None` for connections that never move, such as HTTP/2.
    pub location: Option<Arc<Location>>,
}

/// TLS parameters of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    /// The protocol version, such as `TLSv1.3`.
    pub version: &'static str,
    /// OpenSSL's name of the cipher suite, such as `ECDHE-RSA-AES128-GCM-SHA256`, or `AEAD-AES128-GCM-SHA256` with TLS 1.3.
    pub cipher: String,
}

/// Scheme of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// Over TLS.
    Https,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// A request's id in logs and responses. Generated ids are 32 hexadecimal digits. Received ids are at most 128 printable
/// ASCII characters without quotes; others are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

/// Size of a generated id.
const ID_BYTES: usize = 32;

/// Number of ids generated at a time, which share one allocation.
const IDS_AT_ONCE: usize = 64;

/// Generates the digits of several random ids.
fn random_ids() -> Bytes {
    let mut ids = Vec::with_capacity(IDS_AT_ONCE * ID_BYTES);
    for _ in 0..IDS_AT_ONCE {
        let id = fastrand::u128(..);
        ids.extend((0..ID_BYTES).map(|place| b"0123456789abcdef"[(id >> (124 - 4 * place)) as usize & 15]));
    }
    ids.into()
}

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl RequestId {
    /// Generates an id.
    #[must_use]
    pub fn random() -> Self {
        thread_local! {
            static IDS: RefCell<Bytes> = const { RefCell::new(Bytes::new()) };
        }
        let id = IDS.with_borrow_mut(|ids| {
            if ids.is_empty() {
                *ids = random_ids();
            }
            ids.split_to(ID_BYTES)
        });
        Self(HeaderValue::from_maybe_shared(id).expect("hexadecimal digits are valid in a header"))
    }

    /// Returns the id as the value of the `x-request-id` header.
    #[must_use]
    pub const fn as_header(&self) -> &HeaderValue {
        &self.0
    }

    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'&' | b'\\');
        match headers.get(REQUEST_ID) {
            Some(id) if (1..=128).contains(&id.len()) && id.as_bytes().iter().all(plain) => Self(id.clone()),
            _ => Self::random(),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}
