//! A connection's byte stream. It reports reads and writes to the connection's state, passes on HTTP/1 requests one at a
//! time, and adds the standard header to hyper's own error responses.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::{connection::Connection, inbound::Inbound, stream::Stream};

/// The HTTP/2 preface, for connections without ALPN.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";
/// Headers of rejections by the server itself.
const MARK: &str = "x-isopod-outcome: refused\r\ncontent-type: text/plain; charset=utf-8\r\n";
/// Maximum number of bytes read from a peer that was answered before the end of its request.
const LINGER_BYTES_MAX: usize = 4 << 20;
/// Maximum size of a response that is copied into one piece, which costs less than a system call with several.
const JOINED_BYTES_MAX: usize = 1 << 10;
/// Maximum number of bytes read ahead from the next request.
const AHEAD_BYTES_MAX: usize = 2 << 10;

pub(crate) struct Watched {
    stream: Stream,
    connection: Arc<Connection>,
    inbound: Inbound,
    /// Data read and not yet passed on, from the given offset.
    ahead: (Vec<u8>, usize),
    /// A marked reply and the number of its written bytes.
    marked: Option<(Vec<u8>, usize)>,
    /// True if it has switched to another protocol.
    is_switched: bool,
}

impl Watched {
    pub(crate) const fn new(stream: Stream, connection: Arc<Connection>) -> Self {
        Self {
            stream,
            connection,
            inbound: Inbound::new(),
            ahead: (Vec::new(), 0),
            marked: None,
            is_switched: false,
        }
    }

    /// Switches to another protocol, whose bytes are passed on unchanged.
    pub(crate) fn switched(mut self) -> Self {
        self.is_switched = true;
        self
    }

    /// Returns whether the client starts with HTTP/2's preface. Reads no more than necessary.
    pub(crate) async fn speaks_h2(&mut self) -> io::Result<bool> {
        let mut bytes = [0; PREFACE.len()];
        let mut len = 0;
        while len < PREFACE.len() && bytes[..len] == PREFACE[..len] {
            match self.stream.read(&mut bytes[len..]).await? {
                0 => break,
                read => len += read,
            }
        }
        self.ahead = (bytes[..len].to_vec(), 0);
        Ok(bytes[..len] == *PREFACE)
    }

    /// Closes the connection so that its last response arrives. Closing a socket with unread bytes sends a reset, which may
    /// overtake the response, so the write side is closed first and the peer read to its end.
    pub(crate) async fn close_gently(mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let mut discarded = 0;
        let mut buffer = [0; 4096];
        while discarded < LINGER_BYTES_MAX {
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(read) => discarded += read,
            }
        }
    }

    /// Writes the rest of a marked reply.
    fn poll_marked(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some((reply, written)) = &mut self.marked {
            while *written < reply.len() {
                *written += ready!(Pin::new(&mut self.stream).poll_write(cx, &reply[*written..]))?;
            }
            self.marked = None;
        }
        Poll::Ready(Ok(()))
    }

    fn note<T>(&self, written: Poll<T>) -> Poll<T> {
        match &written {
            Poll::Pending => self.connection.write_blocked(),
            Poll::Ready(_) => self.connection.bytes_written(),
        }
        written
    }

    /// Returns data that has been read and not passed on.
    fn ahead(&self) -> &[u8] {
        &self.ahead.0[self.ahead.1..]
    }

    fn handed_over(&mut self, len: usize) {
        self.ahead.1 += len;
        if self.ahead().is_empty() {
            self.ahead = (Vec::new(), 0);
        }
    }

    /// Reads ahead while the next request is held back, to notice a disconnect.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // With data at hand the client has not disconnected, and writing the response wakes the reader.
        if !self.ahead().is_empty() {
            return Poll::Pending;
        }
        let mut bytes = [MaybeUninit::uninit(); AHEAD_BYTES_MAX];
        let mut buf = ReadBuf::uninit(&mut bytes);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        if buf.filled().is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.ahead = (buf.filled().to_vec(), 0);
        Poll::Pending
    }

    /// Passes on bytes of the current message. Bytes of the next one are kept.
    fn poll_message(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.ahead().is_empty() {
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
            let read = &buf.filled()[before..];
            let len = self.inbound.take(read)?;
            if len < read.len() {
                self.ahead = (read[len..].to_vec(), 0);
                buf.set_filled(before + len);
            }
        } else {
            let most = self.ahead().len().min(buf.remaining());
            let len = self.inbound.take(&self.ahead.0[self.ahead.1..][..most])?;
            buf.put_slice(&self.ahead()[..len]);
            self.handed_over(len);
        }
        self.connection.bytes_read(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }

    /// Returns the reply with the mark and reason if it is hyper's own, without a request.
    fn mark(&self, reply: &[u8]) -> Option<Vec<u8>> {
        if self.is_switched || self.connection.is_h2() || self.connection.is_unanswered() {
            return None;
        }
        let (status, rest) = std::str::from_utf8(reply).ok()?.split_once("\r\n")?;
        let reason = match status.split(' ').nth(1) {
            Some("414") => "the URL is longer than this server accepts",
            Some("431") => "the headers are larger than this server accepts",
            _ => "the request is not valid HTTP, or its target has characters that must be percent-encoded",
        };
        let length = format!("content-length: {}\r\n", reason.len() + 1);
        let rest = rest.replacen("content-length: 0\r\n", &length, 1);
        Some(format!("{status}\r\n{MARK}{rest}{reason}\n").into_bytes())
    }
}

impl Drop for Watched {
    /// Ensures that a client notices an incomplete response, however the connection ends.
    fn drop(&mut self) {
        if self.connection.is_open_ended() {
            self.stream.resets_at_end();
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.is_switched || this.connection.is_h2() {
            let before = buf.filled().len();
            let len = this.ahead().len().min(buf.remaining());
            if len > 0 {
                buf.put_slice(&this.ahead()[..len]);
                this.handed_over(len);
                return Poll::Ready(Ok(()));
            }
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            this.connection.bytes_read(buf.filled().len() - before);
            return Poll::Ready(Ok(()));
        }
        let began = this.connection.take_framing();
        if this.inbound.is_held(began, !this.connection.is_unanswered()) {
            return this.poll_ahead(cx);
        }
        this.poll_message(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_marked(cx))?;
        if let Some(reply) = self.mark(buf) {
            self.marked = Some((reply, 0));
            return Poll::Ready(Ok(buf.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_marked(cx))?;
        if let Some((reply, len)) = bufs.first().and_then(|buf| Some((self.mark(buf)?, buf.len()))) {
            self.marked = Some((reply, 0));
            return Poll::Ready(Ok(len));
        }
        let len = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        let written = if len > JOINED_BYTES_MAX {
            Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
        } else {
            let (mut joined, mut at) = ([0; JOINED_BYTES_MAX], 0);
            for buf in bufs {
                joined[at..at + buf.len()].copy_from_slice(buf);
                at += buf.len();
            }
            Pin::new(&mut self.stream).poll_write(cx, &joined[..len])
        };
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_marked(cx))?;
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        // hyper flushes when it has no more to write, so data read ahead can be passed on.
        if self.connection.flushed() && !self.ahead().is_empty() {
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_marked(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
