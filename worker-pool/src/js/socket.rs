//! The event behind a WebSocket: kept open by the socket, and ended with it.

use std::task::{Context, Poll};

use isopod_runtime::websocket::{Ending, Guard};

use crate::ticket::Ticket;

/// The ticket of an event that was answered with a WebSocket.
pub(super) struct SocketGuard {
    ticket: Ticket,
}

impl SocketGuard {
    pub(super) const fn new(ticket: Ticket) -> Self {
        Self { ticket }
    }
}

impl Guard for SocketGuard {
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        self.ticket.poll_lost(cx).map(|failure| Ending {
            code: 1011,
            reason: "the worker was lost",
            outcome: failure.outcome,
        })
    }

    /// The script has been told, and ends the event itself.
    fn ended(self: Box<Self>) {
        self.ticket.detach();
    }
}
