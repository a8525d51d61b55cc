//! Errors of TCP connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

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
    /// The name cannot be that of a certificate.
    #[class(type)]
    #[error("'{0}' cannot be the name of a server's certificate")]
    ServerName(String),
    /// The guard refused the destination.
    #[class(type)]
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The connection leads to a server of this process, which would not know how many workers called each other.
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
    #[class(generic)]
    #[error(transparent)]
    Failed(#[from] Failed),
    /// The script closed it.
    #[class(type)]
    #[error("the socket is closed")]
    Closed,
    /// The resource is no connection.
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
}
