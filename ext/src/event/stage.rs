//! How far an event is: answered and going on, or ended.

use super::fault::FaultKind;
use super::keys::EventKey;

/// An event that has ended, and how.
#[derive(Debug)]
pub struct Ended {
    /// Which one.
    pub key: EventKey,
    /// `Err` holds the kind of failure.
    pub result: Result<(), FaultKind>,
    /// Lines it logged beyond what it may, which are not shown.
    pub log_dropped: u64,
}

/// What an event goes on with after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// With the stream that is its answer.
    Streaming,
    /// With what it gave to `ctx.waitUntil`.
    WaitUntil,
    /// With the WebSocket that is its answer.
    Session,
}
