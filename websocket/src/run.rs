//! The frames of one connection: reading, writing, timing and ending.
//!
//! One future polls both directions. A worker that does not take messages stops the reading, and TCP's flow control slows
//! the peer. For a peer that does not read, unsent bytes accumulate up to their limit.

use std::{
    future::poll_fn,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::{Sink, Stream};
use isopod_outcome::Outcome;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, Sleep},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message as Frame, error::ProtocolError, protocol::WebSocketConfig},
};
use tokio_util::sync::{PollSemaphore, PollSender, WaitForCancellationFutureOwned};

pub use tokio_tungstenite::tungstenite::protocol::Role;

use crate::{
    end::{Ending, Guard, Report},
    message::{Close, Closed, Message},
    pair::{Received, Sent, Wire},
    rate::Rate,
};

mod time;

/// Number of bytes written to the byte stream before it is flushed.
const BATCH_BYTES: usize = 64 << 10;
/// Size of the buffers that are allocated for each connection.
const BUFFER_BYTES: usize = 4 << 10;
/// Time and bytes for which a peer that violated the protocol is read, because closing a socket with unread bytes sends a
/// reset, which may overtake the close frame.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 1 << 20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The peer's close frame is answered.
    Answering,
    /// A close frame was sent, and the peer's is awaited.
    Closing,
    /// A close frame is sent to a peer that violated the protocol and is not read any more.
    Failing,
    Done,
}

impl Wire {
    /// Reads and writes frames until the connection has ended. `read` has bytes that were read from the stream before. `end`
    /// closes the connection from outside.
    ///
    /// Dropping the future drops the connection.
    pub async fn run<S>(
        mut self,
        stream: S,
        read: Bytes,
        role: Role,
        end: impl Future<Output = Ending> + Send,
    ) -> Report
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let limits = &self.limits;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(BUFFER_BYTES)
            .max_message_size(Some(limits.message_bytes_max))
            .max_frame_size(Some(limits.message_bytes_max));
        let socket = WebSocketStream::from_partially_read(stream, read.into(), role, Some(config)).await;
        let guard = self.guard.take();
        let mut run = Run::new(self, socket, guard);
        {
            let mut end = std::pin::pin!(end);
            let mut ended = false;
            poll_fn(|cx| {
                if !ended && let Poll::Ready(ending) = end.as_mut().poll(cx) {
                    ended = true;
                    run.end(ending);
                }
                run.poll(cx)
            })
            .await;
        }
        run.finish().await
    }
}

struct Run<S> {
    wire: Wire,
    socket: WebSocketStream<S>,
    guard: Option<Box<dyn Guard>>,
    /// True if the guard is still polled.
    guard_watches: bool,
    /// Ready when the worker has exceeded its room.
    overflow: Pin<Box<WaitForCancellationFutureOwned>>,
    phase: Phase,
    /// A message that was read and waits for the worker.
    held: Option<Message>,
    rate: Rate,
    /// Time before which the rate has no token.
    slowed_until: Option<Instant>,
    room: PollSemaphore,
    receiver: PollSender<Received>,
    /// Number of bytes of messages in the socket's buffer.
    in_buffer: usize,
    needs_flush: bool,
    /// Time since which the socket has accepted no data.
    stalled_since: Option<Instant>,
    received_at: Instant,
    pinged: bool,
    opened_at: Instant,
    close_by: Instant,
    /// True if the connection failed while the peer may be sending.
    failed: bool,
    timer: Pin<Box<Sleep>>,
    report: Report,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Run<S> {
    fn new(wire: Wire, socket: WebSocketStream<S>, guard: Option<Box<dyn Guard>>) -> Self {
        let now = Instant::now();
        Self {
            rate: Rate::new(wire.limits.messages_per_second, now),
            room: PollSemaphore::new(wire.room.clone()),
            receiver: PollSender::new(wire.received.clone()),
            overflow: Box::pin(wire.overflow.clone().cancelled_owned()),
            wire,
            socket,
            guard,
            guard_watches: true,
            phase: Phase::Open,
            held: None,
            slowed_until: None,
            in_buffer: 0,
            needs_flush: false,
            stalled_since: None,
            received_at: now,
            pinged: false,
            opened_at: now,
            close_by: now,
            failed: false,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            report: Report {
                outcome: Outcome::Canceled,
                code: 1006,
                bytes_received: 0,
                bytes_sent: 0,
                messages_received: 0,
                messages_sent: 0,
            },
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.guard_watches
                && let Some(guard) = &mut self.guard
                && let Poll::Ready(ending) = guard.poll_end(cx)
            {
                self.guard_watches = false;
                self.end(Ending {
                    outcome: match ending.outcome {
                        Outcome::WorkerLost => self.worker_outcome(),
                        outcome => outcome,
                    },
                    ..ending
                });
            }
            let mut went_on = self.poll_timer(cx);
            went_on |= self.poll_overflow(cx);
            went_on |= self.poll_write(cx).is_ready();
            went_on |= self.poll_read(cx).is_ready();
            if self.phase == Phase::Done {
                return Poll::Ready(());
            }
            if !went_on {
                return Poll::Pending;
            }
        }
    }

    // ---- endings

    /// Closes the connection for a reason from outside.
    fn end(&mut self, ending: Ending) {
        if self.phase == Phase::Open {
            self.report.outcome = ending.outcome;
            self.close(Close::of_protocol(ending.code, ending.reason), Phase::Closing);
        }
    }

    /// Returns the outcome of a worker that is gone, as reported by its own side if known.
    fn worker_outcome(&self) -> Outcome {
        let outcome = self.wire.hooks.why.as_ref().and_then(|why| why());
        outcome.unwrap_or(Outcome::WorkerLost)
    }

    /// Sends a close frame.
    fn close(&mut self, close: Close, phase: Phase) {
        self.report.code = close.code();
        self.phase = phase;
        // From now on the peer's messages are discarded, and read only for its close frame.
        self.held = None;
        self.close_by = Instant::now() + self.wire.limits.close_timeout;
        match Pin::new(&mut self.socket).start_send(Frame::Close(close.into())) {
            Ok(()) => self.needs_flush = true,
            Err(error) => self.lose(Some(error.to_string())),
        }
    }

    /// Ends a lost connection.
    fn lose(&mut self, error: Option<String>) {
        if self.phase == Phase::Open {
            (self.report.outcome, self.report.code) = (Outcome::Canceled, 1006);
        }
        self.phase = Phase::Done;
        self.wire.tell(Closed::lost(error));
    }

    /// Fails the connection of a peer that violated the protocol or a limit.
    fn fail(&mut self, code: u16, reason: &'static str, error: String) {
        self.failed = true;
        self.report.outcome = Outcome::Canceled;
        self.wire.tell(Closed::lost(Some(error)));
        self.close(Close::of_protocol(code, reason), Phase::Failing);
    }

    // ---- from the worker to the peer

    /// Ends the connection if the worker has exceeded its room.
    fn poll_overflow(&mut self, cx: &mut Context<'_>) -> bool {
        if self.phase == Phase::Done {
            return false;
        }
        let is_full = self.overflow.as_mut().poll(cx).is_ready();
        if is_full {
            // Without a close frame, because the peer does not read, or would have to read all earlier data.
            self.lose(Some("the peer reads too slowly".to_owned()));
        }
        is_full
    }

    /// Ready if something was done.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.phase == Phase::Open {
            while self.in_buffer < BATCH_BYTES {
                match self.wire.sent.poll_recv(cx) {
                    Poll::Ready(Some(Sent::Message(message))) => self.send(message),
                    Poll::Ready(Some(Sent::Close(close))) => {
                        self.report.outcome = Outcome::Ok;
                        self.close(close, Phase::Closing);
                    }
                    Poll::Ready(None) => self.end(Ending {
                        code: 1011,
                        reason: "the worker ended",
                        outcome: self.worker_outcome(),
                    }),
                    Poll::Pending => break,
                }
                if self.phase != Phase::Open {
                    break;
                }
            }
        }
        if !self.needs_flush || self.phase == Phase::Done {
            return Poll::Pending;
        }
        match Pin::new(&mut self.socket).poll_flush(cx) {
            Poll::Pending => {
                self.stalled_since.get_or_insert_with(Instant::now);
                return Poll::Pending;
            }
            Poll::Ready(Err(error)) if !is_end(&error) => self.lose(Some(error.to_string())),
            Poll::Ready(_) => {
                self.needs_flush = false;
                self.stalled_since = None;
                let sent = mem::take(&mut self.in_buffer);
                self.wire.has_sent(sent);
                if matches!(self.phase, Phase::Failing | Phase::Answering) {
                    self.phase = Phase::Done;
                }
            }
        }
        Poll::Ready(())
    }

    fn send(&mut self, message: Message) {
        let len = message.len();
        self.report.messages_sent += 1;
        self.report.bytes_sent += len as u64;
        self.in_buffer += len;
        match Pin::new(&mut self.socket).start_send(message.into()) {
            Ok(()) => self.needs_flush = true,
            Err(error) => self.lose(Some(error.to_string())),
        }
    }

    // ---- from the peer to the worker

    /// Ready if something was done.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.phase, Phase::Failing | Phase::Answering | Phase::Done) {
            return Poll::Pending;
        }
        if self.held.is_some() {
            ready!(self.poll_deliver(cx));
        }
        let frame = ready!(Pin::new(&mut self.socket).poll_next(cx));
        (self.received_at, self.pinged) = (Instant::now(), false);
        match frame {
            Some(Ok(Frame::Text(text))) => self.receive(Message::Text(text)),
            Some(Ok(Frame::Binary(bytes))) => self.receive(Message::Binary(bytes)),
            // The answer to a ping is in the socket's buffer.
            Some(Ok(Frame::Ping(_))) => self.needs_flush = true,
            Some(Ok(Frame::Pong(_) | Frame::Frame(_))) => {}
            Some(Ok(Frame::Close(frame))) => self.closed_by_peer(&frame.into()),
            None => self.lose(None),
            Some(Err(error)) => self.read_failed(&error),
        }
        Poll::Ready(())
    }

    fn receive(&mut self, message: Message) {
        if self.phase == Phase::Open {
            self.report.messages_received += 1;
            self.report.bytes_received += message.len() as u64;
            self.held = Some(message);
        }
    }

    /// Passes the held message to the worker.
    fn poll_deliver(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.slowed_until.is_some() {
            return Poll::Pending;
        }
        let Some(message) = &self.held else {
            return Poll::Ready(());
        };
        let bytes = u32::try_from(message.len()).unwrap_or(u32::MAX);
        if ready!(self.receiver.poll_reserve(cx)).is_err() {
            // The worker is gone, which the other direction handles.
            self.held = None;
            return Poll::Ready(());
        }
        let Some(room) = ready!(self.room.poll_acquire_many(cx, bytes.clamp(1, self.wire.room_bytes))) else {
            return Poll::Pending;
        };
        if let Err(until) = self.rate.take(Instant::now()) {
            self.slowed_until = Some(until);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(message) = self.held.take() else {
            return Poll::Ready(());
        };
        let message = match &self.wire.hooks.keep {
            Some(keep) => message.kept(keep),
            None => message,
        };
        // Time without reading does not count as silence of the peer.
        self.received_at = Instant::now();
        // Fails only if the worker is gone, as above.
        let _ = self.receiver.send_item(Received::Message(message, room));
        Poll::Ready(())
    }

    fn closed_by_peer(&mut self, close: &Close) {
        self.wire.tell(Closed::cleanly(close));
        if self.phase == Phase::Open {
            // The library has put the answer into its buffer.
            (self.report.outcome, self.report.code) = (Outcome::Ok, close.code());
            self.close_by = Instant::now() + self.wire.limits.close_timeout;
            self.needs_flush = true;
            self.phase = Phase::Answering;
        } else {
            self.phase = Phase::Done;
        }
    }

    fn read_failed(&mut self, error: &Error) {
        let (code, reason) = match error {
            Error::Capacity(_) => (1009, "the message is too large"),
            Error::Utf8(_) => (1007, "the text is not valid UTF-8"),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                return self.lose(Some("the peer closed the connection without a close frame".to_owned()));
            }
            Error::Protocol(_) => (1002, "protocol error"),
            _ => return self.lose(Some(error.to_string())),
        };
        if self.phase == Phase::Open {
            self.fail(code, reason, error.to_string());
        } else {
            self.lose(Some(error.to_string()));
        }
    }

    /// Ends the byte stream.
    async fn finish(mut self) -> Report {
        self.wire.tell(Closed::lost(None));
        if let Some(guard) = self.guard.take() {
            guard.ended();
        }
        let failed = self.failed;
        let stream = self.socket.get_mut();
        let gently = async {
            stream.shutdown().await?;
            if !failed {
                return Ok(());
            }
            let mut buffer = [0; 4096];
            let mut left = LINGER.1;
            while left > 0 {
                match stream.read(&mut buffer).await? {
                    0 => break,
                    read => left = left.saturating_sub(read),
                }
            }
            Ok::<_, std::io::Error>(())
        };
        // A peer that takes longer has its close frame already.
        let _ = tokio::time::timeout(LINGER.0, gently).await;
        self.report
    }
}

/// Returns whether a write error means that the close handshake is complete.
const fn is_end(error: &Error) -> bool {
    matches!(error, Error::ConnectionClosed | Error::AlreadyClosed)
}

#[cfg(test)]
mod tests;
