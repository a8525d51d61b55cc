//! Bodies between the event loop and the I/O runtime: bounded channels of chunks, and resources for JavaScript.
//!
//! A complete body ends with an empty chunk. A channel that closes without one was cut off, because one side is gone;
//! treating that as the end would make a truncated body look complete.

use std::borrow::Cow;
use std::cell::Cell;
use std::io;
use std::rc::Rc;

use bytes::Bytes;
use deno_core::{AsyncRefCell, AsyncResult, BufView, CancelFuture, CancelHandle, OpState, RcRef, Resource, ResourceId};
use deno_error::JsErrorBox;
use futures::{Stream, StreamExt};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::coding::Coding;
use crate::coding::decode::ByteStream;
use crate::event::{Body, CpuExceeded, EndsWithEvent, EventEnded};
use crate::unwind;

/// A chunk of a body; an empty one is its end.
pub(super) type Chunk = io::Result<Bytes>;

/// Bytes requested from a request body's resource at a time.
const READ_BYTES: usize = 64 << 10;

/// The reading end of a response body. Dropping it stops the transfer.
pub(super) struct IncomingBody {
    pub(super) chunks: Chunks,
    /// The encoded body, until its reader chooses a form.
    pub(super) encoded: Option<Encoded>,
    /// Counts as one of the worker's open bodies.
    pub(super) _open: OwnedSemaphorePermit,
}

impl IncomingBody {
    /// Returns the body as received, for another process, and its length. `length` is the length of the decoded body.
    pub(super) fn into_received(self, length: Option<u64>) -> (Body, Option<u64>) {
        let length = match self.encoded {
            Some(Encoded { length, form, .. }) => {
                // If the receiver was dropped, the first read fails.
                let _ = form.send(Form::Encoded);
                length
            }
            None => length,
        };
        let chunks = futures::stream::unfold(Some((self.chunks, self._open)), |state| async {
            let (mut chunks, open) = state?;
            match chunks.next().await {
                Some(Ok(chunk)) if chunk.is_empty() => None,
                Some(Ok(chunk)) => Some((Ok(Frame::data(chunk)), Some((chunks, open)))),
                Some(Err(error)) => Some((Err(error), None)),
                None => Some((Err(cut_off()), None)),
            }
        });
        (Body::new(StreamBody::new(chunks)), length)
    }
}

/// The source of the chunks of a response body.
pub(super) enum Chunks {
    /// A task on the I/O runtime.
    Channel(mpsc::Receiver<Chunk>),
    /// A stream that needs no runtime, and ends with the body.
    Stream(ByteStream),
}

impl Chunks {
    async fn next(&mut self) -> Option<Chunk> {
        match self {
            Self::Channel(chunks) => chunks.recv().await,
            // The stream may be an embedder's, which may panic.
            Self::Stream(stream) => match unwind::catch_async(stream.next()).await {
                Ok(chunk) => chunk.or(Some(Ok(Bytes::new()))),
                Err(panicked) => Some(Err(io::Error::other(panicked.to_string()))),
            },
        }
    }
}

/// A body that is received encoded.
pub(super) struct Encoded {
    pub(super) layers: Vec<Coding>,
    /// Its encoded length.
    pub(super) length: Option<u64>,
    pub(super) form: oneshot::Sender<Form>,
}

/// The form in which an encoded body is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Decoded,
    /// As received, to be forwarded with its `Content-Encoding`.
    Encoded,
}

/// Moves a response body into its channel, on the I/O runtime. Ends when the reader is gone, even if the server is
/// silent.
pub(super) async fn forward(mut body: ByteStream, sender: mpsc::Sender<Chunk>) {
    loop {
        let chunk = tokio::select! {
            chunk = body.next() => chunk.unwrap_or_else(|| Ok(Bytes::new())),
            () = sender.closed() => return,
        };
        let last = chunk.as_ref().map_or(true, Bytes::is_empty);
        if sender.send(chunk).await.is_err() || last {
            return;
        }
    }
}

/// The writing end of a request body.
pub(super) struct Pump {
    resource: Rc<dyn Resource>,
    sender: mpsc::Sender<Chunk>,
    wanted: oneshot::Receiver<()>,
}

/// The reading end of a request body, which is read from its source only once it is wanted: a client may have to be asked for it.
pub(super) struct Pumped {
    chunks: mpsc::Receiver<Chunk>,
    wanted: oneshot::Sender<()>,
}

impl Pump {
    /// Creates both ends of a body with at most this number of waiting chunks.
    pub(super) fn new(resource: Rc<dyn Resource>, chunks_max: usize) -> (Self, Pumped) {
        let (sender, chunks) = mpsc::channel(chunks_max);
        let (begin, wanted) = oneshot::channel();
        let pump = Self {
            resource,
            sender,
            wanted,
        };
        (pump, Pumped { chunks, wanted: begin })
    }

    /// Moves the body from its resource into its channel, on the event loop. Ends with the request.
    pub(super) async fn run(self) {
        // An error: the reader is gone.
        if self.wanted.await.is_ok() {
            pump(&self.resource, &self.sender).await;
        }
        self.resource.close();
    }
}

impl Pumped {
    pub(super) fn into_stream(self) -> impl Stream<Item = Chunk> + Send + 'static {
        let begun = async {
            // Fails if the writer is gone, which the first chunk reports.
            let _ = self.wanted.send(());
            outgoing(self.chunks)
        };
        futures::stream::once(begun).flatten()
    }
}

async fn pump(resource: &Rc<dyn Resource>, sender: &mpsc::Sender<Chunk>) {
    loop {
        let chunk = tokio::select! {
            read = resource.clone().read(READ_BYTES) => match read {
                Ok(view) => Ok(Bytes::from(view.to_vec())),
                Err(error) => Err(io::Error::other(error.to_string())),
            },
            () = sender.closed() => return,
        };
        let last = chunk.as_ref().map_or(true, Bytes::is_empty);
        if sender.send(chunk).await.is_err() || last {
            return;
        }
    }
}

/// Returns the request body for the HTTP client.
pub(super) fn outgoing(chunks: mpsc::Receiver<Chunk>) -> impl Stream<Item = Chunk> + Send + 'static {
    futures::stream::unfold(Some(chunks), |chunks| async {
        let mut chunks = chunks?;
        match chunks.recv().await {
            Some(Ok(chunk)) if chunk.is_empty() => None,
            Some(Ok(chunk)) => Some((Ok(chunk), Some(chunks))),
            Some(Err(error)) => Some((Err(error), None)),
            None => Some((Err(cut_off()), None)),
        }
    })
}

/// Returns the chunks of a body.
pub(super) fn chunks_of(body: Body) -> ByteStream {
    Box::pin(futures::stream::unfold(Some(body), |body| async move {
        let mut body = body?;
        loop {
            return match body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() => continue,
                    Ok(data) => Some((Ok(data), Some(body))),
                    // Trailers are dropped, because the fetch standard does not expose them.
                    Err(_trailers) => continue,
                },
                Some(Err(error)) => Some((Err(io::Error::other(error.to_string())), None)),
                None => None,
            };
        }
    }))
}

pub(super) fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the body was cut off before its end")
}

/// Converts an error of a body for its reader. Code that forwards the body checks for the CPU limit.
fn js_error(error: &io::Error) -> JsErrorBox {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<CpuExceeded>()) {
        Some(exceeded) => JsErrorBox::from_err(*exceeded),
        None => JsErrorBox::type_error(error.to_string()),
    }
}

/// A response body as a resource of the worker.
pub(crate) struct ResponseBody {
    reader: AsyncRefCell<Reader>,
    cancel: CancelHandle,
    /// Set when the event that requested it has ended, so that readers get an error.
    ended: Cell<bool>,
    size: Cell<Option<u64>>,
}

struct Reader {
    /// The rest of the current chunk.
    rest: Bytes,
    source: Option<IncomingBody>,
}

impl ResponseBody {
    pub(super) fn streaming(body: IncomingBody, size: Option<u64>) -> Self {
        Self::new(
            Reader {
                rest: Bytes::new(),
                source: Some(body),
            },
            size,
        )
    }

    pub(super) fn full(bytes: Bytes) -> Self {
        let size = bytes.len() as u64;
        Self::new(
            Reader {
                rest: bytes,
                source: None,
            },
            Some(size),
        )
    }

    fn new(reader: Reader, size: Option<u64>) -> Self {
        Self {
            reader: AsyncRefCell::new(reader),
            cancel: CancelHandle::default(),
            ended: Cell::new(false),
            size: Cell::new(size),
        }
    }

    /// Makes the body be read as received, if it is unread and has these layers, or `layers` is `None`.
    pub(super) fn keep_encoded(self: &Rc<Self>, layers: Option<&[Coding]>) -> bool {
        let Some(mut reader) = RcRef::map(self, |body| &body.reader).try_borrow_mut() else {
            return false;
        };
        let Some(source) = &mut reader.source else {
            return false;
        };
        let Some(Encoded { length, form, .. }) = source
            .encoded
            .take_if(|encoded| layers.is_none_or(|layers| layers == encoded.layers))
        else {
            return false;
        };
        self.size.set(length);
        // If the receiver was dropped, the next read fails.
        let _ = form.send(Form::Encoded);
        true
    }
}

impl Reader {
    async fn next(&mut self, limit: usize) -> io::Result<Bytes> {
        while self.rest.is_empty() {
            let Some(source) = &mut self.source else {
                return Ok(Bytes::new());
            };
            if let Some(Encoded { form, .. }) = source.encoded.take() {
                let _ = form.send(Form::Decoded);
            }
            match source.chunks.next().await {
                Some(Ok(chunk)) if !chunk.is_empty() => self.rest = chunk,
                end => {
                    // Releases the open body's slot now, not when the resource is collected.
                    self.source = None;
                    return end.unwrap_or_else(|| Err(cut_off()));
                }
            }
        }
        Ok(self.rest.split_to(limit.min(self.rest.len())))
    }
}

impl Resource for ResponseBody {
    fn name(&self) -> Cow<'_, str> {
        "fetchResponse".into()
    }

    fn read(self: Rc<Self>, limit: usize) -> AsyncResult<BufView> {
        Box::pin(async move {
            let mut reader = RcRef::map(&self, |body| &body.reader).borrow_mut().await;
            let cancel = RcRef::map(&self, |body| &body.cancel);
            match reader.next(limit).or_cancel(cancel).await {
                Ok(Ok(chunk)) => Ok(BufView::from(chunk)),
                Ok(Err(error)) => Err(js_error(&error)),
                Err(_) if self.ended.get() => {
                    reader.source = None;
                    Err(EventEnded.into())
                }
                Err(canceled) => Err(JsErrorBox::from_err(canceled)),
            }
        })
    }

    fn size_hint(&self) -> (u64, Option<u64>) {
        (self.size.get().unwrap_or(0), self.size.get())
    }

    fn close(self: Rc<Self>) {
        self.cancel.cancel();
    }
}

impl EndsWithEvent for ResponseBody {
    fn event_ended(self: Rc<Self>) {
        self.ended.set(true);
        self.cancel.cancel();
        // A current reader releases the transfer when it sees that.
        if let Some(mut reader) = RcRef::map(self, |body| &body.reader).try_borrow_mut() {
            reader.source = None;
        }
    }
}

/// Returns the length of a resource's content, if known.
pub(crate) fn exact_size(resource: &dyn Resource) -> Option<u64> {
    match resource.size_hint() {
        (low, Some(high)) if low == high => Some(low),
        _ => None,
    }
}

/// Makes a response body with these layers be read as received. Returns false for other resources, and if it was read from.
pub(crate) fn keep_encoded(state: &OpState, rid: ResourceId, layers: &[Coding]) -> bool {
    let body = state.resource_table.get::<ResponseBody>(rid);
    body.is_ok_and(|body| body.keep_encoded(Some(layers)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::StreamExt;
    use tokio::sync::mpsc;

    use super::{Chunk, outgoing};

    async fn sent(chunks: &[&'static str]) -> Vec<Chunk> {
        let (sender, receiver) = mpsc::channel(chunks.len());
        for chunk in chunks {
            sender.send(Ok(Bytes::from_static(chunk.as_bytes()))).await.unwrap();
        }
        drop(sender);
        outgoing(receiver).collect().await
    }

    #[tokio::test]
    async fn a_body_cut_off_by_its_sender_is_incomplete() {
        let whole = sent(&["a", "b", ""]).await;
        assert!(whole.len() == 2 && whole.iter().all(Result::is_ok), "{whole:?}");
        let half = sent(&["a", "b"]).await;
        assert!(half.len() == 3 && half[2].is_err(), "{half:?}");
    }
}
