//! A connection's byte stream, watched: its state learns of reads and writes, and the bare replies hyper sends by itself
//! to what is not HTTP get the same header every response has.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::{connection::Connection, stream::Stream};

/// How an HTTP/2 connection opens when no TLS handshake said so.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";
/// What hyper's own replies begin with after the status line. Ours never do: their first header is another.
const BARE: &[u8] = b"connection: close\r\ncontent-length: 0\r\n";
const MARK: &[u8] = b"x-isopod-outcome: refused\r\n";
/// What is still read from a peer that was answered before it had sent everything.
const LINGER_BYTES_MAX: usize = 4 << 20;

pub(crate) struct Watched {
    stream: Stream,
    connection: Arc<Connection>,
    /// Read while the protocol was looked for, still to be given to it.
    first: Vec<u8>,
    /// A marked reply on its way, and how much of it is written.
    marked: Option<(Vec<u8>, usize)>,
}

impl Watched {
    pub(crate) const fn new(stream: Stream, connection: Arc<Connection>) -> Self {
        Self {
            stream,
            connection,
            first: Vec::new(),
            marked: None,
        }
    }

    /// Whether the client opens with HTTP/2's preface. Reads no further than it must to know.
    pub(crate) async fn speaks_h2(&mut self) -> io::Result<bool> {
        let mut bytes = [0; PREFACE.len()];
        let mut len = 0;
        while len < PREFACE.len() && bytes[..len] == PREFACE[..len] {
            match self.stream.read(&mut bytes[len..]).await? {
                0 => break,
                read => len += read,
            }
        }
        self.first = bytes[..len].to_vec();
        Ok(bytes[..len] == *PREFACE)
    }

    /// Ends the connection so that its last response arrives: closing a socket with unread bytes resets it, and the
    /// reset may overtake the response. So the peer is told first, and read until it has stopped.
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

    /// Writes what is left of a marked reply.
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
}

/// The same reply with the mark, when it is one of hyper's own.
fn mark(reply: &[u8]) -> Option<Vec<u8>> {
    if !reply.starts_with(b"HTTP/1.1 4") {
        return None;
    }
    let line = reply.iter().position(|&byte| byte == b'\n')? + 1;
    let (status, rest) = reply.split_at(line);
    rest.starts_with(BARE).then(|| [status, MARK, rest].concat())
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let len = self.first.len().min(buf.remaining());
            buf.put_slice(&self.first[..len]);
            self.first.drain(..len);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        if read.is_ready() {
            self.connection.bytes_read(buf.filled().len() - before);
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_marked(cx))?;
        if let Some(reply) = mark(buf) {
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
        if let Some((reply, len)) = bufs.first().and_then(|buf| Some((mark(buf)?, buf.len()))) {
            self.marked = Some((reply, 0));
            return Poll::Ready(Ok(len));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_marked(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_marked(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
