//! Connections of a worker in a sandbox. Its pool's process has the socket, and its bytes go as two streams between the two.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, join};
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;
use tokio_util::sync::PollSender;

use super::body::{Chunk, chunks_of, outgoing};
use crate::event::Body;

/// The most bytes of a chunk.
const CHUNK_BYTES: usize = 16 << 10;

/// Chunks that wait.
const CHUNKS_WAITING_MAX: usize = 4;

/// A stream that is read from and written to as a socket is.
pub(crate) trait Piped: AsyncRead + AsyncWrite + Send + Unpin {}

impl<D: AsyncRead + AsyncWrite + Send + Unpin> Piped for D {}

/// The worker's end, before there is a connection. Also returns the stream of what it writes.
pub(crate) fn piped() -> (Writer, Body) {
    let (sender, chunks) = mpsc::channel(CHUNKS_WAITING_MAX);
    let writer = Writer {
        chunks: PollSender::new(sender),
        has_ended: false,
    };
    (writer, sent(chunks))
}

/// The body of the chunks of a channel.
pub(crate) fn sent(chunks: mpsc::Receiver<Chunk>) -> Body {
    use futures::StreamExt as _;
    Body::new(StreamBody::new(outgoing(chunks).map(|chunk| chunk.map(Frame::data))))
}

/// Writes the chunks of a stream. It ends when it is shut down, and is cut off when this is dropped before.
pub(crate) struct Writer {
    chunks: PollSender<Chunk>,
    has_ended: bool,
}

impl Writer {
    /// The worker's end of a connection: `body` is what the other end writes.
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
        // An empty chunk is the end.
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

/// The channel of what a socket receives.
pub(crate) fn incoming() -> (mpsc::Sender<Chunk>, mpsc::Receiver<Chunk>) {
    mpsc::channel(CHUNKS_WAITING_MAX)
}

/// Moves bytes between a socket and a worker in another process, until both directions have ended or the worker has let go.
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
    // One that fails ends the other: the worker reads that the stream was cut off.
    let _ = futures::try_join!(inward, outward);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worker's end of a connection to the returned socket, and the work of the other end.
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
            // Its end was sent after everything.
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
    async fn a_connection_that_its_worker_lets_go_of_is_closed() {
        let (own, mut peer, running) = connected();
        drop(own);
        running.await;
        assert_eq!(peer.read(&mut [0]).await.unwrap(), 0);
    }
}
