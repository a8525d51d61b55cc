//! Bodies between a pool and its cells. The owner's side offers a body, and the reader's side requests it: the body is the
//! response. Flow control is that of HTTP/2, and a reader that leaves resets the stream, or refuses a body that it has not
//! requested.

use std::fmt::{self, Write as _};
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::{Body as HttpBody, Frame as BodyFrame, SizeHint};
use isopod_runtime::handlers::{Body, BodyError};
use isopod_runtime::remote::Held;
use isopod_runtime::written::{Frame, WrittenCut};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::offers::Offers;
use super::wire::{BODIES_MAX, write};

/// The trailer with the reason why a body was cut off: a frame in hexadecimal.
const CUT: &str = "cut";

/// Maximum size of that frame. Longer reasons are not sent.
const CUT_BYTES_MAX: usize = 64 << 10;

/// Sends an offered body to its reader, or drops it if the request is to refuse it.
pub(super) async fn serve(offers: &Offers, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let body = offers.take(request.uri().path());
    if request.method() == Method::DELETE {
        // Notifies its writer.
        drop(body);
        drop(respond.send_response(Response::new(()), true));
        return;
    }
    let Some(mut body) = body else {
        respond.send_reset(Reason::REFUSED_STREAM);
        return;
    };
    let Ok(mut to) = respond.send_response(Response::new(()), false) else {
        return;
    };
    loop {
        let frame = poll_fn(|cx| {
            // The reader has left. Dropping the body notifies its writer.
            if to.poll_reset(cx).is_ready() {
                return Poll::Ready(None);
            }
            Pin::new(&mut body).poll_frame(cx).map(Some)
        });
        match frame.await {
            None => return,
            Some(Some(Ok(frame))) => {
                // Trailers are dropped, because scripts cannot read them.
                if let Ok(data) = frame.into_data()
                    && write(&mut to, data).await.is_err()
                {
                    return;
                }
            }
            Some(Some(Err(error))) => return drop(to.send_trailers(trailers(error.into()))),
            Some(None) => return drop(to.send_data(Bytes::new(), true)),
        }
    }
}

fn trailers(cut: WrittenCut) -> HeaderMap {
    let frame = Frame::Cut(cut)
        .encode()
        .ok()
        .filter(|frame| frame.len() <= CUT_BYTES_MAX);
    let mut digits = String::new();
    for byte in frame.unwrap_or_default() {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
    }
    let value = HeaderValue::from_str(&digits).unwrap_or_else(|_| HeaderValue::from_static(""));
    HeaderMap::from_iter([(http::HeaderName::from_static(CUT), value)])
}

/// Parses the reason in a trailer, which may be any bytes.
fn cut(trailers: &HeaderMap) -> Option<BodyError> {
    let value = trailers.get(CUT)?.as_bytes();
    let digits = value.chunks_exact(2).map(|pair| {
        let text = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16).ok()
    });
    let frame: Option<Vec<u8>> = digits.collect();
    Some(match frame.map(|frame| Frame::decode(&frame)) {
        Some(Ok(Frame::Cut(cut))) => cut.into(),
        _ => BodyError::new("the stream was cut off"),
    })
}

/// Returns the lengths of bodies, as far as they are known.
pub(super) fn lengths(bodies: &[Body]) -> Vec<Option<u64>> {
    bodies.iter().map(|body| body.size_hint().exact()).collect()
}

/// The other side of a connection, and the runtime that waits for its responses.
#[derive(Clone)]
pub(super) struct OtherSide {
    pub(super) requests: SendRequest<Bytes>,
    pub(super) handle: Handle,
}

impl OtherSide {
    /// Sends a request without a body.
    ///
    /// # Errors
    /// The connection has ended.
    fn send(&self, request: Request<()>) -> Result<ResponseFuture, h2::Error> {
        let (response, _) = self.requests.clone().send_request(request, true)?;
        Ok(response)
    }

    /// Sends a request whose response has no content. A side that is gone need not be notified.
    pub(super) fn notify(&self, request: Request<()>) {
        if let Ok(response) = self.send(request) {
            // Dropping the response would reset the stream.
            self.handle.spawn(async move { drop(response.await) });
        }
    }
}

/// When a body is requested.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// Before it is read, so that its first bytes arrive earlier: the body of a response, which has begun anyway.
    Now,
    /// When it is first read: the body of a request, whose client might otherwise be asked to send it in vain.
    Read,
}

/// Returns the bodies of a call or a response.
pub(super) fn pull_all(
    from: &OtherSide,
    event: u64,
    lengths: Vec<Option<u64>>,
    room: Vec<Held>,
    when: When,
) -> impl Iterator<Item = (Body, oneshot::Receiver<()>)> {
    let numbered = (0..).zip(lengths.into_iter().take(BODIES_MAX).zip(room));
    numbered.map(move |(number, (length, held))| pull_sized(from, Path { event, number }, length, held, when))
}

/// Returns a body of the other side. The receiver resolves when the body was read to its end or dropped.
pub(super) fn pull(from: &OtherSide, event: u64, number: u32, when: When) -> (Body, oneshot::Receiver<()>) {
    pull_sized(from, Path { event, number }, None, Held::default(), when)
}

fn pull_sized(
    from: &OtherSide,
    path: Path,
    length: Option<u64>,
    held: Held,
    when: When,
) -> (Body, oneshot::Receiver<()>) {
    let (open, closed) = oneshot::channel();
    let pulled = Pulled {
        state: match when {
            When::Now => State::Requested(path.pull(from)),
            When::Read => State::Offered(from.clone(), path),
        },
        left: length,
        _open: open,
        _held: held,
    };
    (Body::new(pulled), closed)
}

/// The address of an offered body.
#[derive(Clone, Copy)]
struct Path {
    event: u64,
    number: u32,
}

impl Path {
    /// Returns the request for the body, or the one that refuses it.
    fn request(self, method: Method) -> http::Result<Request<()>> {
        let uri = format!("http://cell/body/{}/{}", self.event, self.number);
        Request::builder().method(method).uri(uri).body(())
    }

    /// Requests the body.
    ///
    /// # Errors
    /// The reason, such as a connection that has ended.
    fn pull(self, from: &OtherSide) -> Result<ResponseFuture, String> {
        let request = self.request(Method::GET).map_err(|error| error.to_string())?;
        from.send(request).map_err(|error| error.to_string())
    }
}

/// A body on the other side.
struct Pulled {
    state: State,
    /// Remaining bytes, if known.
    left: Option<u64>,
    /// Dropped with the body.
    _open: oneshot::Sender<()>,
    /// Its place among the streams that are read at a time.
    _held: Held,
}

enum State {
    /// It is requested when it is read.
    Offered(OtherSide, Path),
    /// An error is why it cannot be requested.
    Requested(Result<ResponseFuture, String>),
    Reads(RecvStream),
    Ended,
}

impl HttpBody for Pulled {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<BodyFrame<Bytes>, BodyError>>> {
        let lost = |error: &dyn fmt::Display| {
            let error = BodyError::new(format!(
                "the other process did not send the rest of the stream: {error}"
            ));
            Poll::Ready(Some(Err(error)))
        };
        loop {
            match &mut self.state {
                State::Offered(from, path) => {
                    self.state = State::Requested(path.pull(from));
                }
                State::Requested(Err(error)) => {
                    let error = std::mem::take(error);
                    self.state = State::Ended;
                    return lost(&error);
                }
                State::Requested(Ok(response)) => match ready!(Pin::new(response).poll(cx)) {
                    Ok(response) => self.state = State::Reads(response.into_body()),
                    Err(error) => {
                        self.state = State::Ended;
                        return lost(&error);
                    }
                },
                State::Reads(stream) => match ready!(stream.poll_data(cx)) {
                    Some(Ok(bytes)) => {
                        // Fails if the stream has ended meanwhile, which the next read reports.
                        let _ = stream.flow_control().release_capacity(bytes.len());
                        if let Some(left) = self.left {
                            match left.checked_sub(bytes.len() as u64) {
                                Some(left) => self.left = Some(left),
                                None => return self.other_length(),
                            }
                        }
                        if !bytes.is_empty() {
                            return Poll::Ready(Some(Ok(BodyFrame::data(bytes))));
                        }
                    }
                    Some(Err(error)) => {
                        self.state = State::Ended;
                        return lost(&error);
                    }
                    None => {
                        let trailers = ready!(stream.poll_trailers(cx));
                        self.state = State::Ended;
                        return match trailers.map(|trailers| trailers.as_ref().and_then(cut)) {
                            Ok(None) if self.left.is_some_and(|left| left > 0) => self.other_length(),
                            Ok(cut) => Poll::Ready(cut.map(Err)),
                            Err(error) => lost(&error),
                        };
                    }
                },
                State::Ended => return Poll::Ready(None),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Pulled {
    fn other_length(&mut self) -> Poll<Option<Result<BodyFrame<Bytes>, BodyError>>> {
        self.state = State::Ended;
        Poll::Ready(Some(Err(BodyError::new("the stream is not as long as was announced"))))
    }
}

impl Drop for Pulled {
    fn drop(&mut self) {
        if let State::Offered(from, path) = &self.state
            && let Ok(refusal) = path.request(Method::DELETE)
        {
            from.notify(refusal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_cut_crosses_and_any_other_trailer_is_one_without_a_reason() {
        let told = cut(&trailers(BodyError::new("too far").into())).unwrap();
        assert_eq!(told.to_string(), "too far");
        for value in ["", "0", "zz", "00ff"] {
            let trailers =
                HeaderMap::from_iter([(http::HeaderName::from_static(CUT), HeaderValue::from_static(value))]);
            assert_eq!(cut(&trailers).unwrap().to_string(), "the stream was cut off", "{value}");
        }
        assert!(cut(&HeaderMap::new()).is_none());
    }
}
