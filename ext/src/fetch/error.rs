//! Errors of fetch ops.

use super::guard::Refused;
use super::send_error::SendError;
use crate::event::{EventEnded, TooManyHeaders};
use crate::quotas::QuotaError;
use crate::unwind::Panicked;

/// An error of a fetch op.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[non_exhaustive]
pub enum FetchError {
    /// The guard refused the request.
    #[class(type)]
    #[error(transparent)]
    Refused(#[from] Refused),
    /// There is no response.
    #[class(type)]
    #[error(transparent)]
    Send(#[from] SendError),
    /// The event or its worker has reached a quota.
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The resource id is invalid.
    #[class(inherit)]
    #[error(transparent)]
    Resource(#[from] deno_core::error::ResourceError),
    /// The URL is invalid.
    #[class(type)]
    #[error("Invalid URL: {0}")]
    Url(#[from] deno_core::url::ParseError),
    /// The method is not a token.
    #[class(type)]
    #[error(transparent)]
    Method(#[from] http::method::InvalidMethod),
    /// A header name is not a token.
    #[class(type)]
    #[error(transparent)]
    HeaderName(#[from] http::header::InvalidHeaderName),
    /// A header value contains control characters.
    #[class(type)]
    #[error(transparent)]
    HeaderValue(#[from] http::header::InvalidHeaderValue),
    /// There are too many request headers.
    #[class(type)]
    #[error("the request has {}", TooManyHeaders)]
    TooManyHeaders,
    /// The `data:` URL is invalid.
    #[class(type)]
    #[error("Invalid data URL: {0}")]
    DataUrl(String),
    /// The URL's scheme is not `http:` or `https:`, as a fetcher requires.
    #[class(type)]
    #[error("cannot fetch a {0}: URL from a binding: use http: or https:, with any host")]
    Scheme(String),
    /// The URL is invalid for an HTTP request.
    #[class(type)]
    #[error("Invalid URL: {0}")]
    Uri(#[from] http::uri::InvalidUri),
    /// The object URL is unknown; JavaScript resolves known ones.
    #[class(type)]
    #[error("Blob for the given URL not found.")]
    BlobNotFound,
    /// The request was canceled.
    #[class(inherit)]
    #[error(transparent)]
    EventEnded(#[from] EventEnded),
    /// Aborted by its signal.
    #[class(type)]
    #[error("the request was canceled")]
    Canceled,
    /// Custom clients are refused, because they would bypass the guard and the thread's connections.
    #[class("NotSupported")]
    #[error("custom HTTP clients are not supported; fetch uses the connections of the worker's thread")]
    CustomClient,
    /// The runtime has not placed an `Rc<Io>` in the worker's state.
    #[class(type)]
    #[error("fetch is not available in this worker: it has no I/O runtime")]
    NoIo,
    /// The op has panicked.
    #[class(inherit)]
    #[error(transparent)]
    Panicked(#[from] Panicked),
}
