//! Errors of TCP connections.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use deno_error::get_error_code;
use tokio_rustls::rustls::{self, CertificateError};

use crate::event::EventEnded;
use crate::fetch::{Refused, SendError};
use crate::io::IoError;
use crate::quotas::QuotaError;
use crate::unwind::Panicked;

/// An error of a TCP connection.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub(super) enum ConnectError {
    /// The host is neither a name nor an address.
    #[class(type)]
    #[error("'{0}' is not a host: give a name or an address")]
    Host(String),
    /// The name is invalid for a certificate.
    #[class(type)]
    #[error("'{0}' cannot be the name of a server's certificate")]
    ServerName(String),
    /// The script's TLS options are invalid.
    #[class(type)]
    #[error("{0}")]
    TlsSettings(String),
    /// The guard refused the destination.
    #[class(type)]
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The connection leads to a server of this process, to which it could not state its depth.
    #[class(type)]
    #[error("{0} is a server of this process: use fetch() or a service binding")]
    OwnServer(String),
    /// The event or its worker has reached a quota.
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The event has ended.
    #[class(inherit)]
    #[error(transparent)]
    EventEnded(#[from] EventEnded),
    /// The TLS configuration is invalid.
    #[class(generic)]
    #[error(transparent)]
    Tls(#[from] SendError),
    /// The connection failed.
    #[class(inherit)]
    #[error(transparent)]
    Failed(#[from] Failed),
    /// The script closed the connection.
    #[class(type)]
    #[error("the socket is closed")]
    Closed,
    /// The resource is not a connection.
    #[class(inherit)]
    #[error(transparent)]
    Resource(#[from] deno_core::error::ResourceError),
    /// An error of the I/O runtime.
    #[class(generic)]
    #[error(transparent)]
    Io(#[from] IoError),
    /// The runtime has not placed an `Rc<Io>` in the worker's state.
    #[class(type)]
    #[error("connect() is not available in this worker: it has no I/O runtime")]
    NoIo,
    /// A bug in this crate.
    #[class(generic)]
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

/// The reason for the end of a connection that neither side closed.
#[derive(Clone, Debug, thiserror::Error, deno_error::JsError)]
#[class(generic)]
#[property("code" = self.code().into_owned())]
pub(super) enum Failed {
    #[error("cannot resolve {name}: {cause}")]
    Resolve { name: String, cause: Arc<io::Error> },
    #[error("{0} has no address")]
    NoAddress(String),
    #[error("cannot connect to {host}: {cause}")]
    Connect { host: String, cause: Arc<io::Error> },
    #[error("cannot connect to {host} within {limit:?}")]
    ConnectTimeout { host: String, limit: Duration },
    #[error("the TLS handshake failed: {0}")]
    Handshake(Arc<io::Error>),
    #[error("the TLS handshake did not end within {0:?}")]
    HandshakeTimeout(Duration),
    #[error("the connection failed: {0}")]
    Transfer(Arc<io::Error>),
    #[error("no bytes passed the connection for {0:?} (`limits.connection_idle`)")]
    Idle(Duration),
    #[error("the connection was lost")]
    Lost,
    /// An error of the process with the network.
    #[error("{message}")]
    Elsewhere { message: String, code: Option<String> },
}

impl Failed {
    /// Returns the error's code in Node.js: <https://nodejs.org/api/errors.html#common-system-errors>
    pub(super) fn code(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Resolve { .. } | Self::NoAddress(_) => "ENOTFOUND",
            Self::Connect { cause, .. } => get_error_code(cause).unwrap_or("ECONNREFUSED"),
            Self::ConnectTimeout { .. } | Self::Idle(_) => "ETIMEDOUT",
            Self::Handshake(cause) => handshake_code(cause),
            Self::HandshakeTimeout(_) => "ERR_TLS_HANDSHAKE_TIMEOUT",
            Self::Transfer(cause) => get_error_code(cause).unwrap_or("ECONNRESET"),
            Self::Lost => "ECONNRESET",
            Self::Elsewhere { code, .. } => return code.clone().unwrap_or_else(|| "ECONNREFUSED".to_owned()).into(),
        })
    }
}

/// <https://nodejs.org/api/tls.html#x509-certificate-error-codes>
fn handshake_code(cause: &io::Error) -> &'static str {
    let error = cause.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    match error {
        Some(rustls::Error::InvalidCertificate(error)) => match error {
            CertificateError::UnknownIssuer => "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "CERT_HAS_EXPIRED",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "CERT_NOT_YET_VALID",
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "ERR_TLS_CERT_ALTNAME_INVALID"
            }
            CertificateError::Revoked => "CERT_REVOKED",
            _ => "CERT_UNTRUSTED",
        },
        Some(_) => "EPROTO",
        None => get_error_code(cause).unwrap_or("ECONNRESET"),
    }
}
