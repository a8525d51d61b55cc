//! A module's end of the channel, for its tasks and handlers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::buffer::Buffer;
use crate::error::Error;
use crate::payload::Payload;
use crate::protocol::{Cause, Limits, Parts, ResultRef, ToHost};
use crate::room::Room;
use crate::shared::Loan;

/// An answer of the host: its payload, or the reason why there is none.
pub(crate) type Reply = Result<Payload, String>;

/// A frame on its way to the socket.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) parts: Parts,
    /// The slot with its body, to be sent when the frame is written.
    pub(crate) loan: Option<Loan>,
}

/// The connection to the host. Frames are written in order, and a full queue makes the sender wait.
#[derive(Debug)]
pub(crate) struct Link {
    out: mpsc::Sender<Outgoing>,
    /// Set by the welcome, before any task runs.
    pub(crate) limits: OnceLock<Limits>,
    /// Opened with the limits, if the host shares memory.
    pub(crate) room: Room,
    replies: Mutex<Option<HashMap<u64, oneshot::Sender<Reply>>>>,
    next: AtomicU64,
}

impl Link {
    pub(crate) fn new(out: mpsc::Sender<Outgoing>) -> Self {
        Self {
            out,
            limits: OnceLock::new(),
            room: Room::default(),
            replies: Mutex::new(Some(HashMap::new())),
            next: AtomicU64::new(1),
        }
    }

    pub(crate) async fn send(&self, message: &ToHost, body: &Payload) -> Result<(), Error> {
        let parts = self.parts(message, body)?;
        self.send_parts(parts).await
    }

    /// Converts a frame, so that its size is known before it is queued.
    pub(crate) fn parts(&self, message: &ToHost, body: &Payload) -> Result<Parts, Error> {
        Ok(Parts::new(message, body, &self.limits())?)
    }

    pub(crate) async fn send_parts(&self, parts: Parts) -> Result<(), Error> {
        // Copied here, on a thread of tasks.
        let body = parts.body();
        let loan = self.room.slot(body.len(), |end| end.loan(body), || self.ask_for_room());
        let loan = loan.await;
        self.send_outgoing(Outgoing { parts, loan }).await
    }

    async fn ask_for_room(&self) -> bool {
        let Ok(parts) = self.parts(&ToHost::Full {}, &Payload::Empty) else {
            return false;
        };
        self.send_outgoing(Outgoing { parts, loan: None }).await.is_ok()
    }

    pub(crate) async fn send_outgoing(&self, outgoing: Outgoing) -> Result<(), Error> {
        self.out.send(outgoing).await.map_err(|_| Error::Closed)
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits.get().copied().unwrap_or_default()
    }

    /// Creates a buffer, in shared memory if possible.
    pub(crate) async fn buffer(&self, length: usize) -> Buffer {
        let slot = self.room.slot(length, |end| end.slot(length), || self.ask_for_room());
        Buffer::new(length, slot.await)
    }

    pub(crate) async fn publish(&self, topic: &str, body: &Payload, cause: Option<Cause>) -> Result<(), Error> {
        let message = |request| ToHost::Publish {
            request,
            topic: topic.to_owned(),
            cause,
        };
        self.ask(message, body).await.map(drop)
    }

    pub(crate) async fn read(&self, result: &ResultRef) -> Result<Payload, Error> {
        let message = |request| ToHost::Read {
            request,
            result: result.clone(),
        };
        self.ask(message, &Payload::Empty).await
    }

    async fn ask(&self, message: impl FnOnce(u64) -> ToHost, body: &Payload) -> Result<Payload, Error> {
        let request = self.next.fetch_add(1, Ordering::Relaxed);
        let (reply, replied) = oneshot::channel();
        self.lock().as_mut().ok_or(Error::Closed)?.insert(request, reply);
        // Removed if this future is dropped, or if the request cannot be sent.
        let _pending = PendingRequest { link: self, request };
        self.send(&message(request), body).await?;
        let reply = replied.await.map_err(|_| Error::Closed)?;
        reply.map_err(Error::Host)
    }

    /// Passes on an answer, or drops it if nothing waits for it.
    pub(crate) fn answer(&self, request: u64, reply: Reply) {
        let waits = self.lock().as_mut().and_then(|replies| replies.remove(&request));
        if let Some(waits) = waits {
            // The receiver may have been dropped.
            let _ = waits.send(reply);
        }
    }

    /// Ends all requests without answers.
    pub(crate) fn close(&self) {
        drop(self.lock().take());
        self.room.close();
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<u64, oneshot::Sender<Reply>>>> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct PendingRequest<'a> {
    link: &'a Link,
    request: u64,
}

impl Drop for PendingRequest<'_> {
    fn drop(&mut self) {
        if let Some(replies) = self.link.lock().as_mut() {
            replies.remove(&self.request);
        }
    }
}
