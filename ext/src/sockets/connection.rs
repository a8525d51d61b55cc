//! The worker's side of a connection, as a resource for its streams.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::{Buf, Bytes};
use deno_core::{AsyncRefCell, AsyncResult, BufView, CancelFuture, CancelHandle, RcRef, Resource, WriteOutcome};
use deno_error::JsErrorBox;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::{ConnectError, Failed};
use super::slots::Slot;
use super::tls::{Client, Handshaken};
use super::transport::{CHUNK_BYTES, Command, Ending, StartTls, WorkerPorts, received};
use crate::event::{EndsWithEvent, EventEnded, EventKey};

/// An open connection. Dropping it ends the connection.
pub(super) struct Connection {
    commands: mpsc::Sender<Command>,
    received: AsyncRefCell<Received>,
    ending: watch::Receiver<Ending>,
    /// Canceled when the resource is closed.
    closed: Rc<CancelHandle>,
    /// True once the event has ended.
    event_ended: Cell<bool>,
    event: EventKey,
    /// Ends the connection when it is dropped.
    guard: RefCell<Option<DropGuard>>,
    released: CancellationToken,
    slot: Rc<Slot>,
}

struct Received {
    chunks: mpsc::Receiver<Bytes>,
    /// The rest of a chunk.
    rest: Bytes,
    is_over: bool,
}

impl Connection {
    pub(super) fn new(ports: WorkerPorts, slot: Rc<Slot>, event: EventKey) -> Self {
        let received = Received {
            chunks: ports.received,
            rest: Bytes::new(),
            is_over: false,
        };
        Self {
            commands: ports.commands,
            received: AsyncRefCell::new(received),
            ending: ports.ending,
            closed: CancelHandle::new_rc(),
            event_ended: Cell::new(false),
            event,
            guard: RefCell::new(Some(ports.released.clone().drop_guard())),
            released: ports.released,
            slot,
        }
    }

    pub(super) fn event(&self) -> EventKey {
        self.event
    }

    /// Waits for the end of the connection.
    pub(super) async fn ended(&self) -> Result<(), ConnectError> {
        let mut ending = self.ending.clone();
        let ended = ending.wait_for(Option::is_some).await;
        let ended = ended.map(|ended| ended.clone().unwrap_or(Ok(())));
        if self.event_ended.get() {
            return Err(EventEnded.into());
        }
        Ok(ended.unwrap_or(Err(Failed::Lost))?)
    }

    /// Starts TLS. The returned connection replaces this one.
    pub(super) async fn start_tls(
        &self,
        name: ServerName<'static>,
        client: Client,
    ) -> Result<(Self, Handshaken), ConnectError> {
        let (sender, receiver) = received();
        let (done, started) = oneshot::channel();
        let start = StartTls {
            name,
            client,
            received: sender,
            done,
        };
        let guard = self.guard.borrow_mut().take().ok_or(ConnectError::Closed)?;
        self.command(Command::StartTls(Box::new(start))).await?;
        let handshaken = self.answered(started).await?;
        let ports = WorkerPorts {
            commands: self.commands.clone(),
            received: receiver,
            ending: self.ending.clone(),
            released: self.released.clone(),
        };
        guard.disarm();
        Ok((Self::new(ports, self.slot.clone(), self.event), handshaken))
    }

    /// Sends a command to the task once there is room.
    async fn command(&self, command: Command) -> Result<(), ConnectError> {
        match self.commands.send(command).or_cancel(self.closed.clone()).await {
            Ok(Ok(())) => Ok(()),
            // The task has ended.
            Ok(Err(_)) => Err(self.ended().await.err().unwrap_or(ConnectError::Closed)),
            Err(_) => Err(self.why_closed()),
        }
    }

    fn why_closed(&self) -> ConnectError {
        match self.event_ended.get() {
            true => EventEnded.into(),
            false => ConnectError::Closed,
        }
    }

    async fn read(self: Rc<Self>, limit: usize) -> Result<BufView, ConnectError> {
        let mut received = RcRef::map(&self, |connection| &connection.received).borrow_mut().await;
        while received.rest.is_empty() && !received.is_over {
            match received.chunks.recv().or_cancel(self.closed.clone()).await {
                Err(_) => return Err(self.why_closed()),
                Ok(Some(chunk)) => {
                    received.is_over = chunk.is_empty();
                    received.rest = chunk;
                }
                Ok(None) => {
                    received.is_over = true;
                    self.ended().await?;
                }
            }
        }
        let length = received.rest.len().min(limit);
        Ok(BufView::from(received.rest.copy_to_bytes(length)))
    }

    async fn write(&self, view: BufView) -> Result<WriteOutcome, ConnectError> {
        if view.is_empty() {
            return Ok(WriteOutcome::Full { nwritten: 0 });
        }
        let nwritten = view.len().min(CHUNK_BYTES);
        let chunk = Bytes::copy_from_slice(&view[..nwritten]);
        // Waits until the bytes are sent: the script may end its event, and so the connection, as soon as a write resolves.
        let (done, sent) = oneshot::channel();
        self.command(Command::Send(chunk, done)).await?;
        self.answered(sent).await?;
        Ok(WriteOutcome::Partial { nwritten, view })
    }

    async fn shutdown(&self) -> Result<(), ConnectError> {
        let (done, written) = oneshot::channel();
        self.command(Command::Shutdown(done)).await?;
        self.answered(written).await
    }

    /// Waits until the task has completed the request.
    async fn answered<T>(&self, done: oneshot::Receiver<T>) -> Result<T, ConnectError> {
        match done.or_cancel(self.closed.clone()).await {
            Ok(Ok(answer)) => Ok(answer),
            // The task has ended without it.
            Ok(Err(_)) => Err(self.ended().await.err().unwrap_or(ConnectError::Closed)),
            Err(_) => Err(self.why_closed()),
        }
    }

    fn release(&self) {
        self.closed.cancel();
        drop(self.guard.borrow_mut().take());
    }
}

impl Resource for Connection {
    fn name(&self) -> Cow<'_, str> {
        "tcpConnection".into()
    }

    fn read(self: Rc<Self>, limit: usize) -> AsyncResult<BufView> {
        Box::pin(async move { Self::read(self, limit).await.map_err(JsErrorBox::from_err) })
    }

    fn write(self: Rc<Self>, view: BufView) -> AsyncResult<WriteOutcome> {
        Box::pin(async move { Self::write(&self, view).await.map_err(JsErrorBox::from_err) })
    }

    fn shutdown(self: Rc<Self>) -> AsyncResult<()> {
        Box::pin(async move { Self::shutdown(&self).await.map_err(JsErrorBox::from_err) })
    }

    fn close(self: Rc<Self>) {
        self.release();
    }
}

impl EndsWithEvent for Connection {
    fn event_ended(self: Rc<Self>) {
        self.event_ended.set(true);
        self.release();
    }
}
