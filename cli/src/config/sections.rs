//! The sections of a configuration that mean the same in the file and in what comes of it.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{MaybeSize, MaybeTime, Size, Time};
use super::values::{NetworkRule, ProxyAddress};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// What an error response tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Error bodies help: message, stack, code frame.
    #[default]
    Development,
    /// Error bodies tell nothing but the request's id.
    Production,
}

/// How long a worker is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Warm: many events, interleaved up to its concurrency.
    #[default]
    PerWorker,
    /// A fresh worker for each event.
    PerRequest,
    /// One event; then the worker is gone.
    Oneshot,
}

/// The least severe line that is logged.
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

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Logging.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Log {
    /// The least severe line that is logged.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
    /// Whether each request gets a line.
    pub access: bool,
    /// Lines that wait where whoever reads the log is slow. What does not fit is dropped, and counted by
    /// `isopod_log_lines_dropped_total`.
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
    /// The certificate chain, PEM, the server's own first.
    pub cert: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// Which hosts workers may connect to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Network {
    /// Whether private, loopback, link-local and metadata addresses may be reached.
    pub allow_private: bool,
    /// What may be reached although it is private.
    pub allow: Vec<NetworkRule>,
    /// What may not be reached, whatever else allows it.
    pub deny: Vec<NetworkRule>,
    /// What may be reached at all; an empty list: nothing. What is private needs to be in `allow` as well. Absent: everything.
    pub only: Option<Vec<NetworkRule>>,
}

/// Which hosts one worker may connect to, over what the process says of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct WorkerNetwork {
    /// Instead of the process's, if given.
    pub(super) allow_private: Option<bool>,
    /// In addition to the process's.
    pub(super) allow: Vec<NetworkRule>,
    /// In addition to the process's.
    pub(super) deny: Vec<NetworkRule>,
    /// Instead of the process's, if given.
    pub(super) only: Option<Vec<NetworkRule>>,
}

impl WorkerNetwork {
    /// These rules over those of all: exceptions and refusals add up, and a refusal stays one.
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

/// Limits on what comes in over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Ingress {
    /// Size of a request's head at most.
    #[serde(with = "Size")]
    pub header_bytes_max: u64,
    /// Number of a request's headers at most.
    #[schemars(range(min = 1))]
    pub headers_max: usize,
    /// Size of a request's path and query at most.
    #[serde(with = "Size")]
    pub uri_bytes_max: u64,
    /// Size of a request's body at most.
    #[serde(with = "Size")]
    pub body_bytes_max: u64,
    /// Time for a request's head to arrive.
    #[serde(with = "Time")]
    pub header_timeout: Duration,
    /// Time without a byte of a body before the request is given up.
    #[serde(with = "Time")]
    pub body_timeout: Duration,
    /// Time a client may leave a response unread.
    #[serde(with = "Time")]
    pub write_timeout: Duration,
    /// Time a connection is kept without a request.
    #[serde(with = "Time")]
    pub idle_timeout: Duration,
    /// Connections at once; more wait to be accepted.
    #[schemars(range(min = 1))]
    pub connections_max: usize,
    /// Concurrent HTTP/2 streams of one connection.
    #[schemars(range(min = 1))]
    pub streams_max: u32,
    /// Calls between workers by `fetch` that may lead to a request; deeper ones get 508.
    pub depth_max: u32,
    /// Streams of one HTTP/2 connection that are reset before they are taken up; one more ends it.
    #[schemars(range(min = 1))]
    pub resets_max: usize,
    /// Requests of one HTTP/2 connection that its client may cancel; more, and more than half of all, end it.
    #[schemars(range(min = 1))]
    pub cancels_max: u32,
    /// Proxies in front that are believed to say who their client is, by `x-forwarded-for`, `x-real-ip` and
    /// `x-forwarded-proto`. Such headers of anyone else are overwritten.
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
            depth_max: 16,
            resets_max: 20,
            cancels_max: 500,
            trusted_proxies: Vec::new(),
        }
    }
}

/// How the process ends.
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

/// What modules may read besides modules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Modules {
    /// Extensions that imports of text, bytes and JSON may have in addition to those that are known.
    pub data_extensions: Vec<String>,
    /// Whether `import()` of text and bytes takes a name that the script computed.
    pub computed_data: bool,
    /// Whether JSON, text and bytes are read from files with several hard links outside `node_modules`.
    pub hard_links: bool,
}

/// JSX in .jsx and .tsx files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Jsx {
    /// The package whose `jsx-runtime` is imported.
    pub import_source: String,
}

impl Default for Jsx {
    fn default() -> Self {
        Self {
            import_source: "react".to_owned(),
        }
    }
}

/// What one worker may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Limits {
    /// Time an event may take until it has been answered; where its response has a streamed body, until that begins.
    #[serde(with = "Time")]
    pub wall: Duration,
    /// Time that the streamed body of a response may take.
    #[serde(with = "Time")]
    pub stream: Duration,
    /// Time that the streamed body of a response may give nothing while its client waits.
    #[serde(with = "Time")]
    pub stream_idle: Duration,
    /// Time that what an event gave to `waitUntil` may take after its answer.
    #[serde(with = "Time")]
    pub wait_until: Duration,
    /// CPU time of one start, and time for the whole of it.
    #[serde(with = "Time")]
    pub boot: Duration,
    /// CPU time of one event in all, its `waitUntil` work included.
    #[serde(with = "Time")]
    pub cpu: Duration,
    /// CPU time of an event after which its script is told; absent: four fifths of `cpu`.
    #[serde(with = "MaybeTime")]
    pub cpu_soft: Option<Duration>,
    /// Memory of one worker: its heap, array buffers, WebAssembly, and what is held for it outside: bodies, messages, blobs.
    #[serde(with = "Size")]
    pub memory: u64,
    /// Events that may wait for a worker; absent: the pool's own limit.
    #[schemars(range(min = 1))]
    pub queue: Option<usize>,
    /// Timers that are set at one time.
    pub timers: usize,
    /// Operations that wait for their result at one time.
    pub pending_ops: usize,
    /// Requests that one event may make by `fetch` in all, redirects among them.
    pub subrequests: usize,
    /// Lines that one event may log; the rest is dropped.
    pub log_lines: usize,
    /// Bytes that one event may log; the rest is dropped.
    #[serde(with = "Size")]
    pub log_bytes: u64,
    /// Uncaught errors and unhandled rejections that are told of one turn; the rest is counted.
    pub reports: usize,
    /// Size of a value that leaves the worker: a message, a result, an answer.
    #[serde(with = "Size")]
    pub message: u64,
    /// Promises that `waitUntil` of one event holds at one time.
    pub wait_until_promises: usize,
    /// Streams, responses and object URLs that are open at one time.
    pub handles: usize,
    /// Bytes held outside the heap: blobs, compressors, messages that wait for a port, what is being encrypted.
    #[serde(with = "Size")]
    pub native: u64,
    /// Rounds of one key derivation by PBKDF2.
    pub pbkdf2_iterations: u32,
    /// Size of an RSA key that is generated, in bits.
    pub rsa_bits: u32,
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
            log_lines: 1_000,
            log_bytes: 256 * KIB,
            reports: 32,
            message: 32 * MIB,
            wait_until_promises: 10_000,
            handles: 10_000,
            native: 64 * MIB,
            pbkdf2_iterations: 2_000_000,
            rsa_bits: 4_096,
        }
    }
}

/// When a worker is replaced by a fresh one. Absent: never.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Recycle {
    /// After this many events.
    #[schemars(range(min = 1))]
    pub events: Option<u64>,
    /// After this time.
    #[serde(with = "MaybeTime")]
    pub age: Option<Duration>,
    /// When it holds more than this after an event.
    #[serde(with = "MaybeSize")]
    pub memory: Option<u64>,
}
