//! The worker's end of a connection, as a resource.

use std::borrow::Cow;
use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;

use deno_core::{CancelHandle, OpState, Resource};
use isopod_outcome::Outcome;
use isopod_websocket::{Close, Closed, Hooks, Incoming, Message, Port, SendError, Wire, pair};

use crate::event::{EventKey, Tail};
use crate::quotas::{QuotaError, SocketSlot, Usage};

/// Kinds of results of [`Socket::next`], as numbered in `websocket.js`.
const NEXT_TEXT: u32 = 0;
const NEXT_BINARY: u32 = 1;
const NEXT_CLOSED: u32 = 2;
/// The event has ended, or the socket is gone.
pub(super) const NEXT_ENDED: u32 = 3;

/// A socket out of its worker.
pub(crate) struct Socket {
    port: RefCell<Port>,
    /// The received item, until it is fetched.
    received: RefCell<Option<Incoming>>,
    tail: Rc<Tail>,
    /// The event that each message renews.
    event: Option<EventKey>,
    _slot: SocketSlot,
}

/// Opens a connection. Returns its resource, and the byte stream's end. Each message renews `event`, and `tail` ends the
/// socket with its event.
pub(crate) fn open(state: &OpState, event: Option<EventKey>, tail: &Rc<Tail>) -> Result<(Socket, Wire), QuotaError> {
    let usage = Usage::of(state);
    usage.room_for_handle(state)?;
    let slot = usage.begin_socket()?;
    let ledger = usage.ledger().clone();
    let cut = tail.cut.clone();
    let hooks = Hooks {
        keep: Some(Box::new(move |bytes| ledger.keep(bytes))),
        why: Some(Box::new(move || cut.get().map(|fault| Outcome::from(fault.kind)))),
    };
    let (port, wire) = pair(&usage.quotas.socket, hooks);
    let socket = Socket {
        port: RefCell::new(port),
        received: RefCell::default(),
        tail: tail.clone(),
        event,
        _slot: slot,
    };
    Ok((socket, wire))
}

impl Socket {
    /// Waits for the next message or the end, and stores it. Returns its kind.
    pub(super) async fn next(&self) -> u32 {
        let received = poll_fn(|cx| self.port.borrow_mut().poll_receive(cx)).await;
        let kind = match &received {
            Some(Incoming::Message(Message::Text(_))) => NEXT_TEXT,
            Some(Incoming::Message(Message::Binary(_))) => NEXT_BINARY,
            Some(Incoming::Closed(_)) => NEXT_CLOSED,
            None => NEXT_ENDED,
        };
        *self.received.borrow_mut() = received;
        kind
    }

    pub(super) fn take_message(&self) -> Option<Message> {
        match self.received.borrow_mut().take() {
            Some(Incoming::Message(message)) => Some(message),
            _ => None,
        }
    }

    pub(super) fn take_closed(&self) -> Option<Closed> {
        match self.received.borrow_mut().take() {
            Some(Incoming::Closed(closed)) => Some(closed),
            _ => None,
        }
    }

    pub(super) fn send(&self, message: Message) -> Result<usize, SendError> {
        self.port.borrow().send(message)
    }

    pub(super) fn close(&self, close: Close) {
        self.port.borrow_mut().close(close);
    }

    pub(super) fn unsent_bytes(&self) -> usize {
        self.port.borrow().unsent_bytes()
    }

    /// Returns a handle that is canceled at the end of the socket's event.
    pub(super) fn ended(&self) -> Rc<CancelHandle> {
        self.tail.ended.clone()
    }

    pub(super) fn event(&self) -> Option<EventKey> {
        self.event
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A client's socket ends with its event, which is no failure. For a server's unclosed socket, it is one.
        if self.event.is_none()
            && let Ok(away) = Close::of_application(Some(1001), "")
        {
            self.port.get_mut().close(away);
        }
    }
}

impl Resource for Socket {
    fn name(&self) -> Cow<'_, str> {
        "webSocket".into()
    }
}
