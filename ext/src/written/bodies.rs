//! Bodies in written form.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::frame::{FrameError, INLINE_BYTES_MAX, WrittenBody};
use crate::event::{Body, BodyError};

/// The bodies that go with a frame, by number.
#[derive(Default)]
pub(super) struct Sent(pub(super) Vec<Body>);

impl Sent {
    /// The written form of a body.
    pub(super) fn add(&mut self, body: Body) -> WrittenBody {
        if body.is_end_stream() {
            return WrittenBody::Empty;
        }
        if let Some(bytes) = body.as_bytes().filter(|bytes| bytes.len() <= INLINE_BYTES_MAX) {
            return WrittenBody::Whole(bytes.to_vec());
        }
        let length = body.size_hint().exact();
        self.0.push(body);
        #[expect(clippy::cast_possible_truncation, reason = "there are as many as arguments")]
        let number = (self.0.len() - 1) as u32;
        WrittenBody::Stream { number, length }
    }
}

/// Restores a body. `stream` returns the transport's body by number, once for each.
pub(super) fn body_of(written: WrittenBody, stream: &mut dyn FnMut(u32) -> Option<Body>) -> Result<Body, FrameError> {
    match written {
        WrittenBody::Empty => Ok(Body::empty()),
        WrittenBody::Whole(bytes) => Ok(bytes.into()),
        WrittenBody::Stream { number, length } => {
            let body = stream(number).ok_or_else(|| FrameError::invalid("body", number))?;
            Ok(match length {
                None => body,
                Some(left) => Body::new(Sized { body, left }),
            })
        }
    }
}

/// A body whose length was announced.
struct Sized {
    body: Body,
    left: u64,
}

impl HttpBody for Sized {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let other_length = || Poll::Ready(Some(Err(BodyError::new("the stream is not as long as was announced"))));
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                match self.left.checked_sub(length) {
                    Some(left) => self.left = left,
                    None => return other_length(),
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) if self.left > 0 => other_length(),
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
