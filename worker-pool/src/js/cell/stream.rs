//! The byte stream between a pool and a cell.
//!
//! A Unix socket reports that it is writable each time that the other side has read something, which would wake the writer of each
//! message once more. So this stream is registered for that only while a write waits.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// A Unix socket.
pub(super) struct Stream {
    /// `None` only after a registration has failed.
    socket: Option<AsyncFd<UnixStream>>,
    /// A write waits.
    is_full: bool,
    /// The number of moves at its registration.
    registered: u32,
    moves: Arc<AtomicU32>,
}

impl Stream {
    /// Registers a socket, which does not block, with the current runtime.
    pub(super) fn new(socket: UnixStream) -> io::Result<Self> {
        Self::movable(socket, Arc::default())
    }

    /// Registers a socket that another runtime may go on with. The number changes then.
    pub(super) fn movable(socket: UnixStream, moves: Arc<AtomicU32>) -> io::Result<Self> {
        Ok(Self {
            socket: Some(registered(socket, Interest::READABLE)?),
            is_full: false,
            registered: moves.load(Ordering::Relaxed),
            moves,
        })
    }

    /// Returns the socket, registered with the current runtime.
    fn socket(&mut self) -> io::Result<&mut AsyncFd<UnixStream>> {
        // Written by the thread that polls, before it does.
        let moves = self.moves.load(Ordering::Relaxed);
        if self.registered != moves {
            self.registered = moves;
            self.register()?;
        }
        self.socket.as_mut().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn register(&mut self) -> io::Result<()> {
        let interest = match self.is_full {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        let socket = self.socket.take().map(AsyncFd::into_inner);
        self.socket = socket.map(|socket| registered(socket, interest)).transpose()?;
        Ok(())
    }

    /// Registers it for writes, or no longer. The task that writes also reads, and is woken for that as before.
    fn set_full(&mut self, is_full: bool, cx: &mut Context<'_>) -> io::Result<()> {
        self.is_full = is_full;
        self.register()?;
        if self.socket()?.poll_read_ready(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    fn poll_written(
        &mut self,
        cx: &mut Context<'_>,
        write: impl Fn(&UnixStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.is_full {
                let mut ready = ready!(self.socket()?.poll_write_ready(cx))?;
                let Ok(written) = ready.try_io(|socket| write(socket.get_ref())) else {
                    continue;
                };
                self.set_full(false, cx)?;
                return Poll::Ready(written);
            }
            match write(self.socket()?.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.set_full(true, cx)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "the socket is its own descriptor, as what replaces this has to be told by unsafe code"
)]
fn registered(socket: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::with_interest(socket, interest)
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let socket = self.socket()?;
        loop {
            let mut ready = ready!(socket.poll_read_ready(cx))?;
            let space = buf.initialize_unfilled();
            let wanted = space.len();
            match ready.try_io(|socket| socket.get_ref().read(space)) {
                Ok(Ok(length)) => {
                    // There was no more, so the next read need not ask.
                    if (1..wanted).contains(&length) {
                        ready.clear_ready();
                    }
                    buf.advance(length);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_written(cx, |mut socket| socket.write(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_written(cx, |mut socket| socket.write_vectored(bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket()?.get_ref().shutdown(std::net::Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn pair() -> (Stream, Stream) {
        let (one, other) = UnixStream::pair().unwrap();
        let streams = [one, other].map(|stream| {
            stream.set_nonblocking(true).unwrap();
            Stream::new(stream).unwrap()
        });
        streams.into()
    }

    fn run<T>(test: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(test)
    }

    /// Writes so many bytes at once.
    async fn fill(stream: &mut Stream, bytes: usize) {
        let bytes: Vec<u8> = (0..bytes).map(|at| at.to_le_bytes()[0]).collect();
        stream.write_all(&bytes).await.unwrap();
    }

    async fn expect(stream: &mut Stream, bytes: usize) {
        let mut read = vec![0; bytes];
        stream.read_exact(&mut read).await.unwrap();
        assert!(read.iter().enumerate().all(|(at, byte)| *byte == at.to_le_bytes()[0]));
    }

    #[test]
    fn it_carries_more_than_the_socket_holds_in_both_directions() {
        const BYTES: usize = 4 << 20;
        run(async {
            let (one, other) = pair();
            let [(mut from_one, mut to_one), (mut from_other, mut to_other)] = [one, other].map(tokio::io::split);
            let write = |mut to: tokio::io::WriteHalf<Stream>| async move {
                let bytes: Vec<u8> = (0..BYTES).map(|at| at.to_le_bytes()[0]).collect();
                to.write_all(&bytes).await.unwrap();
                to
            };
            let read = async |from: &mut tokio::io::ReadHalf<Stream>| {
                let mut bytes = vec![0; BYTES];
                from.read_exact(&mut bytes).await.unwrap();
                assert!(bytes.iter().enumerate().all(|(at, byte)| *byte == at.to_le_bytes()[0]));
            };
            (to_one, to_other, (), ()) = tokio::join!(
                write(to_one),
                write(to_other),
                read(&mut from_one),
                read(&mut from_other)
            );
            drop((to_one, to_other));
        });
    }

    #[test]
    fn what_the_other_side_reads_wakes_no_writer() {
        run(async {
            let (mut one, mut other) = pair();
            for _ in 0..3 {
                fill(&mut one, 100).await;
                expect(&mut other, 100).await;
                // Nothing has come for it, so a read waits, and is not woken for a write.
                let read = tokio::time::timeout(std::time::Duration::from_millis(20), one.read_u8()).await;
                assert!(read.is_err());
                assert!(!one.is_full);
            }
        });
    }

    #[test]
    fn the_end_of_the_other_side_is_the_end() {
        run(async {
            let (mut one, other) = pair();
            drop(other);
            assert_eq!(one.read(&mut [0; 8]).await.unwrap(), 0);
            assert!(one.write_all(&[1]).await.is_err());
        });
    }
}
