//! Limits of a worker other than CPU time and heap: timers, pending operations, subrequests, log lines, messages, and
//! memory outside of the heap.
//!
//! The runtime places an `Rc<`[`Usage`]`>` in the worker's `OpState`. Ops check [`Usage`] before they create something;
//! for deno's scripts, `guards.js` does so. Reaching a quota is a `QuotaExceededError`, which scripts can catch and
//! which names the setting.

use std::time::Duration;

use isopod_websocket::Limits as SocketLimits;

mod blobs;
mod event;
mod ops;
mod text;
mod usage;
mod wasm_types;

pub(crate) use self::event::LogVerdict;
pub use self::event::Spent;
pub use self::ops::{MemoryRoom, isopod_quotas};
pub(crate) use self::usage::SocketSlot;
pub use self::usage::{OpSlot, QuotaError, Usage};
pub use self::wasm_types::{WasmTypeRoom, WasmTypes};

/// The quotas of a worker. Each has a default, and none can be disabled, only raised.
///
/// ```
/// # mod isopod { pub use isopod_ext::quotas::Quotas; }
/// use isopod::Quotas;
///
/// let quotas = Quotas::default().timers(100);
/// assert_eq!(quotas.subrequests, 1_000);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Quotas {
    /// Active timers, including intervals and `AbortSignal.timeout()`. Default: 10,000.
    pub timers: usize,
    /// Pending operations: requests, statements, calls of Rust functions, cryptography. Default: 10,000.
    pub pending_ops: usize,
    /// Requests by `fetch` in an event, including redirects. Default: 1,000.
    pub subrequests: usize,
    /// Operations on KV namespaces, R2 buckets, queues and `caches` in an event; an operation on several keys or messages counts
    /// once. Default:
    /// 1,000.
    pub storage_operations: usize,
    /// Functions and objects that an event has passed to other workers and that these still hold. Default: 1,000.
    pub rpc_stubs: usize,
    /// Names in the path of a call to another worker: `env.API.user.name()` has two. Default: 64.
    pub rpc_path: usize,
    /// Calls of stubs that are nested: a function of one worker calls one of another, which calls one of the first. Default: 64.
    pub rpc_depth: usize,
    /// Log lines of an event. Default: 1,000.
    pub log_lines: usize,
    /// Log bytes of an event. Default: 256 KiB.
    pub log_bytes: usize,
    /// Uncaught errors and unhandled rejections reported per turn; the rest are counted. Default: 32.
    pub reports: usize,
    /// Size of a value that leaves a worker: a message, a task's progress and results, a call's result, the arguments
    /// of a Rust function. Plain values count as eight bytes each plus their text; transferred bytes do not count.
    /// Default: 32 MiB.
    pub message_bytes: usize,
    /// Pending `waitUntil` promises of an event. Default: 10,000.
    pub wait_until_promises: usize,
    /// Open handles to objects outside of the heap: streams being sent, responses, object URLs. Default: 10,000.
    pub handles: usize,
    /// Bytes held outside of the heap for scripts: blobs, compressors, messages waiting for a port, data being
    /// encrypted. Default: 64 MiB.
    pub native_bytes: usize,
    /// Types in the WebAssembly modules and tags of a script, of all its workers together. Types that occur in several modules
    /// count once for each. V8 keeps types as long as the process lives. Default: 100,000.
    pub wasm_types: usize,
    /// Time for which a script's outgoing stream may produce nothing while its reader waits. Default: 1 min.
    pub stream_idle: Duration,
    /// Iterations of a PBKDF2 key derivation, which cannot be interrupted, and the product of scrypt's parameters N, r and p,
    /// which takes about as long. Default: 2,000,000.
    pub pbkdf2_iterations: u32,
    /// Length of a generated RSA key in bits, and of each key of RSA or DSA in `node:crypto`. Default: 4,096.
    pub rsa_bits: u32,
    /// Open WebSockets of the worker, except pairs whose both ends it has. Default: 1,000.
    pub sockets: usize,
    /// Limits of each WebSocket.
    pub socket: SocketLimits,
    /// Open TCP connections of the worker, from `connect()`. Default: 256.
    pub connections: usize,
    /// Open TCP connections of an event. Default: 32.
    pub event_connections: usize,
    /// Time for which a TCP connection may pass no bytes in either direction. Default: 5 min.
    pub connection_idle: Duration,
}

isopod_outcome::setters!(Quotas {
    timers: usize,
    pending_ops: usize,
    subrequests: usize,
    storage_operations: usize,
    rpc_stubs: usize,
    rpc_path: usize,
    rpc_depth: usize,
    log_lines: usize,
    log_bytes: usize,
    reports: usize,
    message_bytes: usize,
    wait_until_promises: usize,
    handles: usize,
    native_bytes: usize,
    wasm_types: usize,
    stream_idle: Duration,
    pbkdf2_iterations: u32,
    rsa_bits: u32,
    sockets: usize,
    socket: SocketLimits,
    connections: usize,
    event_connections: usize,
    connection_idle: Duration,
});

impl Default for Quotas {
    fn default() -> Self {
        Self {
            timers: 10_000,
            pending_ops: 10_000,
            subrequests: 1_000,
            storage_operations: 1_000,
            rpc_stubs: 1_000,
            rpc_path: 64,
            rpc_depth: 64,
            log_lines: 1_000,
            log_bytes: 256 << 10,
            reports: 32,
            message_bytes: 32 << 20,
            wait_until_promises: 10_000,
            handles: 10_000,
            native_bytes: 64 << 20,
            wasm_types: 100_000,
            stream_idle: Duration::from_secs(60),
            pbkdf2_iterations: 2_000_000,
            rsa_bits: 4_096,
            sockets: 1_000,
            socket: SocketLimits::default(),
            connections: 256,
            event_connections: 32,
            connection_idle: Duration::from_secs(300),
        }
    }
}
