//! The end of a connection: a reason from outside, and the record.

use std::task::{Context, Poll};

use isopod_outcome::Outcome;

/// A reason to close a connection from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The close code.
    pub code: u16,
    /// The close reason.
    pub reason: &'static str,
    /// The outcome of the connection.
    pub outcome: Outcome,
}

/// The record of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// `Ok` if the close handshake was completed, `Canceled` if the peer left without it, else the reason of the end.
    pub outcome: Outcome,
    /// The close code: the peer's if it closed the connection, else the sent one; 1006 if the connection was lost.
    pub code: u16,
    /// Bytes of received messages.
    pub bytes_received: u64,
    /// Bytes of sent messages.
    pub bytes_sent: u64,
    /// Number of received messages.
    pub messages_received: u64,
    /// Number of sent messages.
    pub messages_sent: u64,
}

/// The event behind a worker's end, which can end the connection and is notified of its end. If the wire is dropped without
/// having run, the guard is only dropped.
pub trait Guard: Send {
    /// Polls for a reason to close the connection. Once ready, it is not polled again.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Ending>;

    /// Notifies that the connection has ended, after the worker.
    fn ended(self: Box<Self>);
}
