//! Errors from starting a server.

use std::{io, net::SocketAddr};

use crate::{config::Address, tls::TlsError};

/// An error from starting a server, which leaves no resources behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A listener's address cannot be used.
    #[error("cannot listen on {address}: {source}; is the address in use, or is permission missing?")]
    Bind {
        /// The address.
        address: Address,
        /// The operating system's error.
        source: io::Error,
    },
    /// The admin listener's address cannot be used.
    #[error("cannot serve health and metrics on {address}: {source}; is the address in use?")]
    BindAdmin {
        /// The address.
        address: SocketAddr,
        /// The operating system's error.
        source: io::Error,
    },
    /// A listener has no usable certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server's threads cannot be started.
    #[error("cannot start the server's threads: {0}; the limit on threads or memory may be reached")]
    Threads(#[source] io::Error),
    /// There is no listener.
    #[error("no listener is configured; give the server at least one address")]
    NoListener,
}
