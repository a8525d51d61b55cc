//! What a server is told: where to listen, which worker answers what, and every limit with its default.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use crate::{client::TrustedProxy, route::Routes};

/// Everything a [`Server`](crate::Server) needs to know. Plain data: it reads no file and no environment variable.
///
/// ```
/// # mod isopod { pub use isopod_server as server; }
/// use isopod::server::{Listen, Routes, ServerConfig};
///
/// let config = ServerConfig {
///     listeners: vec![Listen::tcp("127.0.0.1:0".parse().unwrap())],
///     routes: Routes::to("hello"),
///     ..ServerConfig::default()
/// };
/// assert_eq!(config.threads, 2);
/// ```
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where requests come in. Default: 127.0.0.1 with a port of the system's choice.
    pub listeners: Vec<Listen>,
    /// Where `/healthz`, `/readyz`, `/metrics` and `/stats` are served, in clear text. Default: nowhere.
    pub admin: Option<SocketAddr>,
    /// Which worker answers which request. Default: none, so that everything is answered with 404.
    pub routes: Routes,
    /// How much an error tells its reader. Default: [`Mode::Production`].
    pub mode: Mode,
    /// What one client may use. Default: see [`Limits`].
    pub limits: Limits,
    /// Peers that are believed to say who their client is, by `x-forwarded-for`, `x-real-ip` and `x-forwarded-proto`.
    /// Default: none, so that the peer is the client and such headers are overwritten.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// What the fetch of the workers behind this server says with each request to it of how many calls led to the request;
    /// what is said without it does not count. Default: none, so that circles are not seen.
    pub depth_key: Option<String>,
    /// Threads of the server's own runtime. Default: 2. Unused when the server is started on a runtime of the host's.
    pub threads: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listeners: vec![Listen::tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))],
            admin: None,
            routes: Routes::default(),
            mode: Mode::Production,
            limits: Limits::default(),
            trusted_proxies: Vec::new(),
            depth_key: None,
            threads: 2,
        }
    }
}

/// How much an error response tells its reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// What happened, why, the stack or code frame, and what to do; `x-isopod-worker` names the worker.
    Development,
    /// The status and the request's id, nothing else.
    #[default]
    Production,
}

/// One listener.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Where it listens.
    pub address: Address,
    /// With a certificate the listener speaks TLS (ALPN `h2` and `http/1.1`), without it clear text.
    pub tls: Option<TlsFiles>,
}

impl Listen {
    /// A clear-text TCP listener; port 0 lets the system choose.
    #[must_use]
    pub const fn tcp(address: SocketAddr) -> Self {
        Self {
            address: Address::Tcp(address),
            tls: None,
        }
    }

    /// A clear-text listener on a Unix socket, whose file is made at the start and removed at the end.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self {
            address: Address::Unix(path.into()),
            tls: None,
        }
    }

    /// The same listener, speaking TLS.
    #[must_use]
    pub fn with_tls(mut self, files: TlsFiles) -> Self {
        self.tls = Some(files);
        self
    }
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An address and port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A certificate chain and its private key, as PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificates: PathBuf,
    /// The private key (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
}

/// What one client, and all of them together, may use of the server.
///
/// Times are kept by one coarse clock: they hold to within a tenth of a second, and are never shorter than asked for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at once; beyond it the server stops accepting until one ends. Default: 10,000.
    pub connections_max: usize,
    /// Bytes of all header names and values; more is answered with 431. Default: 16 KiB.
    pub header_bytes_max: usize,
    /// Headers of a request; more is answered with 431. Default: 100.
    pub header_count_max: usize,
    /// Bytes of path and query; more is answered with 414. Default: 8 KiB.
    pub uri_bytes_max: usize,
    /// From a request's first byte, and on a new connection from its start (TLS handshake included), to the end of
    /// its headers. Whoever is slower is disconnected. Default: 10 s.
    pub header_timeout: Duration,
    /// How long a connection may lie unused between requests. Default: 75 s.
    pub idle_timeout: Duration,
    /// Bytes of a request's body; more is answered with 413. Default: 100 MiB.
    pub body_bytes_max: u64,
    /// A body declared to be no longer than this, or of unknown length where `body_bytes_max` itself is no more than
    /// this, is read whole before a worker is used, so that slow or oversized senders cost no worker's time. Longer
    /// bodies are streamed. Default: 64 KiB.
    pub body_buffer_max: u64,
    /// How long a sender may pause in the middle of a body. Default: 30 s. A body that is read before a worker is used has
    /// to be there within `request_timeout` besides.
    pub body_timeout: Duration,
    /// How long a reader may leave a response unread while there is more of it; then it is disconnected. So is who goes on
    /// for that long after being told that the connection ends. Default: 60 s.
    pub write_timeout: Duration,
    /// From the end of the headers to the start of the response: the deadline stamped on every request. Default: 60 s.
    pub request_timeout: Duration,
    /// How much longer than its deadline a request is waited for before the server answers 504 by itself. What runs
    /// the worker knows more about why it was late, and should speak first. Default: 1 s.
    pub request_grace: Duration,
    /// Streams a client may have open at once on one HTTP/2 connection. Default: 200.
    pub h2_streams_max: u32,
    /// Streams reset before the server took them up, and streams that the server had to reset, after either of which an
    /// HTTP/2 connection is closed. Default: 20.
    pub h2_resets_max: usize,
    /// Calls between workers that may lead to a request, each a `fetch` of one that answered the one before; deeper ones
    /// are answered with 508. Default: 16. See [`ServerConfig::depth_key`].
    pub depth_max: u32,
    /// Requests that a client may cancel on one HTTP/2 connection. It is closed when more were, and more than half of all.
    /// Default: 500.
    pub h2_cancels_max: u32,
    /// Bytes that a client may send on an HTTP/2 connection without asking for anything. It is closed when it has sent
    /// eight times this, and eight times what its requests and their answers amount to. Default: 128 KiB.
    pub h2_idle_bytes_max: u64,
    /// Bytes of a response held for a slow reader, for each HTTP/2 stream. Default: 64 KiB.
    pub h2_send_buffer_max: usize,
    /// How often an HTTP/2 client is asked whether it is still there, and how long it has to answer. Default: 20 s.
    pub h2_ping_interval: Duration,
    /// How long idle connections are kept while the server drains, because a client may be about to use one and
    /// would see it reset. Default: 250 ms.
    pub drain_linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            header_bytes_max: 16 << 10,
            header_count_max: 100,
            uri_bytes_max: 8 << 10,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_bytes_max: 100 << 20,
            body_buffer_max: 64 << 10,
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(60),
            request_grace: Duration::from_secs(1),
            h2_streams_max: 200,
            h2_resets_max: 20,
            depth_max: 16,
            h2_cancels_max: 500,
            h2_idle_bytes_max: 128 << 10,
            h2_send_buffer_max: 64 << 10,
            h2_ping_interval: Duration::from_secs(20),
            drain_linger: Duration::from_millis(250),
        }
    }
}

impl Limits {
    /// How often the coarse clock looks: often enough for the shortest limit, and never so often that it costs.
    pub(crate) fn resolution(&self) -> Duration {
        let shortest = [
            self.header_timeout,
            self.idle_timeout,
            self.body_timeout,
            self.write_timeout,
            self.request_timeout,
            self.request_grace,
        ]
        .into_iter()
        .min()
        .unwrap_or_default();
        (shortest / 4).clamp(Duration::from_millis(5), Duration::from_millis(100))
    }
}
