//! The configuration of a worker's `fetch`.

use std::sync::Arc;
use std::time::Duration;

use super::elsewhere::Network;
use super::guard::NetPolicy;
use super::resolve::Resolver;
use super::servers::OwnServers;

/// The `fetch` settings of a worker, placed in the worker's `OpState` next to its `Rc<Io>`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FetchConfig {
    /// The permitted destinations. Default: public addresses only.
    pub policy: Arc<NetPolicy>,
    /// The `User-Agent` of requests without one. Default: `isopod/` and the version.
    pub user_agent: String,
    /// Limits of a worker.
    pub limits: FetchLimits,
    /// The servers of this process, to which requests state their depth. Default: none.
    pub servers: OwnServers,
    /// Options of connections. A thread's workers with the same options and the same policy share connections.
    pub connection: ConnectionOptions,
    /// The process that has the network. Default: this one.
    pub network: Network,
}

isopod_outcome::setters!(FetchConfig {
    policy: impl Into<Arc<NetPolicy>>,
    user_agent: impl Into<String>,
    limits: FetchLimits,
    servers: OwnServers,
    connection: ConnectionOptions,
    network: Network,
});

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            policy: Arc::default(),
            user_agent: concat!("isopod/", env!("CARGO_PKG_VERSION")).to_owned(),
            limits: FetchLimits::default(),
            servers: OwnServers::default(),
            connection: ConnectionOptions::default(),
            network: Network::default(),
        }
    }
}

/// The limits of a worker's `fetch`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct FetchLimits {
    /// Concurrent requests waiting for their response heads; further ones are queued. Default: 64.
    pub requests_max: usize,
    /// Responses whose bodies are neither fully read nor canceled. Another response is an error instead of waiting, because
    /// only the worker itself can read them. Default: 256.
    pub open_bodies_max: usize,
    /// Size of a decoded response body in bytes. Default: 256 MiB.
    pub decoded_bytes_max: u64,
    /// Total size of a response's header names and values in bytes. Default: 64 KiB.
    pub response_header_bytes_max: usize,
    /// Chunks buffered in either direction before the sender has to wait. Default: 16.
    pub chunks_buffered: usize,
    /// Time from sending a request to its response head. Default: none.
    pub head_timeout: Option<Duration>,
}

isopod_outcome::setters!(FetchLimits {
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

/// Options of connections.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionOptions {
    /// Time limit from name resolution to the end of the TLS handshake. Default: 10 s.
    pub connect_timeout: Duration,
    /// Idle time after which a connection is closed. Default: 90 s.
    pub idle_timeout: Duration,
    /// Idle connections kept per host. Default: 32.
    pub idle_per_host_max: usize,
    /// Additional certificate authorities, DER encoded. Default: none.
    pub extra_roots: Vec<Vec<u8>>,
    /// Resolves host names, subject to the network policy. Default: the system's resolver.
    pub resolver: Resolver,
}

isopod_outcome::setters!(ConnectionOptions {
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
