//! Parts of an HTTP request besides its head and body, and the channel for its response.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::channel::oneshot;
use http::{HeaderName, HeaderValue};
use serde::Serialize;

use super::{Data, Fault};

/// The channel for the response to a request. A dropped receiver means that the client has left.
pub type Reply<T> = oneshot::Sender<Result<T, Fault>>;

/// A server's description of a request, in addition to its head and body. Its parts can also be in the request's extensions, as
/// [`RequestUrl`], [`CallDepth`] and [`RequestCf`], which costs several allocations.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RequestInfo {
    /// The URL that the script sees. Default: the [`RequestUrl`], or the request's own URI.
    pub url: Option<String>,
    /// The id of the request, for logs: its `x-request-id` header, in place of the request's own. Default: the request's own.
    pub id: Option<HeaderValue>,
    /// The properties of the connection, `request.cf`. Default: the [`RequestCf`] in the request's extensions.
    pub cf: Option<RequestCf>,
}

isopod_outcome::setters!(RequestInfo {
    url: impl Into<Option<String>>,
    id: impl Into<Option<HeaderValue>>,
    cf: impl Into<Option<RequestCf>>,
});

/// In a request's extensions: the URL that the script sees, if the request's own URI is only a path. Saves a server
/// from parsing a URI that it has just built.
#[derive(Debug, Clone)]
pub struct RequestUrl(pub String);

/// In a request's extensions: the properties of `request.cf`, under the names that Workers have. Unknown ones are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RequestCf {
    /// Such as `HTTP/2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_protocol: Option<Cow<'static, str>>,
    /// Such as `TLSv1.3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<Cow<'static, str>>,
    /// Such as `AEAD-AES128-GCM-SHA256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cipher: Option<String>,
    /// The client's `Accept-Encoding`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_accept_encoding: Option<String>,
}

/// In a request's extensions: the number of calls between workers that led to it; 0 for a request from outside. Messages and
/// requests of its script are one deeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallDepth(pub u32);

/// Carries the [`CallDepth`] of a script's requests to the servers of its own process, with their key: they remove it, and
/// reject circular calls. Scripts can neither see nor set it.
pub const CALL_DEPTH: HeaderName = HeaderName::from_static("x-isopod-depth");

/// The worker that makes a request without a socket. A [`Fetcher`](crate::fetcher::Fetcher) gets it with the request, and the
/// pool stores it in the extensions of the request that the called worker handles.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Caller {
    /// The name of its script.
    pub worker: Arc<str>,
    /// The number of calls between workers that lead to the request, itself included: 1 if the caller handles a request from
    /// outside.
    pub depth: u32,
    /// The time after which it no longer waits. `None`: no limit.
    pub deadline: Option<Instant>,
    /// The id of the request that it handles (its `x-request-id` header), for logs.
    pub request_id: Option<String>,
    /// The properties of its service binding, which the called worker has as `ctx.props`. Default: none.
    pub props: Data,
    /// The `cf` of its request as JSON, which the called worker has as `request.cf`. Default: none.
    pub cf: Option<Bytes>,
}

impl Caller {
    /// Creates a caller that handles an event from outside.
    pub fn new(worker: impl Into<Arc<str>>) -> Self {
        Self {
            worker: worker.into(),
            depth: 1,
            deadline: None,
            request_id: None,
            props: Data::Empty,
            cf: None,
        }
    }
}
