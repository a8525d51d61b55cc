//! What one worker may have of everything that is neither CPU time nor heap: timers, pending operations, sub-requests, log
//! lines, messages, and what is held for it outside the heap.
//!
//! The runtime places an `Rc<`[`Usage`]`>` in the worker's `OpState`. Where something is made, its op asks [`Usage`] for room
//! first; `guards.js` does so for what is made in scripts of deno's. A quota that is reached is a `QuotaExceededError`: it can
//! be caught, and names the setting.

use std::time::Duration;

mod blobs;
mod event;
mod ops;
mod text;
mod usage;

pub(crate) use self::event::LogVerdict;
pub use self::event::Spent;
pub use self::ops::{MemoryRoom, isopod_quotas};
pub use self::usage::{OpSlot, QuotaError, Usage};

/// The quotas of one worker. Every one has a default; none can be switched off, only raised.
///
/// ```
/// # mod isopod { pub use isopod_ext::quotas::Quotas; }
/// use isopod::Quotas;
///
/// let quotas = Quotas::default().timers(100);
/// assert_eq!(quotas.subrequests, 1_000);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quotas {
    /// Timers that are set at one time, intervals and `AbortSignal.timeout()` among them. Default: 10,000.
    pub timers: usize,
    /// Operations that wait for their result at one time: requests, statements, calls of Rust functions, cryptography.
    /// Default: 10,000.
    pub pending_ops: usize,
    /// Requests that one event may make by `fetch` in all, each redirect among them. Default: 1,000.
    pub subrequests: usize,
    /// Lines that one event may log. Default: 1,000.
    pub log_lines: usize,
    /// Bytes that one event may log. Default: 256 KiB.
    pub log_bytes: usize,
    /// Uncaught errors and unhandled rejections that are told of one turn; the rest is counted. Default: 32.
    pub reports: usize,
    /// Size of a value that leaves a worker: a message, a task's progress and results, what a call answers, the arguments of a
    /// Rust function. Plain values count eight bytes each and their text. Bytes that are handed over count nothing. Default:
    /// 32 MiB.
    pub message_bytes: usize,
    /// Promises that `waitUntil` of one event holds at one time. Default: 10,000.
    pub wait_until_promises: usize,
    /// Things outside the heap that scripts have by number at one time: streams on their way, responses, object URLs.
    /// Default: 10,000.
    pub handles: usize,
    /// Bytes that scripts have the runtime hold outside the heap: blobs, compressors, messages that wait for a port, what is
    /// being encrypted. Default: 64 MiB.
    pub native_bytes: usize,
    /// How long a stream that a script gives out may give nothing while its reader waits for it. Default: 1 min.
    pub stream_idle: Duration,
    /// Rounds of one key derivation by PBKDF2. They run where no CPU limit sees them. Default: 2,000,000.
    pub pbkdf2_iterations: u32,
    /// Size of an RSA key that is generated, in bits. Default: 4,096.
    pub rsa_bits: u32,
}

crate::setters!(Quotas {
    timers: usize,
    pending_ops: usize,
    subrequests: usize,
    log_lines: usize,
    log_bytes: usize,
    reports: usize,
    message_bytes: usize,
    wait_until_promises: usize,
    handles: usize,
    native_bytes: usize,
    stream_idle: Duration,
    pbkdf2_iterations: u32,
    rsa_bits: u32,
});

impl Default for Quotas {
    fn default() -> Self {
        Self {
            timers: 10_000,
            pending_ops: 10_000,
            subrequests: 1_000,
            log_lines: 1_000,
            log_bytes: 256 << 10,
            reports: 32,
            message_bytes: 32 << 20,
            wait_until_promises: 10_000,
            handles: 10_000,
            native_bytes: 64 << 20,
            stream_idle: Duration::from_secs(60),
            pbkdf2_iterations: 2_000_000,
            rsa_bits: 4_096,
        }
    }
}
