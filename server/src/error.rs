//! Why a server does not start.

use std::{io, net::SocketAddr};

use crate::{config::Address, tls::TlsError};

/// Why a server did not start. Nothing is left behind when it does not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A listener's address cannot be used.
    #[error("cannot listen on {address}: {source}; is something else listening there, or may this user not?")]
    Bind {
        /// The address.
        address: Address,
        /// What the system says.
        source: io::Error,
    },
    /// The admin listener's address cannot be used.
    #[error("cannot serve health and metrics on {address}: {source}; is something else listening there?")]
    BindAdmin {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A listener has no usable certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server's threads cannot be started.
    #[error("cannot start the server's threads: {0}; the system's limit on threads or memory may be reached")]
    Threads(#[source] io::Error),
    /// There is no listener.
    #[error("no listener is configured; give the server at least one address")]
    NoListener,
}
