//! A script's stream on its way out: the body that its reader polls, and the task that moves chunks into it.
//!
//! The end of a body is sent explicitly. A channel that closes without it was cut off: the event was ended, its worker was
//! dropped, or the stream failed. Treating that as the end would make a truncated body look complete.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use deno_core::error::ResourceError;
use deno_core::{CancelFuture, OpState, Resource, ResourceId};
use deno_error::JsErrorBox;
use http_body::{Frame, SizeHint};
use tokio::sync::{mpsc, oneshot};

use super::events;
use crate::event::CpuExceeded;
use crate::event::{Body, BoxError, EventKey, Fault, FaultKind, Tail};
use crate::ledger::MemoryLedger;
use crate::quotas::Usage;

/// The reason why a stream could not be sent.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[non_exhaustive]
pub enum StreamError {
    /// The event ended before.
    #[class(type)]
    #[error("the request this belongs to has ended: read its body before the handler returns, or in ctx.waitUntil")]
    Ended,
    /// Its reader waits for a value.
    #[class(type)]
    #[error("cannot return the value to the caller: {0}")]
    Value(String),
    /// It failed after its head had been sent.
    #[class(type)]
    #[error("{0}")]
    CutOff(String),
    /// Its resource is closed.
    #[class(inherit)]
    #[error(transparent)]
    Resource(#[from] ResourceError),
}

/// Chunks of a stream that may wait for its reader. With chunks of at most [`CHUNK_BYTES`], what a slow client holds of a
/// worker's memory is bounded by their product.
const CHUNKS_WAITING_MAX: usize = 4;

/// The largest chunk taken from a stream at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A message to the reader.
enum Piece {
    Chunk(Bytes),
    End,
}

/// A stream to be moved to its reader.
pub(crate) struct Outgoing {
    resource: Rc<dyn Resource>,
    sender: mpsc::Sender<Piece>,
    /// Its length in bytes, if known.
    length: Option<u64>,
    tail: Rc<Tail>,
    /// Resolves when the reader begins, if nothing is to be read from the stream before.
    wanted: Option<oneshot::Receiver<()>>,
}

impl Outgoing {
    /// Creates a stream, and the body for its reader. It is read ahead of its reader.
    pub(crate) fn new(resource: Rc<dyn Resource>) -> (Self, Body) {
        let (outgoing, chunks) = Self::with(resource);
        (outgoing, Body::new(chunks))
    }

    /// Creates a stream from which nothing is read before its reader begins, so that a client is not asked for a request's body in
    /// vain.
    pub(crate) fn on_demand(resource: Rc<dyn Resource>) -> (Self, Body) {
        let (mut outgoing, mut chunks) = Self::with(resource);
        let (begin, wanted) = oneshot::channel();
        chunks.begin = Some(begin);
        outgoing.wanted = Some(wanted);
        (outgoing, Body::new(chunks))
    }

    fn with(resource: Rc<dyn Resource>) -> (Self, Chunks) {
        let (sender, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
        let (least, most) = resource.size_hint();
        let length = most.filter(|most| *most == least);
        let tail = Rc::new(Tail::default());
        let chunks = Chunks {
            receiver,
            remaining: length,
            cut: tail.cut.clone(),
            ended: false,
            begin: None,
        };
        let outgoing = Self {
            resource,
            sender,
            length,
            tail,
            wanted: None,
        };
        (outgoing, chunks)
    }

    pub(crate) fn tail(&self) -> &Rc<Tail> {
        &self.tail
    }

    /// Moves the stream to its reader in a task of the event loop, which ends with the reader, the event or the event loop. The
    /// reader gets an error at the position where the stream broke off.
    pub(crate) fn spawn(self, usage: &Usage) {
        let (ledger, idle) = (usage.ledger().clone(), usage.quotas.stream_idle);
        drop(deno_core::unsync::spawn(async move {
            drop(self.pump(&ledger, idle).await);
        }));
    }

    /// Moves the stream to its reader. `Ok(false)`: the reader left.
    pub(crate) async fn pump(mut self, ledger: &MemoryLedger, idle: Duration) -> Result<bool, Fault> {
        let ended = self.tail.ended.clone();
        let wanted = self.wanted.take();
        let moves = async {
            if let Some(wanted) = wanted
                && wanted.await.is_err()
            {
                return Ok(false);
            }
            self.moves(ledger, idle).await
        };
        let moved = moves.or_cancel(ended).await;
        let moved = moved.unwrap_or_else(|_| Err(Fault::new(FaultKind::Canceled, "the event ended before its stream")));
        if let Err(fault) = &moved {
            self.tail.fail(fault.clone());
        }
        self.resource.close();
        // Dropping the sender tells the reader that the body was cut off, and why.
        moved.map_err(|fault| self.tail.cut.get().cloned().unwrap_or(fault))
    }

    async fn moves(&self, ledger: &MemoryLedger, idle: Duration) -> Result<bool, Fault> {
        let mut left = self.length;
        loop {
            // The reader stops at the announced length.
            if left == Some(0) {
                return Ok(true);
            }
            let Ok(permit) = self.sender.reserve().await else {
                return Ok(false);
            };
            let read = tokio::select! {
                biased;
                read = self.resource.clone().read(CHUNK_BYTES) => read,
                () = self.sender.closed() => return Ok(false),
                () = tokio::time::sleep(idle) => return Err(gave_nothing(idle)),
            };
            let chunk = read.map_err(|error| failed(&error))?;
            let length = chunk.len() as u64;
            match left {
                None if chunk.is_empty() => {
                    permit.send(Piece::End);
                    return Ok(true);
                }
                Some(left) if chunk.is_empty() || length > left => return Err(wrong_length(self.length)),
                _ => {}
            }
            left = left.map(|left| left - length);
            permit.send(Piece::Chunk(ledger.keep(Bytes::copy_from_slice(&chunk))));
        }
    }
}

fn failed(error: &JsErrorBox) -> Fault {
    let inner = error.get_inner_ref();
    let kind = match inner.is_some_and(|inner| inner.downcast_ref::<CpuExceeded>().is_some()) {
        true => FaultKind::ExceededCpu,
        false => FaultKind::Exception,
    };
    Fault::new(kind, error.to_string())
}

fn gave_nothing(idle: Duration) -> Fault {
    let message = format!("the stream produced no data for {idle:?} while its reader waited (`limits.stream_idle`)");
    Fault::new(FaultKind::ExceededWall, message)
}

fn wrong_length(announced: Option<u64>) -> Fault {
    let announced = announced.unwrap_or_default();
    let message = format!("the stream does not have its announced length of {announced} bytes");
    Fault::new(FaultKind::Exception, message)
}

/// Moves a stream to its reader, and closes it. `key`: the event that it belongs to.
pub(crate) async fn stay<E: From<StreamError>>(
    state: Rc<RefCell<OpState>>,
    rid: ResourceId,
    key: Option<EventKey>,
    begun: Result<Outgoing, E>,
) -> Result<bool, E> {
    let outgoing = begun?;
    let (ledger, idle) = {
        let usage = Usage::of(&state.borrow());
        (usage.ledger().clone(), usage.quotas.stream_idle)
    };
    let moved = outgoing.pump(&ledger, idle).await;
    // It has been closed.
    drop(state.borrow_mut().resource_table.take_any(rid));
    moved.map_err(|fault| {
        let message = fault.message.clone();
        if let Some(key) = key {
            events(&state.borrow()).borrow_mut().fail(key, fault);
        }
        StreamError::CutOff(message).into()
    })
}

/// The chunks of a stream, as an HTTP body. Dropping it tells the script's side that the reader has left.
struct Chunks {
    receiver: mpsc::Receiver<Piece>,
    /// Remaining bytes, if the stream's length is known.
    remaining: Option<u64>,
    cut: Arc<OnceLock<Fault>>,
    ended: bool,
    /// Tells the script's side that the reader begins, once.
    begin: Option<oneshot::Sender<()>>,
}

impl Chunks {
    /// The sender was dropped without an explicit end.
    fn cut_off(&mut self) -> Option<Result<Frame<Bytes>, BoxError>> {
        if std::mem::replace(&mut self.ended, true) || self.remaining == Some(0) {
            return None;
        }
        let why = self.cut.get().cloned();
        let why = why.unwrap_or_else(|| Fault::new(FaultKind::WorkerLost, "the worker was ended before its stream"));
        Some(Err(why.into()))
    }
}

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(begin) = self.begin.take() {
            // A side that is gone closes the channel.
            let _ = begin.send(());
        }
        self.receiver.poll_recv(cx).map(|piece| match piece {
            Some(Piece::Chunk(chunk)) => {
                if let Some(remaining) = &mut self.remaining {
                    *remaining = remaining.saturating_sub(chunk.len() as u64);
                }
                Some(Ok(Frame::data(chunk)))
            }
            Some(Piece::End) => {
                self.ended = true;
                None
            }
            None => self.cut_off(),
        })
    }

    /// A server that has sent the announced length does not poll again: the body has ended, and the client has not left.
    fn is_end_stream(&self) -> bool {
        self.ended || self.remaining == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn chunks(length: Option<u64>) -> (mpsc::Sender<Piece>, Arc<OnceLock<Fault>>, Chunks) {
        let (sender, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
        let cut = Arc::new(OnceLock::new());
        let chunks = Chunks {
            receiver,
            remaining: length,
            cut: cut.clone(),
            ended: false,
            begin: None,
        };
        (sender, cut, chunks)
    }

    fn chunk(text: &'static str) -> Piece {
        Piece::Chunk(Bytes::from_static(text.as_bytes()))
    }

    #[tokio::test]
    async fn a_body_needs_an_explicit_end() {
        let (sender, _, body) = chunks(None);
        sender.try_send(chunk("ab")).ok();
        sender.try_send(Piece::End).ok();
        drop(sender);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "ab");

        let (sender, cut, body) = chunks(None);
        sender.try_send(chunk("ab")).ok();
        cut.set(Fault::new(FaultKind::ExceededCpu, "too much")).ok();
        drop(sender);
        let error = body.collect().await.unwrap_err();
        assert_eq!(error.downcast_ref::<Fault>().unwrap().kind, FaultKind::ExceededCpu);
    }

    #[tokio::test]
    async fn a_body_ends_at_its_announced_length() {
        let (sender, _, body) = chunks(Some(2));
        sender.try_send(chunk("ab")).ok();
        drop(sender);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "ab");

        let (sender, _, body) = chunks(Some(3));
        sender.try_send(chunk("ab")).ok();
        drop(sender);
        let error = body.collect().await.unwrap_err();
        assert_eq!(error.downcast_ref::<Fault>().unwrap().kind, FaultKind::WorkerLost);
    }
}
