//! The seam between HTTP and whatever answers it.

use std::{
    fmt,
    future::Future,
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version};

use isopod_pool::Failure;

use crate::metrics::Metric;

/// An error of any kind, as bodies carry them.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request's or a response's body: a stream with backpressure, of which every chunk may be taken without a copy.
///
/// A response body that fails may do so with a [`Failure`], whose outcome is then recorded.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

/// What answers requests. The server knows no more of workers than this.
pub trait Dispatch: Send + Sync + 'static {
    /// Has a worker answer a request.
    ///
    /// Dropping the future, or later the response's body, means that nobody waits any more: the event is cancelled.
    /// Hop-by-hop headers of the response are removed by the server, and its length is that of its body.
    fn fetch(
        &self,
        worker: &str,
        request: Request<Body>,
        meta: RequestMeta,
    ) -> impl Future<Output = Result<Response<Body>, Failure>> + Send;

    /// Whether requests can be answered now, for `/readyz`.
    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    /// Figures to show beside the server's own, for `/metrics` and `/stats`.
    fn stats(&self) -> Vec<Metric> {
        Vec::new()
    }
}

/// Whether requests can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// They can.
    Ready,
    /// They cannot, for this reason.
    NotReady(String),
}

/// What the server knows of a request beyond the request itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestMeta {
    /// Found in `x-request-id`, or made.
    pub id: RequestId,
    /// When the response must have started.
    pub deadline: Option<Instant>,
    /// Who is at the other end of the connection; nobody nameable on a Unix socket.
    pub peer: Option<SocketAddr>,
    /// Who sent the request: the peer, or whom a trusted proxy names.
    pub client: Option<IpAddr>,
    /// Whether the client asked over TLS, as a trusted proxy says, or as the connection is.
    pub scheme: Scheme,
    /// The request's full URL, as `Request.url` shows it: what the URL Standard makes of target and host.
    pub url: String,
    /// The version of HTTP that is spoken over the connection.
    pub http: Version,
    /// The TLS of the connection, if it has any.
    pub tls: Option<Tls>,
    /// Whether the peer is a trusted proxy: then `http` and `tls` are its own, and not the client's.
    pub is_proxied: bool,
    /// How many calls between workers led to it: 0 for a request from outside.
    pub depth: u32,
}

/// What a TLS handshake agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tls {
    /// Such as `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite as OpenSSL names it, such as `ECDHE-RSA-AES128-GCM-SHA256`; of TLS 1.3 such as `AEAD-AES128-GCM-SHA256`.
    pub cipher: String,
}

/// How a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In clear text.
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

/// A request's name in every log and response. Made ids are 32 hexadecimal digits, given ones at most 128 printable
/// ASCII characters without quotes; anything else is replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Id);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Id {
    /// Written out only where someone reads it.
    Made(u128),
    Given(HeaderValue),
}

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl RequestId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(Id::Made(fastrand::u128(..)))
    }

    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'&' | b'\\');
        match headers.get(REQUEST_ID) {
            Some(id) if (1..=128).contains(&id.len()) && id.as_bytes().iter().all(plain) => Self(Id::Given(id.clone())),
            _ => Self::random(),
        }
    }

    pub(crate) fn to_header(&self) -> HeaderValue {
        match &self.0 {
            Id::Given(value) => value.clone(),
            Id::Made(id) => {
                let mut hex = [0; 32];
                for (place, digit) in hex.iter_mut().enumerate() {
                    *digit = b"0123456789abcdef"[(id >> (124 - 4 * place)) as usize & 15];
                }
                HeaderValue::from_bytes(&hex).expect("hexadecimal digits are valid in a header")
            }
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Id::Made(id) => write!(f, "{id:032x}"),
            Id::Given(value) => f.write_str(value.to_str().unwrap_or_default()),
        }
    }
}
