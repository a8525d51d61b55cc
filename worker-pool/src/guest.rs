//! Guests: futures that live on a worker's thread, next to the worker that serves them, and leave it at any time.
//!
//! A connection whose requests are all answered by one worker costs no switch of threads if it is polled on that worker's
//! thread. The pool does not know what a guest is. It polls guests between the worker's turns, and gives each back by
//! [`Guest::leave`] when the worker departs, when a turn takes long, or when its thread is lost.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, TryLockError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::task::AtomicWaker;

use crate::engine::WorkerId;
use crate::sync::{Mutex, MutexGuard};

/// Mean duration of a worker's turns above which its thread has no guests: they would wait for one another's turns.
const TURN_MAX: Duration = Duration::from_millis(1);

const TURN_COUNTED_MAX: Duration = Duration::from_millis(4);

/// The weight of a turn in the mean is one part in this many.
const TURNS_WEIGHED: u64 = 16;

/// A future that can live on a worker's thread. Created by an embedder, for instance for a connection.
///
/// It is only polled by one thread at a time, and is moved between two polls. What it holds must not be bound to a runtime,
/// or must notice that it is polled on another one.
pub trait Guest: Send + 'static {
    /// Polls the future on the worker's thread, inside the worker's event loop. Ready if nothing is left to be done there.
    ///
    /// Must not block: the worker waits.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Takes the future back. It has to be polled elsewhere at once, even if nothing has woken it.
    ///
    /// Called on any thread, never during [`Guest::poll`] and never with a lock of the pool's. Must not block.
    fn leave(self: Box<Self>);
}

/// A worker as a home for guests. Returned for an event that was given to the worker.
///
/// Holding it keeps nothing alive: a worker that has departed takes no guests.
#[derive(Clone)]
pub struct Home(Arc<Rooms>);

impl Home {
    /// Returns the worker's number, for [`Meta::near`](field@crate::Meta::near).
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        self.0.worker
    }

    /// Returns whether the worker takes guests now: it is ready, has room, and its turns are short.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// Moves a guest to the worker's thread, where it is polled soon.
    ///
    /// # Errors
    /// The worker takes no guests now. The guest is returned.
    pub fn lodge<G: Guest>(&self, guest: G) -> Result<(), G> {
        self.0.lodge(guest)
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Home").field(&self.0.worker).finish()
    }
}

/// The guests of one worker.
pub(crate) struct Rooms {
    worker: WorkerId,
    guests_max: usize,
    /// Wakes the worker's event loop.
    bell: Waker,
    inner: Mutex<Inner>,
    /// The worker is ready and has not departed.
    is_ready: AtomicBool,
    /// A turn takes long.
    is_paused: AtomicBool,
    count: AtomicUsize,
    has_arrivals: AtomicBool,
    /// Mean duration of a turn in nanoseconds. Written by the worker's thread alone.
    turn: AtomicU64,
}

#[derive(Default)]
struct Inner {
    rooms: HashMap<u64, Arc<Room>>,
    /// Those that the event loop has not begun to poll.
    arrivals: Vec<u64>,
    last: u64,
}

/// The place of one guest.
pub(crate) struct Room {
    /// Empty once the guest has left. Locked while it is polled.
    guest: Mutex<Option<Box<dyn Guest>>>,
    task: AtomicWaker,
}

impl Rooms {
    pub(crate) fn new(worker: WorkerId, guests_max: usize, bell: Waker) -> Self {
        Self {
            worker,
            guests_max,
            bell,
            inner: Mutex::default(),
            is_ready: AtomicBool::new(false),
            is_paused: AtomicBool::new(false),
            count: AtomicUsize::new(0),
            has_arrivals: AtomicBool::new(false),
            turn: AtomicU64::new(0),
        }
    }

    pub(crate) fn home(self: &Arc<Self>) -> Home {
        Home(Arc::clone(self))
    }

    /// Takes guests from now on, until [`Rooms::close`].
    pub(crate) fn open(&self) {
        let _inner = self.lock();
        self.is_ready.store(true, Ordering::Release);
    }

    /// Takes no guests any more. Those it has are to leave: see [`Rooms::evict`].
    pub(crate) fn close(&self) {
        let _inner = self.lock();
        self.is_ready.store(false, Ordering::Release);
    }

    /// Takes no guests until the worker's next turn has ended. Those it has are to leave.
    pub(crate) fn pause(&self) {
        let _inner = self.lock();
        self.is_paused.store(true, Ordering::Release);
    }

    /// Returns the number of guests.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns the mean duration of a turn.
    pub(crate) fn turn(&self) -> Duration {
        Duration::from_nanos(self.turn.load(Ordering::Relaxed))
    }

    fn is_open(&self) -> bool {
        let is_open = self.is_ready.load(Ordering::Acquire) && !self.is_paused.load(Ordering::Acquire);
        is_open && self.len() < self.guests_max && self.turn() <= TURN_MAX
    }

    /// Adds a turn of this duration to the mean, at most [`TURN_COUNTED_MAX`]: a thread may also have waited for a processor, and
    /// the engine reports longer turns by itself. If turns have become too long, all guests leave.
    pub(crate) fn turned(&self, took: Duration) {
        let took = u64::try_from(took.min(TURN_COUNTED_MAX).as_nanos()).unwrap_or(u64::MAX) / TURNS_WEIGHED;
        let mean = self.turn.load(Ordering::Relaxed);
        let mean = (mean - mean / TURNS_WEIGHED).saturating_add(took);
        self.turn.store(mean, Ordering::Relaxed);
        self.is_paused.store(false, Ordering::Release);
        if self.len() > 0 && self.turn() > TURN_MAX {
            self.evict();
        }
    }

    fn lodge<G: Guest>(&self, guest: G) -> Result<(), G> {
        {
            let mut inner = self.lock();
            if !self.is_open() {
                return Err(guest);
            }
            inner.last += 1;
            let key = inner.last;
            let room = Room {
                guest: Mutex::new(Some(Box::new(guest))),
                task: AtomicWaker::new(),
            };
            inner.rooms.insert(key, Arc::new(room));
            inner.arrivals.push(key);
            self.count.store(inner.rooms.len(), Ordering::Relaxed);
            self.has_arrivals.store(true, Ordering::Release);
        }
        self.bell.wake_by_ref();
        Ok(())
    }

    /// Begins to poll the guests that have arrived. Called by the worker's event loop.
    pub(crate) fn welcome(self: &Arc<Self>) {
        if !self.has_arrivals.load(Ordering::Acquire) {
            return;
        }
        let mut inner = self.lock();
        self.has_arrivals.store(false, Ordering::Relaxed);
        for key in std::mem::take(&mut inner.arrivals) {
            if let Some(room) = inner.rooms.get(&key) {
                spawn_local(Arc::clone(self).live(key, Arc::clone(room)));
            }
        }
    }

    /// The task of a guest on the worker's thread.
    async fn live(self: Arc<Self>, key: u64, room: Arc<Room>) {
        poll_fn(|cx| room.poll(cx)).await;
        let mut inner = self.lock();
        inner.rooms.remove(&key);
        self.count.store(inner.rooms.len(), Ordering::Relaxed);
    }

    /// Sends all guests away, except one that is being polled: the thread is not in a long turn then.
    pub(crate) fn evict(&self) {
        let mut leaving = Vec::new();
        {
            let mut inner = self.lock();
            inner.rooms.retain(|_, room| match room.vacate() {
                Some(guest) => {
                    leaving.push((guest, Arc::clone(room)));
                    false
                }
                None => true,
            });
            self.count.store(inner.rooms.len(), Ordering::Relaxed);
        }
        for (guest, room) in leaving {
            // The embedder's code: it must not take the supervisor down.
            if catch_unwind(AssertUnwindSafe(|| guest.leave())).is_err() {
                tracing::error!("a guest of a worker panicked as it left");
            }
            // Its task has nothing left to do.
            room.task.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    /// Polls the guest, if it is still here.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.task.register(cx.waker());
        let mut place = self.guest.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(guest) = place.as_mut() else {
            return Poll::Ready(());
        };
        match catch_unwind(AssertUnwindSafe(|| guest.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) => {}
            Err(_) => tracing::error!("a guest of a worker panicked, and was dropped"),
        }
        let gone = place.take();
        drop(place);
        if catch_unwind(AssertUnwindSafe(|| drop(gone))).is_err() {
            tracing::error!("a guest of a worker panicked while it was dropped");
        }
        Poll::Ready(())
    }

    /// Takes the guest out, unless it is being polled or has gone.
    fn vacate(&self) -> Option<Box<dyn Guest>> {
        match self.guest.try_lock() {
            Ok(mut place) => place.take(),
            Err(TryLockError::Poisoned(place)) => place.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

#[cfg(not(feature = "shuttle"))]
fn spawn_local(task: impl Future<Output = ()> + 'static) {
    // It ends with the guest; a panic of the guest is caught inside.
    drop(tokio::task::spawn_local(task));
}

/// Simulated threads have no `LocalSet`, and no guests.
#[cfg(feature = "shuttle")]
fn spawn_local(_task: impl Future<Output = ()> + 'static) {}

/// Closes the worker's rooms at the end of the scope, also by a panic: while the runtime still exists to which the guests'
/// sockets belong.
pub(crate) struct ClosesRooms<'a>(pub(crate) &'a Rooms);

impl Drop for ClosesRooms<'_> {
    fn drop(&mut self) {
        self.0.close();
        self.0.evict();
    }
}
