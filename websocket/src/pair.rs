//! The two ends of a connection, and the bounded channels between them.
//!
//! One slot of each channel is reserved for the close, so that it fits into a full channel.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use isopod_outcome::Outcome;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    end::Guard,
    limits::Limits,
    message::{Close, Closed, Message},
};

/// Maximum number of unsent messages, in addition to the limit on their bytes.
const MESSAGES_UNSENT_MAX: usize = 4096;

/// Callbacks of the worker's side.
#[derive(Default)]
pub struct Hooks {
    /// Charges received bytes to the worker's memory for as long as they are held.
    pub keep: Option<Box<dyn Fn(Bytes) -> Bytes + Send + Sync>>,
    /// Returns the reason why the worker's end was dropped without a close, if known.
    pub why: Option<Box<dyn Fn() -> Option<Outcome> + Send + Sync>>,
}

/// An item sent by the worker.
pub(crate) enum Sent {
    Message(Message),
    Close(Close),
}

/// An item received from the peer.
#[derive(Debug)]
pub enum Incoming {
    /// A message.
    Message(Message),
    /// The end of the connection, which is the last item.
    Closed(Closed),
}

/// A received message, with its share of the memory for waiting messages.
pub(crate) enum Received {
    Message(Message, OwnedSemaphorePermit),
    Closed(Closed),
}

/// Reason why a message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The peer does not read, and was disconnected.
    #[error("the peer reads too slowly: more than {0} bytes were unsent")]
    Full(usize),
    /// The connection is closed.
    #[error("the connection is closed")]
    Closed,
}

/// The worker's end. Dropping it without [`Port::close`] closes the connection with code 1011.
pub struct Port {
    sent: mpsc::Sender<Sent>,
    close: Option<mpsc::OwnedPermit<Sent>>,
    received: mpsc::Receiver<Received>,
    unsent: Arc<AtomicUsize>,
    drained: Arc<Notify>,
    overflow: CancellationToken,
    buffered_bytes_max: usize,
}

/// The byte stream's end, which [`Wire::run`] runs. If it is dropped without that, the worker sees a lost connection.
pub struct Wire {
    pub(crate) sent: mpsc::Receiver<Sent>,
    pub(crate) received: mpsc::Sender<Received>,
    pub(crate) closed: Option<mpsc::OwnedPermit<Received>>,
    /// Room for bytes that wait for the worker.
    pub(crate) room: Arc<Semaphore>,
    pub(crate) room_bytes: u32,
    pub(crate) unsent: Arc<AtomicUsize>,
    /// Notified when unsent bytes are sent, and when the wire is dropped.
    pub(crate) drained: Arc<Notify>,
    pub(crate) overflow: CancellationToken,
    pub(crate) limits: Limits,
    pub(crate) hooks: Hooks,
    pub(crate) guard: Option<Box<dyn Guard>>,
}

/// Creates the two ends of a connection.
#[must_use]
pub fn pair(limits: &Limits, hooks: Hooks) -> (Port, Wire) {
    let (sent, to_send) = mpsc::channel(MESSAGES_UNSENT_MAX + 1);
    let (receives, received) = mpsc::channel(limits.messages_waiting_max.clamp(1, 1 << 16) + 1);
    let (unsent, overflow) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let drained = Arc::new(Notify::new());
    let room_bytes = u32::try_from(limits.message_bytes_max.max(1)).unwrap_or(u32::MAX >> 4);
    let port = Port {
        close: sent.clone().try_reserve_owned().ok(),
        sent,
        received,
        unsent: unsent.clone(),
        drained: drained.clone(),
        overflow: overflow.clone(),
        buffered_bytes_max: limits.buffered_bytes_max,
    };
    let wire = Wire {
        sent: to_send,
        closed: receives.clone().try_reserve_owned().ok(),
        received: receives,
        room: Arc::new(Semaphore::new(room_bytes as usize)),
        room_bytes,
        unsent,
        drained,
        overflow,
        limits: limits.clone(),
        hooks,
        guard: None,
    };
    (port, wire)
}

impl Port {
    /// Sends a message. Returns the number of bytes that have not been sent yet.
    ///
    /// # Errors
    ///
    /// There is no room for the message, which disconnects the peer, or the connection is closed.
    pub fn send(&self, message: Message) -> Result<usize, SendError> {
        if self.close.is_none() {
            return Err(SendError::Closed);
        }
        let len = message.len();
        let unsent = self.unsent.fetch_add(len, Ordering::AcqRel) + len;
        if unsent <= self.buffered_bytes_max {
            match self.sent.try_send(Sent::Message(message)) {
                Ok(()) => return Ok(unsent),
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(SendError::Closed),
                Err(mpsc::error::TrySendError::Full(_)) => {}
            }
        }
        self.overflow.cancel();
        Err(SendError::Full(self.buffered_bytes_max))
    }

    /// Starts the close handshake after earlier messages. Later calls do nothing.
    pub fn close(&mut self, close: Close) {
        if let Some(permit) = self.close.take() {
            permit.send(Sent::Close(close));
        }
    }

    /// Returns the number of unsent bytes.
    #[must_use]
    pub fn unsent_bytes(&self) -> usize {
        self.unsent.load(Ordering::Acquire)
    }

    /// Waits until fewer than `bytes` are unsent and there is room for a message, or the connection is closed.
    pub(crate) async fn has_room(&self, bytes: usize) {
        loop {
            let drained = self.drained.notified();
            let has_room = self.unsent_bytes() < bytes && self.sent.capacity() > 0;
            if has_room || self.sent.is_closed() {
                return;
            }
            drained.await;
        }
    }

    /// Takes the receiver, after which [`Port::poll_receive`] returns nothing.
    pub(crate) fn take_receiver(&mut self) -> mpsc::Receiver<Received> {
        let (_, none) = mpsc::channel(1);
        std::mem::replace(&mut self.received, none)
    }

    /// Disconnects a peer that reads too slowly.
    pub(crate) fn overflow(&self) {
        self.overflow.cancel();
    }

    /// Returns the maximum number of unsent bytes.
    pub(crate) const fn buffered_bytes_max(&self) -> usize {
        self.buffered_bytes_max
    }

    /// Receives the next message, or the end. `None` after the end.
    pub fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        Poll::Ready(ready!(self.received.poll_recv(cx)).map(|received| match received {
            Received::Message(message, _room) => Incoming::Message(message),
            Received::Closed(closed) => Incoming::Closed(closed),
        }))
    }
}

impl Wire {
    /// Attaches the event behind the worker's end. See [`Guard`].
    pub fn attach(&mut self, guard: Box<dyn Guard>) {
        self.guard = Some(guard);
    }

    /// Records that bytes of a message were sent.
    pub(crate) fn has_sent(&self, bytes: usize) {
        self.unsent.fetch_sub(bytes, Ordering::AcqRel);
        self.drained.notify_one();
    }

    /// Notifies the worker of the end, once.
    pub(crate) fn tell(&mut self, closed: Closed) {
        if let Some(permit) = self.closed.take() {
            permit.send(Received::Closed(closed));
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.tell(Closed::lost(None));
        self.sent.close();
        self.drained.notify_one();
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port")
            .field("unsent_bytes", &self.unsent_bytes())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}
