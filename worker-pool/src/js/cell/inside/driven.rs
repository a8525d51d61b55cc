//! The connection for events, and the thread that drives it.
//!
//! The worker's thread does, so that an event wakes no other one. While that thread computes for long, or blocks, the main thread does,
//! so that orders are read, and events that have not begun can go back.

use std::io;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures::task::AtomicWaker;

use crate::js::cell::stream::Stream;

/// A thread that can drive the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Side {
    Main,
    Worker,
}

type Connection = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection that is driven by one of two threads.
pub(super) struct Driven {
    /// The thread that has to drive it: a [`Side`].
    side: AtomicU8,
    wakers: [AtomicWaker; 2],
    has_ended: AtomicBool,
    driving: Mutex<Driving>,
    /// The number of times that another thread than before has polled it.
    moves: Arc<AtomicU32>,
}

struct Driving {
    /// `None` before it begins, and once it has ended.
    connection: Option<Connection>,
    /// The thread that has polled it last.
    polled_by: Side,
}

impl Driven {
    pub(super) fn new() -> Self {
        Self {
            side: AtomicU8::new(Side::Main as u8),
            wakers: [AtomicWaker::new(), AtomicWaker::new()],
            has_ended: AtomicBool::new(false),
            driving: Mutex::new(Driving {
                connection: None,
                polled_by: Side::Main,
            }),
            moves: Arc::default(),
        }
    }

    /// Returns the stream of the connection that it is going to drive.
    pub(super) fn stream(&self, stream: UnixStream) -> io::Result<Stream> {
        Stream::movable(stream, Arc::clone(&self.moves))
    }

    /// Sets the connection, before its first poll.
    pub(super) fn carry(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let mut driving = self.driving.lock().unwrap_or_else(PoisonError::into_inner);
        driving.connection = Some(Box::pin(connection));
    }

    /// Moves the connection to a thread, unless it is there.
    pub(super) fn move_to(&self, side: Side) {
        if self.side.swap(side as u8, Ordering::SeqCst) != side as u8 {
            self.wakers[side as usize].wake();
        }
    }

    /// Drives the connection on the thread that calls this, whenever it is there. Ready once it has ended.
    pub(super) fn poll(&self, side: Side, cx: &mut Context<'_>) -> Poll<()> {
        self.wakers[side as usize].register(cx.waker());
        if self.has_ended.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        if !self.is_at(side) {
            return Poll::Pending;
        }
        // Held by the other thread for the rest of a poll, which runs no code of the script.
        let mut driving = self.driving.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_at(side) {
            return Poll::Pending;
        }
        if driving.polled_by != side {
            driving.polled_by = side;
            self.moves.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(connection) = &mut driving.connection {
            ready!(connection.as_mut().poll(cx));
            driving.connection = None;
        }
        drop(driving);
        self.has_ended.store(true, Ordering::SeqCst);
        for waker in &self.wakers {
            waker.wake();
        }
        Poll::Ready(())
    }

    fn is_at(&self, side: Side) -> bool {
        self.side.load(Ordering::SeqCst) == side as u8
    }
}

/// Drives the connection on the worker's thread. When it is dropped, because the thread ends, the main thread goes on.
pub(super) struct OnWorker(pub(super) Arc<Driven>);

impl Future for OnWorker {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll(Side::Worker, cx)
    }
}

impl Drop for OnWorker {
    fn drop(&mut self) {
        self.0.move_to(Side::Main);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{Read as _, Write as _};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Drives a connection on a thread of its own, until it has ended.
    fn drive(driven: &Arc<Driven>, side: Side) -> std::thread::JoinHandle<()> {
        let driven = Arc::clone(driven);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(poll_fn(|cx| driven.poll(side, cx)));
        })
    }

    /// A connection that answers each byte with the name of the thread that has read it, on two threads.
    fn echo() -> (Arc<Driven>, UnixStream, Vec<std::thread::JoinHandle<()>>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        theirs.set_nonblocking(true).unwrap();
        let driven = Arc::new(Driven::new());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (begun, begins) = std::sync::mpsc::sync_channel(1);
        let own = Arc::clone(&driven);
        let main = std::thread::spawn(move || {
            runtime.block_on(async {
                let mut stream = own.stream(theirs).unwrap();
                let polled_by = Arc::clone(&own);
                own.carry(async move {
                    let mut byte = [0];
                    while stream.read_exact(&mut byte).await.is_ok() {
                        let side = polled_by.side.load(Ordering::SeqCst);
                        stream.write_all(&[byte[0], side]).await.unwrap();
                    }
                });
                begun.send(()).unwrap();
                poll_fn(|cx| own.poll(Side::Main, cx)).await;
            });
        });
        begins.recv().unwrap();
        let worker = drive(&driven, Side::Worker);
        (driven, ours, vec![main, worker])
    }

    #[test]
    fn it_is_driven_by_the_thread_that_it_is_at() {
        let (driven, mut ours, threads) = echo();
        for round in 0..200_u8 {
            let side = [Side::Main, Side::Worker][usize::from(round % 3 == 0)];
            driven.move_to(side);
            ours.write_all(&[round]).unwrap();
            let mut answer = [0; 2];
            ours.read_exact(&mut answer).unwrap();
            assert_eq!(answer, [round, side as u8]);
        }
        drop(ours);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn nothing_is_lost_while_it_moves() {
        let (driven, mut ours, threads) = echo();
        let own = Arc::clone(&driven);
        let moving = std::thread::spawn(move || {
            for side in [Side::Worker, Side::Main].into_iter().cycle().take(20_000) {
                own.move_to(side);
                std::thread::yield_now();
            }
        });
        for round in 0..2_000_u32 {
            ours.write_all(&round.to_le_bytes()[..1]).unwrap();
            let mut answer = [0; 2];
            ours.read_exact(&mut answer).unwrap();
            assert_eq!(answer[0], round.to_le_bytes()[0]);
        }
        moving.join().unwrap();
        drop(ours);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn it_stays_when_the_thread_of_the_worker_ends() {
        let (driven, mut ours, mut threads) = echo();
        // The thread that waits for it is another one.
        drop(OnWorker(Arc::clone(&driven)));
        driven.move_to(Side::Worker);
        drop(OnWorker(Arc::clone(&driven)));
        ours.write_all(&[7]).unwrap();
        let mut answer = [0; 2];
        ours.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [7, Side::Main as u8]);
        drop(ours);
        threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}
