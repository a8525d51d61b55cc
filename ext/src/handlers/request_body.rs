//! The body of a request as a resource that a script's stream reads from, and the body of a response as a stream that a
//! server reads from.

use std::borrow::Cow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use deno_core::{AsyncRefCell, AsyncResult, BufView, CancelFuture, CancelHandle, RcRef, Resource};
use deno_error::JsErrorBox;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::mpsc;

use super::{Body, BoxError};
use crate::unwind;

/// A request's body, read a chunk at a time: nothing is taken from the connection that the script has not asked for.
pub(crate) struct RequestBody {
    inner: AsyncRefCell<Reading>,
    cancel: Rc<CancelHandle>,
    size: (u64, Option<u64>),
}

struct Reading {
    body: Body,
    /// What was received and not yet asked for: a frame may be longer than a read.
    rest: Bytes,
}

impl RequestBody {
    pub(crate) fn new(body: Body) -> Self {
        let hint = http_body::Body::size_hint(&body);
        Self {
            size: (hint.lower(), hint.upper()),
            inner: AsyncRefCell::new(Reading {
                body,
                rest: Bytes::new(),
            }),
            cancel: CancelHandle::new_rc(),
        }
    }

    async fn read(self: Rc<Self>, limit: usize) -> Result<BufView, JsErrorBox> {
        let cancel = self.cancel.clone();
        let mut reading = RcRef::map(&self, |body| &body.inner).borrow_mut().await;
        let read = async move {
            while reading.rest.is_empty() {
                let frame = match reading.body.frame().await {
                    None => return Ok(BufView::empty()),
                    Some(Err(error)) => return Err(JsErrorBox::type_error(format!("request body: {error}"))),
                    Some(Ok(frame)) => frame,
                };
                // Trailers are not shown to scripts: the fetch standard has no place for them.
                if let Ok(data) = frame.into_data() {
                    reading.rest = data;
                }
            }
            let length = reading.rest.len().min(limit);
            let chunk = reading.rest.copy_to_bytes(length);
            Ok(BufView::from(chunk))
        };
        // The body is the host's: what it does when it is read is not ours to trust.
        let read = unwind::catch_async(read.or_cancel(cancel)).await;
        read.map_err(|panicked| JsErrorBox::generic(panicked.to_string()))?
            .unwrap_or_else(|canceled| Err(JsErrorBox::from_err(canceled)))
    }
}

impl Resource for RequestBody {
    fn name(&self) -> Cow<'_, str> {
        "requestBody".into()
    }

    fn read(self: Rc<Self>, limit: usize) -> AsyncResult<BufView> {
        Box::pin(RequestBody::read(self, limit))
    }

    fn size_hint(&self) -> (u64, Option<u64>) {
        self.size
    }

    fn close(self: Rc<Self>) {
        self.cancel.cancel();
    }
}

/// The chunks of a response, as an HTTP body. Dropping it tells the script's side that the client has left.
pub(super) struct Chunks {
    receiver: mpsc::Receiver<Result<Bytes, BoxError>>,
    /// Bytes still to come, where the stream knew its length.
    remaining: Option<u64>,
}

impl Chunks {
    pub(super) fn new(receiver: mpsc::Receiver<Result<Bytes, BoxError>>, length: Option<u64>) -> Self {
        Self {
            receiver,
            remaining: length,
        }
    }
}

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = self.receiver.poll_recv(cx);
        if let (Poll::Ready(Some(Ok(chunk))), Some(remaining)) = (&polled, &mut self.remaining) {
            *remaining = remaining.saturating_sub(chunk.len() as u64);
        }
        polled.map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }

    /// A server that has sent the length it announced asks for nothing more: this was the end, not a client that left.
    fn is_end_stream(&self) -> bool {
        self.remaining == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
