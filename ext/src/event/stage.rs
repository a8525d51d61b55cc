//! The stage of an event: answered and still running, or ended.

use super::fault::FaultKind;
use super::keys::EventKey;

/// An event that has ended, with its result.
#[derive(Debug)]
pub struct Ended {
    /// The event.
    pub key: EventKey,
    /// `Err` holds the kind of failure.
    pub result: Result<(), FaultKind>,
    /// Number of log lines that were dropped because of the limit.
    pub log_dropped: u64,
}

/// Work of an event that continues after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The stream of its answer.
    Streaming,
    /// Promises passed to `ctx.waitUntil`.
    WaitUntil,
    /// The WebSocket that its answer opened.
    Session,
}
