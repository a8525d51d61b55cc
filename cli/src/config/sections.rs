//! The sections that are the same in the configuration file and in the resolved configuration.

use std::path::PathBuf;
use std::time::Duration;

use isopod::SessionLimits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{MaybeSize, MaybeTime, Size, Time};
use super::values::{NetworkRule, ProxyAddress};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Level of detail in error responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Error pages contain message, stack and code excerpt.
    #[default]
    Development,
    /// Error pages contain only the status and the request's id.
    Production,
}

/// Lifetime of a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Many events, interleaved up to `concurrency`.
    #[default]
    PerWorker,
    /// A fresh worker for each event.
    PerRequest,
    /// One event; then the script is undeployed.
    Oneshot,
}

/// Place where a worker runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// On a thread of the server's process.
    #[default]
    Thread,
    /// In a process of its own: a crash, or code that cannot be interrupted, costs no other worker.
    Process,
    /// In a process of its own without files, network, programs and other processes.
    Sandbox,
}

/// Demand on what confines sandboxes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sandbox {
    /// All mechanisms that the system has. What is missing is logged at the start.
    #[default]
    BestEffort,
    /// All mechanisms: where one is missing, the server does not start.
    Required,
}

/// Minimum severity of logged lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(
    missing_docs,
    reason = "the names are the meaning, and documented variants would make the schema verbose"
)]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// Format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Human-readable.
    #[default]
    Pretty,
    /// One JSON object per line.
    Json,
}

/// Logging.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Log {
    /// Minimum severity of logged lines.
    pub level: LogLevel,
    /// Format of log lines.
    pub format: LogFormat,
    /// Log a line for each request.
    pub access: bool,
    /// Maximum number of buffered log lines. Further lines are dropped, and counted by `isopod_log_lines_dropped_total`.
    #[schemars(range(min = 1))]
    pub lines_waiting_max: usize,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: LogLevel::default(),
            format: LogFormat::default(),
            access: true,
            lines_waiting_max: 4096,
        }
    }
}

/// TLS on the TCP listeners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tls {
    /// Certificate chain in PEM format, the server's certificate first.
    pub cert: PathBuf,
    /// Private key in PEM format.
    pub key: PathBuf,
}

/// Hosts that workers may connect to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Network {
    /// Allow private, loopback, link-local and metadata addresses.
    pub allow_private: bool,
    /// Private hosts that may be reached.
    pub allow: Vec<NetworkRule>,
    /// Hosts that may not be reached. Takes precedence over all other rules.
    pub deny: Vec<NetworkRule>,
    /// The only hosts that may be reached; an empty list means none. Private hosts must be in `allow` too. Default: all.
    pub only: Option<Vec<NetworkRule>>,
}

/// Hosts that one worker may connect to, in addition to the process's rules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct WorkerNetwork {
    /// Replaces the process's setting.
    pub(super) allow_private: Option<bool>,
    /// Added to the process's rules.
    pub(super) allow: Vec<NetworkRule>,
    /// Added to the process's rules.
    pub(super) deny: Vec<NetworkRule>,
    /// Replaces the process's setting.
    pub(super) only: Option<Vec<NetworkRule>>,
}

impl WorkerNetwork {
    /// Combines these rules with the process's: `allow` and `deny` are added, the others replaced.
    pub(super) fn over(self, all: &Network) -> Network {
        let both = |all: &[NetworkRule], own: Vec<NetworkRule>| all.iter().cloned().chain(own).collect();
        Network {
            allow_private: self.allow_private.unwrap_or(all.allow_private),
            allow: both(&all.allow, self.allow),
            deny: both(&all.deny, self.deny),
            only: self.only.or_else(|| all.only.clone()),
        }
    }
}

/// Limits on incoming HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Ingress {
    /// Maximum size of a request's head.
    #[serde(with = "Size")]
    pub header_bytes_max: u64,
    /// Maximum number of a request's headers.
    #[schemars(range(min = 1))]
    pub headers_max: usize,
    /// Maximum size of a request's path and query.
    #[serde(with = "Size")]
    pub uri_bytes_max: u64,
    /// Maximum size of a request's body.
    #[serde(with = "Size")]
    pub body_bytes_max: u64,
    /// Time for a request's head to arrive.
    #[serde(with = "Time")]
    pub header_timeout: Duration,
    /// Time without data from a request's body before the request is aborted.
    #[serde(with = "Time")]
    pub body_timeout: Duration,
    /// Time for which a client may leave a response unread.
    #[serde(with = "Time")]
    pub write_timeout: Duration,
    /// Time for which a connection is kept open without a request.
    #[serde(with = "Time")]
    pub idle_timeout: Duration,
    /// Maximum number of open connections; further connections wait to be accepted.
    #[schemars(range(min = 1))]
    pub connections_max: usize,
    /// Maximum number of concurrent streams of an HTTP/2 connection.
    #[schemars(range(min = 1))]
    pub streams_max: u32,
    /// Bytes of a request body that a client may send on an HTTP/2 stream before its worker reads them. The window of a
    /// connection is `streams_max` times as large.
    #[serde(with = "Size")]
    pub stream_window: u64,
    /// Maximum depth of calls between workers, by `fetch` and by service bindings. A deeper `fetch` gets 508, a deeper request
    /// to a service an error.
    pub depth_max: u32,
    /// Maximum number of streams of an HTTP/2 connection that are reset before they are processed; one more closes it. Of
    /// streams that the server refuses or resets, there may be `streams_max` more.
    #[schemars(range(min = 1))]
    pub resets_max: usize,
    /// Canceled requests of an HTTP/2 connection above which it is closed, if they are more than half of its requests.
    #[schemars(range(min = 1))]
    pub cancels_max: u32,
    /// Proxies whose `x-forwarded-for`, `x-real-ip` and `x-forwarded-proto` headers are trusted. These headers of other peers
    /// are overwritten.
    pub trusted_proxies: Vec<ProxyAddress>,
}

impl Default for Ingress {
    fn default() -> Self {
        Self {
            header_bytes_max: 16 * KIB,
            headers_max: 100,
            uri_bytes_max: 8 * KIB,
            body_bytes_max: 100 * MIB,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            connections_max: 10_000,
            streams_max: 128,
            stream_window: 128 * KIB,
            depth_max: 16,
            resets_max: 20,
            cancels_max: 500,
            trusted_proxies: Vec::new(),
        }
    }
}

/// Shutdown of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Shutdown {
    /// Time for accepted requests to finish before they are cut.
    #[serde(with = "Time")]
    pub deadline: Duration,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
        }
    }
}

/// Limits of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Limits {
    /// Wall time of an event until its answer, or until the start of a streamed body.
    #[serde(with = "Time")]
    pub wall: Duration,
    /// Wall time of a streamed response body.
    #[serde(with = "Time")]
    pub stream: Duration,
    /// Time without data from a streamed response body while its client waits.
    #[serde(with = "Time")]
    pub stream_idle: Duration,
    /// Wall time of `waitUntil` work after the answer.
    #[serde(with = "Time")]
    pub wait_until: Duration,
    /// CPU time of a worker's start, and wall time of the whole start.
    #[serde(with = "Time")]
    pub boot: Duration,
    /// Total CPU time of an event, including `waitUntil` work.
    #[serde(with = "Time")]
    pub cpu: Duration,
    /// CPU time of an event after which its script is notified. Default: four fifths of `cpu`.
    #[serde(with = "MaybeTime")]
    pub cpu_soft: Option<Duration>,
    /// Memory of a worker: heap, array buffers, WebAssembly, and memory held for it outside the isolate (bodies, messages, blobs).
    /// At least 16 MiB.
    #[serde(with = "Size")]
    pub memory: u64,
    /// Maximum number of queued events. Default: the pool's limit.
    #[schemars(range(min = 1))]
    pub queue: Option<usize>,
    /// Maximum number of concurrent timers.
    pub timers: usize,
    /// Maximum number of pending asynchronous operations.
    pub pending_ops: usize,
    /// Maximum number of `fetch` requests of an event, including redirects.
    pub subrequests: usize,
    /// Maximum number of operations of an event on KV namespaces, R2 buckets, queues and `caches`.
    pub storage_operations: usize,
    /// Maximum number of functions and objects of an event that other workers hold.
    pub rpc_stubs: usize,
    /// Maximum number of names in the path of a call to another worker.
    pub rpc_path: usize,
    /// Maximum depth of calls of stubs, each made by a function that another worker called.
    pub rpc_depth: usize,
    /// Maximum number of lines logged by an event; the rest is dropped.
    pub log_lines: usize,
    /// Maximum size of an event's log output; the rest is dropped.
    #[serde(with = "Size")]
    pub log_bytes: u64,
    /// Maximum number of uncaught errors and unhandled rejections logged per turn; the rest is counted.
    pub reports: usize,
    /// Maximum size of a value that leaves the worker: a message, a result, an answer.
    #[serde(with = "Size")]
    pub message: u64,
    /// Maximum number of pending `waitUntil` promises of an event.
    pub wait_until_promises: usize,
    /// Maximum number of open streams, responses and object URLs.
    pub handles: usize,
    /// Maximum memory outside the heap: blobs, compressors, messages queued on a port, data being encrypted.
    #[serde(with = "Size")]
    pub native: u64,
    /// Maximum number of iterations of a PBKDF2 key derivation, and maximum product of the parameters N, r and p of scrypt.
    pub pbkdf2_iterations: u32,
    /// Maximum size of a generated RSA key, and of each key of `node:crypto`, in bits.
    pub rsa_bits: u32,
    /// Maximum number of open WebSockets.
    pub sockets: usize,
    /// Maximum size of a received WebSocket message; a larger one closes the socket with code 1009.
    #[serde(with = "Size")]
    pub socket_message: u64,
    /// Maximum size of data sent to a WebSocket and not read by its peer, which is disconnected above it.
    #[serde(with = "Size")]
    pub socket_buffer: u64,
    /// Maximum number of WebSocket messages read per second and socket; above it the socket is read more slowly.
    #[schemars(range(min = 1))]
    pub socket_rate: u32,
    /// Time without a frame from the peer of a WebSocket until it is disconnected. It is pinged after half of it.
    #[serde(with = "Time")]
    pub socket_idle: Duration,
    /// Age at which a WebSocket is closed with code 1001.
    #[serde(with = "Time")]
    pub socket_lifetime: Duration,
    /// Maximum number of types in the WebAssembly modules and tags of a script. V8 keeps them as long as the process lives, and has
    /// room for 2,000,000.
    pub wasm_types: usize,
    /// Maximum number of open TCP connections of a worker, from `connect()` of `cloudflare:sockets`.
    pub connections: usize,
    /// Maximum number of open TCP connections of an event.
    pub event_connections: usize,
    /// Time without a byte in either direction until a TCP connection is ended.
    #[serde(with = "Time")]
    pub connection_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(30),
            stream: Duration::from_secs(3600),
            stream_idle: Duration::from_secs(60),
            wait_until: Duration::from_secs(30),
            boot: Duration::from_secs(10),
            cpu: Duration::from_secs(10),
            cpu_soft: None,
            memory: 128 * MIB,
            queue: None,
            timers: 10_000,
            pending_ops: 10_000,
            subrequests: 1_000,
            storage_operations: 1_000,
            rpc_stubs: 1_000,
            rpc_path: 64,
            rpc_depth: 64,
            log_lines: 1_000,
            log_bytes: 256 * KIB,
            reports: 32,
            message: 32 * MIB,
            wait_until_promises: 10_000,
            handles: 10_000,
            native: 64 * MIB,
            pbkdf2_iterations: 2_000_000,
            rsa_bits: 4_096,
            sockets: 1_000,
            socket_message: MIB,
            socket_buffer: 4 * MIB,
            socket_rate: 10_000,
            socket_idle: Duration::from_secs(60),
            socket_lifetime: Duration::from_secs(24 * 3600),
            wasm_types: 100_000,
            connections: 256,
            event_connections: 32,
            connection_idle: Duration::from_secs(300),
        }
    }
}

/// Conditions for replacing a worker with a fresh one. Default: never.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Recycle {
    /// Number of events.
    #[schemars(range(min = 1))]
    pub events: Option<u64>,
    /// Age.
    #[serde(with = "MaybeTime")]
    pub age: Option<Duration>,
    /// Memory held after an event.
    #[serde(with = "MaybeSize")]
    pub memory: Option<u64>,
}

/// Limits of a worker's sessions: connections that keep it, such as WebSockets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Sessions {
    /// Maximum number of open sessions. More are refused with status 503.
    pub max: usize,
    /// Maximum number of sessions of one isolate.
    #[schemars(range(min = 1))]
    pub per_worker: usize,
    /// Maximum number of concurrent events of one session.
    #[schemars(range(min = 1))]
    pub events: usize,
    /// Maximum number of concurrent events of all sessions of one isolate.
    #[schemars(range(min = 1))]
    pub events_per_worker: usize,
    /// Time for which an isolate that must go is kept for its sessions after they were told.
    #[serde(with = "Time")]
    pub grace: Duration,
}

impl Default for Sessions {
    fn default() -> Self {
        let SessionLimits {
            max,
            per_worker,
            events,
            events_per_worker,
            grace,
            ..
        } = SessionLimits::default();
        Self {
            max,
            per_worker,
            events,
            events_per_worker,
            grace,
        }
    }
}
