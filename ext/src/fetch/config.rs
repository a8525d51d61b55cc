//! What the runtime tells the fetch binding of a worker.

use std::sync::Arc;
use std::time::Duration;

use super::guard::NetPolicy;
use super::resolve::Resolver;
use super::servers::OwnServers;

/// The fetch settings of one worker, placed in the worker's `OpState` beside its `Rc<Io>`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchConfig {
    /// Where requests may go. Default: public addresses only.
    pub policy: Arc<NetPolicy>,
    /// The `User-Agent` of requests that name none. Default: `isopod/` and the version.
    pub user_agent: String,
    /// Limits of one worker.
    pub limits: FetchLimits,
    /// The servers of this process, which are told how many calls between workers led to a request. Default: none.
    pub servers: OwnServers,
    /// Limits of a connection. Workers of a thread that agree on these and on the policy share connections.
    pub connection: ConnectionOptions,
}

crate::setters!(FetchConfig {
    policy: impl Into<Arc<NetPolicy>>,
    user_agent: impl Into<String>,
    limits: FetchLimits,
    servers: OwnServers,
    connection: ConnectionOptions,
});

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            policy: Arc::default(),
            user_agent: concat!("isopod/", env!("CARGO_PKG_VERSION")).to_owned(),
            limits: FetchLimits::default(),
            servers: OwnServers::default(),
            connection: ConnectionOptions::default(),
        }
    }
}

/// What one worker may use at most.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchLimits {
    /// Requests that wait for their response head at one time; further ones wait for their turn. Default: 64.
    pub requests_max: usize,
    /// Responses whose body is neither read to its end nor cancelled. One more is an error, because waiting could be for
    /// ever: only the worker itself can read them. Default: 256.
    pub open_bodies_max: usize,
    /// Bytes of a response body after decoding. Default: 256 MiB.
    pub decoded_bytes_max: u64,
    /// Bytes of a response's header names and values. Default: 64 KiB.
    pub response_header_bytes_max: usize,
    /// Chunks buffered in either direction before the sender has to wait. Default: 16.
    pub chunks_buffered: usize,
    /// From the sending of a request to its response head. Default: none.
    pub head_timeout: Option<Duration>,
}

crate::setters!(FetchLimits {
    requests_max: usize,
    open_bodies_max: usize,
    decoded_bytes_max: u64,
    response_header_bytes_max: usize,
    chunks_buffered: usize,
    head_timeout: impl Into<Option<Duration>>,
});

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            requests_max: 64,
            open_bodies_max: 256,
            decoded_bytes_max: 256 << 20,
            response_header_bytes_max: 64 << 10,
            chunks_buffered: 16,
            head_timeout: None,
        }
    }
}

/// How connections are made and kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionOptions {
    /// From the start of name resolution to the end of the TLS handshake. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept. Default: 90 s.
    pub idle_timeout: Duration,
    /// Idle connections kept for one host. Default: 32.
    pub idle_per_host_max: usize,
    /// Further certificate authorities, DER encoded, beside the public ones this crate carries. Default: none.
    pub extra_roots: Vec<Vec<u8>>,
    /// What finds the addresses of names; the network policy judges its answers. Default: the system's resolver.
    pub resolver: Resolver,
}

crate::setters!(ConnectionOptions {
    connect_timeout: Duration,
    idle_timeout: Duration,
    idle_per_host_max: usize,
    extra_roots: Vec<Vec<u8>>,
    resolver: Resolver,
});

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(90),
            idle_per_host_max: 32,
            extra_roots: Vec::new(),
            resolver: Resolver::default(),
        }
    }
}
