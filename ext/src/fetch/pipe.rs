//! Connections of a worker in a sandbox. Its pool's process has the socket, whose bytes pass between the processes as two
//! streams.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, join};
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;
use tokio_util::sync::PollSender;

use super::body::{Chunk, chunks_of, outgoing};
use crate::event::Body;

/// Maximum size of a chunk.
const CHUNK_BYTES: usize = 16 << 10;

/// Maximum number of waiting chunks.
const CHUNKS_WAITING_MAX: usize = 4;

/// A bidirectional byte stream, like a socket.
pub(crate) trait Piped: AsyncRead + AsyncWrite + Send + Unpin {}

impl<D: AsyncRead + AsyncWrite + Send + Unpin> Piped for D {}

/// Creates the worker's end of a connection that is not open yet, and the stream of the bytes written to it.
pub(crate) fn piped() -> (Writer, Body) {
    let (sender, chunks) = mpsc::channel(CHUNKS_WAITING_MAX);
    let writer = Writer {
        chunks: PollSender::new(sender),
        has_ended: false,
    };
    (writer, sent(chunks))
}

/// Returns a body of the chunks of a channel.
pub(crate) fn sent(chunks: mpsc::Receiver<Chunk>) -> Body {
    streamed(outgoing(chunks))
}

/// Returns a body of these chunks.
pub(super) fn streamed(chunks: impl Stream<Item = Chunk> + Send + 'static) -> Body {
    Body::new(StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))))
}

/// Writer of the chunks of a stream. Shutting it down ends the stream; dropping it before cuts the stream off.
pub(crate) struct Writer {
    chunks: PollSender<Chunk>,
    has_ended: bool,
}

impl Writer {
    /// Returns the worker's end of a connection; `body` has the bytes from the other end.
    pub(crate) fn with(self, body: Body) -> Box<dyn Piped> {
        Box::new(join(StreamReader::new(chunks_of(body)), self))
    }

    fn send(&mut self, cx: &mut Context<'_>, chunk: Bytes) -> Poll<io::Result<()>> {
        let closed = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        ready!(self.chunks.poll_reserve(cx)).map_err(closed)?;
        Poll::Ready(self.chunks.send_item(Ok(chunk)).map_err(closed))
    }
}

impl AsyncWrite for Writer {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let bytes = &bytes[..bytes.len().min(CHUNK_BYTES)];
        // An empty chunk would be the end.
        if !bytes.is_empty() {
            ready!(self.send(cx, Bytes::copy_from_slice(bytes)))?;
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.has_ended {
            ready!(self.send(cx, Bytes::new()))?;
            self.has_ended = true;
        }
        Poll::Ready(Ok(()))
    }
}

/// Creates the channel for the bytes that a socket receives.
pub(crate) fn incoming() -> (mpsc::Sender<Chunk>, mpsc::Receiver<Chunk>) {
    mpsc::channel(CHUNKS_WAITING_MAX)
}

/// Moves bytes between a socket and a worker in another process, until both directions have ended or the worker has dropped
/// its end.
pub(crate) async fn run(socket: impl AsyncRead + AsyncWrite + Send, mut from: Body, to: mpsc::Sender<Chunk>) {
    let (mut reader, mut writer) = tokio::io::split(socket);
    let inward = async {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let chunk = tokio::select! {
                read = reader.read(&mut buffer) => read.map(|length| Bytes::copy_from_slice(&buffer[..length])),
                // The worker reads no more.
                () = to.closed() => return Ok(()),
            };
            let is_last = chunk.as_ref().map_or(true, Bytes::is_empty);
            if to.send(chunk).await.is_err() || is_last {
                return Ok(());
            }
        }
    };
    let outward = async {
        loop {
            match from.frame().await {
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    writer.write_all(&data).await?;
                    writer.flush().await?;
                }
                Some(Err(error)) => return Err(io::Error::other(error.to_string())),
                None => return writer.shutdown().await,
            }
        }
    };
    // A failed direction ends the other, and the worker sees a cut-off stream.
    let _ = futures::try_join!(inward, outward);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the worker's end of a connection, the socket, and the future of the other end.
    fn connected() -> (Box<dyn Piped>, tokio::io::DuplexStream, impl Future<Output = ()>) {
        let (socket, peer) = tokio::io::duplex(64);
        let (writer, written) = piped();
        let (to, chunks) = incoming();
        (writer.with(sent(chunks)), peer, run(socket, written, to))
    }

    #[tokio::test]
    async fn bytes_pass_both_ways_until_each_has_ended() {
        let (mut own, mut peer, running) = connected();
        let long = vec![7; 100_000];
        let answers = async {
            let mut got = vec![0; long.len()];
            peer.read_exact(&mut got).await.unwrap();
            peer.write_all(&got).await.unwrap();
            // The end comes after all data.
            assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
            drop(peer);
        };
        let asks = async {
            let mut got = vec![0; long.len()];
            let (mut reader, mut writer) = tokio::io::split(&mut own);
            let (sent, received) = tokio::join!(writer.write_all(&long), reader.read_exact(&mut got));
            sent.unwrap();
            received.unwrap();
            writer.shutdown().await.unwrap();
            assert_eq!(got, long);
            assert_eq!(reader.read(&mut [0]).await.unwrap(), 0);
        };
        tokio::join!(running, answers, asks);
    }

    #[tokio::test]
    async fn a_connection_dropped_by_its_worker_is_closed() {
        let (own, mut peer, running) = connected();
        drop(own);
        running.await;
        assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
    }
}
