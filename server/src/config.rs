//! Configuration of a server: listeners, routes, and limits with their defaults.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use crate::{client::TrustedProxy, route::Routes};

/// Configuration of a [`Server`](crate::Server). Plain data: it reads no files and no environment variables.
///
/// ```
/// # mod isopod { pub use isopod_server as server; }
/// use isopod::server::{Listen, Routes, ServerConfig};
///
/// let config = ServerConfig::default().listeners(vec![Listen::tcp("127.0.0.1:0".parse().unwrap())]).routes(Routes::to("hello"));
/// assert_eq!(config.threads, 2);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Listeners for requests. Default: 127.0.0.1 with a port chosen by the system.
    pub listeners: Vec<Listen>,
    /// Address for `/healthz`, `/readyz`, `/metrics` and `/stats` over plain HTTP. Default: none.
    pub admin: Option<SocketAddr>,
    /// Routes from requests to workers. Default: none, so that every request gets 404.
    pub routes: Routes,
    /// Detail of error responses. Default: [`Mode::Production`].
    pub mode: Mode,
    /// Limits on clients. Default: see [`Limits`].
    pub limits: Limits,
    /// Peers that are trusted to name their client by `x-forwarded-for`, `x-real-ip` and `x-forwarded-proto`. Default: none,
    /// so that the peer is the client and such headers are overwritten.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// Key with which `fetch` of this server's workers authenticates the depth of a request; a depth without it is ignored.
    /// Default: none, so that cycles are not detected.
    pub depth_key: Option<String>,
    /// Number of threads of the server's own runtime. Default: 2. Unused if the server is started on the host's runtime.
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

isopod_outcome::setters!(ServerConfig {
    listeners: Vec<Listen>,
    admin: SocketAddr,
    routes: Routes,
    mode: Mode,
    limits: Limits,
    trusted_proxies: Vec<TrustedProxy>,
    depth_key: String,
    threads: usize,
});

/// Level of detail in error responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Message, cause, stack or code excerpt, remedy, and the worker's name in `x-isopod-worker`.
    Development,
    /// Only the status and the request's id.
    #[default]
    Production,
}

/// A listener.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Listen {
    /// Address to listen on.
    pub address: Address,
    /// Certificate for TLS (ALPN `h2` and `http/1.1`); without it the listener uses plain HTTP.
    pub tls: Option<TlsFiles>,
}

impl Listen {
    /// Creates a plain TCP listener; port 0 lets the system choose.
    #[must_use]
    pub const fn tcp(address: SocketAddr) -> Self {
        Self {
            address: Address::Tcp(address),
            tls: None,
        }
    }

    /// Creates a plain listener on a Unix socket, whose file is created at the start and removed at the end.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self {
            address: Address::Unix(path.into()),
            tls: None,
        }
    }

    /// Enables TLS.
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
#[non_exhaustive]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub certificates: PathBuf,
    /// The private key (PKCS#8, PKCS#1 or SEC1).
    pub key: PathBuf,
}

impl TlsFiles {
    /// Names the files of a certificate chain and its private key.
    pub fn new(certificates: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificates: certificates.into(),
            key: key.into(),
        }
    }
}

/// Limits on the use of a server, per client and in total.
///
/// Times are measured by one coarse clock: they are precise to a tenth of a second, and never shorter than configured.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Maximum number of open connections; above it the server stops accepting until one closes. Default: 10,000.
    pub connections_max: usize,
    /// Maximum size of all header names and values in bytes; larger requests get 431. Default: 16 KiB.
    pub header_bytes_max: usize,
    /// Maximum number of headers of a request; more get 431. Default: 100.
    pub header_count_max: usize,
    /// Maximum size of path and query in bytes; longer ones get 414. Default: 8 KiB.
    pub uri_bytes_max: usize,
    /// Time from a request's first byte, or from the start of a new connection (including the TLS handshake), to the end of
    /// its headers. Slower clients are disconnected. Default: 10 s.
    pub header_timeout: Duration,
    /// Time for which a connection may be idle between requests. Default: 75 s.
    pub idle_timeout: Duration,
    /// Maximum size of a request's body in bytes; larger ones get 413. Default: 100 MiB.
    pub body_bytes_max: u64,
    /// Maximum size of a buffered body, in bytes. A body declared to be no longer, or of unknown length if `body_bytes_max`
    /// is no larger, is read whole before a worker is used, so that slow and oversized uploads cost no worker time. Longer
    /// bodies are streamed. Default: 64 KiB.
    pub body_buffer_max: u64,
    /// Time for which a sender may pause within a body. Default: 30 s. A body that is read before a worker is used must also
    /// arrive within `request_timeout`.
    pub body_timeout: Duration,
    /// Time for which a client may leave a response unread, or keep a connection open that the server closes, before it is
    /// disconnected. Default: 60 s.
    pub write_timeout: Duration,
    /// Deadline of every request: the time from the end of its headers to the start of the response. Default: 60 s.
    pub request_timeout: Duration,
    /// Time after the deadline until the server itself responds 504. The worker should respond first, because it knows more
    /// about the cause of a delay. Default: 1 s.
    pub request_grace: Duration,
    /// Maximum number of concurrent streams of an HTTP/2 connection. Default: 200.
    pub h2_streams_max: u32,
    /// Bytes of a request's body that a client may send on an HTTP/2 stream before the worker reads them. A connection's window
    /// is `h2_streams_max` times as large, so that unread bodies do not block the others. Default: 128 KiB.
    pub h2_stream_window: u32,
    /// Maximum number of streams that are reset before the server processes them, above which an HTTP/2 connection is
    /// closed. The server itself may refuse or reset `h2_streams_max` more. Default: 20.
    pub h2_resets_max: usize,
    /// Maximum depth of `fetch` calls between workers; deeper requests get 508. Default: 16. See
    /// [`ServerConfig::depth_key`].
    pub depth_max: u32,
    /// Maximum number of canceled requests of an HTTP/2 connection. Above it the connection is closed if they are more than
    /// half of its requests. Default: 500.
    pub h2_cancels_max: u32,
    /// Allowance in bytes for frames without content on an HTTP/2 connection. The connection is closed when it has received
    /// eight times this allowance and the size of its requests and responses. Default: 128 KiB.
    pub h2_idle_bytes_max: u64,
    /// Maximum size of buffered response data per HTTP/2 stream, in bytes. Default: 64 KiB.
    pub h2_send_buffer_max: usize,
    /// Interval of HTTP/2 pings, and the time to answer one. Default: 20 s.
    pub h2_ping_interval: Duration,
    /// Time for which a draining server keeps idle connections, because a client that is about to use one would see a reset.
    /// Default: 250 ms.
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
            h2_stream_window: 128 << 10,
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

isopod_outcome::setters!(Limits {
    connections_max: usize,
    header_bytes_max: usize,
    header_count_max: usize,
    uri_bytes_max: usize,
    header_timeout: Duration,
    idle_timeout: Duration,
    body_bytes_max: u64,
    body_buffer_max: u64,
    body_timeout: Duration,
    write_timeout: Duration,
    request_timeout: Duration,
    request_grace: Duration,
    h2_streams_max: u32,
    h2_stream_window: u32,
    h2_resets_max: usize,
    depth_max: u32,
    h2_cancels_max: u32,
    h2_idle_bytes_max: u64,
    h2_send_buffer_max: usize,
    h2_ping_interval: Duration,
    drain_linger: Duration,
});

/// Maximum window of HTTP/2 (RFC 9113, section 6.9.1).
const WINDOW_MAX: u32 = (1 << 31) - 1;

impl Limits {
    /// Returns the window of an HTTP/2 stream.
    pub(crate) fn stream_window(&self) -> u32 {
        self.h2_stream_window.clamp(1, WINDOW_MAX)
    }

    /// Returns the window of an HTTP/2 connection. Streams with unread bodies could fill a smaller one and block a body that
    /// is being read.
    pub(crate) fn connection_window(&self) -> u32 {
        self.stream_window().saturating_mul(self.h2_streams_max).min(WINDOW_MAX)
    }

    /// Returns the tick of the coarse clock: short enough for the shortest limit, and long enough to be cheap.
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
