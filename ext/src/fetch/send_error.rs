//! Why a request has no response.

use std::time::Duration;

use super::guard::Refused;
use crate::io::IoError;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The guard said no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The client cannot be built.
    #[error("the HTTP client cannot be built: {0}")]
    Client(#[source] reqwest::Error),
    /// An extra certificate authority or the TLS setup is broken.
    #[error("the TLS configuration of fetch is invalid: {0}")]
    Tls(#[source] deno_tls::rustls::Error),
    /// The exchange failed.
    #[error("error sending request for url ({url}): {cause}")]
    Transport {
        /// The URL without its query, which may be secret.
        url: String,
        /// The innermost cause.
        cause: String,
    },
    /// No response head within the time limit.
    #[error("no response within {0:?} (head_timeout)")]
    Timeout(Duration),
    /// The response's headers are too large.
    #[error("the response headers are larger than this worker's limit of {0} bytes (response_header_bytes_max)")]
    Headers(usize),
    /// The response's body is in a transfer coding besides `chunked`, which no request asks for (RFC 9112, section 7.4).
    #[error("the server sent its response in a transfer coding that was not asked for: {0}")]
    TransferCoding(String),
    /// Too many responses are open.
    #[error(
        "more than {0} response bodies are open (open_bodies_max); read each to its end, or call `response.body.cancel()`"
    )]
    OpenBodies(usize),
    /// The I/O runtime has no result.
    #[error(transparent)]
    Io(#[from] IoError),
}
