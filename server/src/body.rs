//! Bodies of requests and responses.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};

/// Any error, as used by bodies.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request or response in a server: empty, bytes in memory, or a stream with backpressure. Chunks are not
/// copied, and only a stream is allocated. The pool's counterpart is `isopod::Body`.
///
/// If a response body fails with a [`Failure`](crate::Failure), its outcome is recorded.
///
/// ```
/// # mod isopod { pub mod server { pub use isopod_server::ServerBody; } }
/// use isopod::server::ServerBody;
///
/// assert_eq!(ServerBody::from("hello").into_bytes().expect("in memory"), "hello");
/// assert!(ServerBody::empty().into_bytes().expect("in memory").is_empty());
/// ```
#[derive(Default)]
pub struct ServerBody(Inner);

#[derive(Default)]
enum Inner {
    #[default]
    Empty,
    Whole(Bytes),
    Stream(UnsyncBoxBody<Bytes, BoxError>),
}

impl ServerBody {
    /// Creates an empty body.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Inner::Empty)
    }

    /// Wraps any HTTP body.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Self::empty();
        }
        Self(Inner::Stream(body.map_err(Into::into).boxed_unsync()))
    }

    /// Returns the bytes, if they are all in memory.
    ///
    /// # Errors
    /// Returns the body if it is a stream.
    pub fn into_bytes(self) -> Result<Bytes, Self> {
        match self.0 {
            Inner::Empty => Ok(Bytes::new()),
            Inner::Whole(bytes) => Ok(bytes),
            Inner::Stream(_) => Err(self),
        }
    }
}

impl From<Bytes> for ServerBody {
    fn from(bytes: Bytes) -> Self {
        match bytes.is_empty() {
            true => Self::empty(),
            false => Self(Inner::Whole(bytes)),
        }
    }
}

impl From<String> for ServerBody {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for ServerBody {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl fmt::Debug for ServerBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Empty => f.write_str("ServerBody::Empty"),
            Inner::Whole(bytes) => write!(f, "ServerBody::Whole({} bytes)", bytes.len()),
            Inner::Stream(_) => f.write_str("ServerBody::Stream"),
        }
    }
}

impl HttpBody for ServerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Inner::Empty => Poll::Ready(None),
            Inner::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Inner::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Inner::Stream(stream) => Pin::new(stream).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Empty => true,
            Inner::Whole(_) => false,
            Inner::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Stream(stream) => stream.size_hint(),
        }
    }
}
