//! The event and the session of a WebSocket. The socket keeps both, and their end closes it.

use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use isopod_outcome::Outcome;
use isopod_runtime::websocket::{Ending, Guard};

use crate::RetireReason;
use crate::ticket::Ticket;

/// The ticket of an event that was answered with a WebSocket, and the session that keeps its worker. Without a session, the
/// worker may be replaced as if the event had ended.
pub(super) struct SocketGuard {
    ticket: Ticket,
    closing: Option<Closes>,
}

/// Resolves with the reason when the session of a WebSocket ends. Keeps the session open.
pub(super) type Closes = BoxFuture<'static, RetireReason>;

impl SocketGuard {
    pub(super) const fn new(ticket: Ticket, closing: Option<Closes>) -> Self {
        Self { ticket, closing }
    }
}

impl Guard for SocketGuard {
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        if let Poll::Ready(failure) = self.ticket.poll_lost(cx) {
            return Poll::Ready(ending(RetireReason::Lost, failure.outcome));
        }
        match &mut self.closing {
            Some(closing) => closing.poll_unpin(cx).map(|reason| match reason {
                RetireReason::Condemned | RetireReason::Lost => ending(reason, Outcome::WorkerLost),
                _ => ending(reason, Outcome::Ok),
            }),
            None => Poll::Pending,
        }
    }

    /// The script was notified, and ends the event itself.
    fn ended(self: Box<Self>) {
        self.ticket.detach();
    }
}

/// Returns the close code for the end of a worker: 1001 at a shutdown, 1011 if it was terminated, else 1012, on which
/// clients reconnect (<https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number>).
fn ending(reason: RetireReason, outcome: Outcome) -> Ending {
    let (code, text) = match reason {
        RetireReason::Shutdown => (1001, "the server is shutting down"),
        RetireReason::Condemned | RetireReason::Lost => (1011, "the worker ended"),
        _ => (1012, "the worker is being replaced"),
    };
    Ending {
        code,
        reason: text,
        outcome,
    }
}
