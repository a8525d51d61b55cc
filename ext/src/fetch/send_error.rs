//! Errors of sending requests.

use std::time::Duration;

use isopod_websocket::handshake::AnswerError;

use super::guard::Refused;
use crate::io::IoError;

/// The reason why there is no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The guard refused the request.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The client could not be created.
    #[error("the HTTP client cannot be built: {0}")]
    Client(#[source] reqwest::Error),
    /// An additional certificate authority or the TLS configuration is invalid.
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
    /// The response has a transfer coding other than `chunked`, which no request asks for (RFC 9112, section 7.4).
    #[error("the server sent its response in a transfer coding that was not requested: {0}")]
    TransferCoding(String),
    /// The server's answer does not open the requested WebSocket.
    #[error(transparent)]
    Socket(#[from] AnswerError),
    /// The server switched to a protocol that was not requested.
    #[error("the server switched to a protocol that was not requested")]
    Switched,
    /// Too many responses are open.
    #[error(
        "more than {0} response bodies are open (open_bodies_max); read each to its end, or call `response.body.cancel()`"
    )]
    OpenBodies(usize),
    /// An error of the process with the network.
    #[error("{0}")]
    Elsewhere(String),
    /// An error of the I/O runtime.
    #[error(transparent)]
    Io(#[from] IoError),
}
