//! Ends of connections: reasons from outside, and the record.

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
    /// `Ok` if the close handshake was completed, `Canceled` if the peer left without it, else why it was ended.
    pub outcome: Outcome,
    /// The close code: the peer's if it closed the connection, else the one sent to it. 1006 if the connection was lost.
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

/// The event behind a worker's end. It is asked whether the connection has to end, and is told that it has ended. If the wire is
/// dropped without having run, it is dropped without being told.
pub trait Guard: Send {
    /// Polls for a reason to close the connection. Once ready, it is not polled again.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Ending>;

    /// The connection has ended, and the worker has been told.
    fn ended(self: Box<Self>);
}
