//! Content between the service and a script.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::StreamExt as _;
use http_body::{Body as HttpBody, Frame, SizeHint};
use object_store::GetResult;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::event::{Body, BodyError};
use crate::storage::ReadRoom;

/// Number of chunks that are read ahead of a script.
const AHEAD: usize = 2;

/// Content that a task of the runtime reads, with backpressure.
struct Received {
    chunks: mpsc::Receiver<Result<Bytes, BodyError>>,
    left: u64,
    _transfer: OwnedSemaphorePermit,
}

/// Returns the content of a service's answer with this length.
pub(super) fn received(
    runtime: &Handle,
    answer: GetResult,
    length: u64,
    room: ReadRoom,
    transfer: OwnedSemaphorePermit,
) -> Body {
    let (sender, chunks) = mpsc::channel(AHEAD);
    runtime.spawn(async move {
        let mut stream = answer.into_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(BodyError::new).and_then(|chunk| {
                let reserved = room.reserve(chunk.len()).map_err(BodyError::new)?;
                Ok(reserved.keep(chunk))
            });
            let is_last = chunk.is_err();
            if sender.send(chunk).await.is_err() || is_last {
                return;
            }
        }
    });
    Body::new(Received {
        chunks,
        left: length,
        _transfer: transfer,
    })
}

impl HttpBody for Received {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let chunk = match self.chunks.poll_recv(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(chunk) => chunk,
        };
        let chunk = chunk.unwrap_or_else(|| Err(BodyError::new("the object ended before its end")));
        let chunk = chunk.and_then(|chunk| match self.left.checked_sub(chunk.len() as u64) {
            Some(left) => {
                self.left = left;
                Ok(Frame::data(chunk))
            }
            None => Err(BodyError::new("the object is longer than it was said to be")),
        });
        Poll::Ready(Some(chunk))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
