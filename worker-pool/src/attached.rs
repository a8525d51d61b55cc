//! Tasks attached to a worker: futures that run on its thread, and can be detached at any time.
//!
//! A connection whose requests all go to one worker needs no thread switch if it is polled on that worker's thread. The pool
//! itself has no notion of connections: it polls attached tasks between the worker's turns, and detaches each by
//! [`AttachedTask::detach`] when the worker departs, when a turn takes long, or when its thread is lost.

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

/// Mean duration of a worker's turns above which it accepts no tasks, because they would wait for its turns.
const TURN_MAX: Duration = Duration::from_millis(1);

const TURN_COUNTED_MAX: Duration = Duration::from_millis(4);

/// Divisor of a turn's weight in the mean.
const TURNS_WEIGHED: u64 = 16;

/// A future of the embedder, such as a connection, that can be attached to a worker and then runs on its thread.
///
/// Only one thread polls it at a time, but it may move to another thread between two polls. Its resources must not be bound
/// to a runtime, unless it handles being polled on another one.
pub trait AttachedTask: Send + 'static {
    /// Polls the future on the worker's thread, inside the worker's event loop. Ready once it has nothing left to do there.
    ///
    /// Must not block: the worker waits.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Returns the future to the embedder, which must poll it elsewhere at once, even if nothing has woken it.
    ///
    /// Called on any thread, never during [`AttachedTask::poll`] and never while the pool holds a lock. Must not block.
    fn detach(self: Box<Self>);
}

/// A handle to a worker that accepts attached tasks. Returned for an event that was given to the worker.
///
/// The handle does not keep the worker alive; a worker that has departed accepts no tasks.
#[derive(Clone)]
pub struct WorkerHandle(Arc<AttachedTasks>);

impl WorkerHandle {
    /// Returns the worker's number, for [`Meta::near`](field@crate::Meta::near).
    #[must_use]
    pub fn id(&self) -> WorkerId {
        self.0.worker
    }

    /// Returns whether the worker accepts tasks now, which requires that it is ready, has room and has short turns.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// Moves a task to the worker's thread, where it is polled soon.
    ///
    /// # Errors
    /// Returns the task if the worker accepts no tasks now.
    pub fn attach<T: AttachedTask>(&self, task: T) -> Result<(), T> {
        self.0.attach(task)
    }
}

impl fmt::Debug for WorkerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkerHandle").field(&self.0.worker).finish()
    }
}

/// The tasks attached to one worker.
pub(crate) struct AttachedTasks {
    worker: WorkerId,
    tasks_max: usize,
    /// Wakes the worker's event loop.
    bell: Waker,
    inner: Mutex<Inner>,
    /// The worker is ready and has not departed.
    is_ready: AtomicBool,
    /// A long turn is running.
    is_paused: AtomicBool,
    count: AtomicUsize,
    has_arrivals: AtomicBool,
    /// Mean duration of a turn in nanoseconds. Written by the worker's thread alone.
    turn: AtomicU64,
}

#[derive(Default)]
struct Inner {
    entries: HashMap<u64, Arc<Entry>>,
    /// Tasks that the event loop has not begun to poll.
    arrivals: Vec<u64>,
    last: u64,
}

/// A slot for one task.
pub(crate) struct Entry {
    /// `None` once the task was detached or has ended. Locked while it is polled.
    task: Mutex<Option<Box<dyn AttachedTask>>>,
    waker: AtomicWaker,
}

impl AttachedTasks {
    pub(crate) fn new(worker: WorkerId, tasks_max: usize, bell: Waker) -> Self {
        Self {
            worker,
            tasks_max,
            bell,
            inner: Mutex::default(),
            is_ready: AtomicBool::new(false),
            is_paused: AtomicBool::new(false),
            count: AtomicUsize::new(0),
            has_arrivals: AtomicBool::new(false),
            turn: AtomicU64::new(0),
        }
    }

    pub(crate) fn handle(self: &Arc<Self>) -> WorkerHandle {
        WorkerHandle(Arc::clone(self))
    }

    /// Starts accepting tasks, until [`AttachedTasks::close`].
    pub(crate) fn open(&self) {
        let _inner = self.lock();
        self.is_ready.store(true, Ordering::Release);
    }

    /// Stops accepting tasks. The caller detaches the present ones with [`AttachedTasks::evict`].
    pub(crate) fn close(&self) {
        let _inner = self.lock();
        self.is_ready.store(false, Ordering::Release);
    }

    /// Stops accepting tasks until the worker's next turn has ended. The caller detaches the present ones.
    pub(crate) fn pause(&self) {
        let _inner = self.lock();
        self.is_paused.store(true, Ordering::Release);
    }

    /// Returns the number of tasks.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns the mean duration of a turn.
    pub(crate) fn turn(&self) -> Duration {
        Duration::from_nanos(self.turn.load(Ordering::Relaxed))
    }

    fn is_open(&self) -> bool {
        let is_open = self.is_ready.load(Ordering::Acquire) && !self.is_paused.load(Ordering::Acquire);
        is_open && self.len() < self.tasks_max && self.turn() <= TURN_MAX
    }

    /// Adds a turn to the mean, counted as at most [`TURN_COUNTED_MAX`]: the thread may also have waited for a processor,
    /// and the engine reports longer turns by itself. Detaches all tasks if turns have become too long.
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

    fn attach<T: AttachedTask>(&self, task: T) -> Result<(), T> {
        {
            let mut inner = self.lock();
            if !self.is_open() {
                return Err(task);
            }
            inner.last += 1;
            let key = inner.last;
            let entry = Entry {
                task: Mutex::new(Some(Box::new(task))),
                waker: AtomicWaker::new(),
            };
            inner.entries.insert(key, Arc::new(entry));
            inner.arrivals.push(key);
            self.count.store(inner.entries.len(), Ordering::Relaxed);
            self.has_arrivals.store(true, Ordering::Release);
        }
        self.bell.wake_by_ref();
        Ok(())
    }

    /// Begins to poll the tasks that have arrived. Called by the worker's event loop.
    pub(crate) fn start_arrivals(self: &Arc<Self>) {
        if !self.has_arrivals.load(Ordering::Acquire) {
            return;
        }
        let mut inner = self.lock();
        self.has_arrivals.store(false, Ordering::Relaxed);
        for key in std::mem::take(&mut inner.arrivals) {
            if let Some(entry) = inner.entries.get(&key) {
                spawn_local(Arc::clone(self).drive(key, Arc::clone(entry)));
            }
        }
    }

    /// Polls a task on the worker's thread until it ends or is detached.
    async fn drive(self: Arc<Self>, key: u64, entry: Arc<Entry>) {
        poll_fn(|cx| entry.poll(cx)).await;
        let mut inner = self.lock();
        inner.entries.remove(&key);
        self.count.store(inner.entries.len(), Ordering::Relaxed);
    }

    /// Detaches all tasks, except one that is being polled, because then the thread is not in a long turn.
    pub(crate) fn evict(&self) {
        let mut leaving = Vec::new();
        {
            let mut inner = self.lock();
            inner.entries.retain(|_, entry| match entry.take() {
                Some(task) => {
                    leaving.push((task, Arc::clone(entry)));
                    false
                }
                None => true,
            });
            self.count.store(inner.entries.len(), Ordering::Relaxed);
        }
        for (task, entry) in leaving {
            // A panic of the embedder's code must not end the supervisor.
            if catch_unwind(AssertUnwindSafe(|| task.detach())).is_err() {
                tracing::error!("a task attached to a worker panicked as it was detached");
            }
            // Lets the future that polled the task end.
            entry.waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Polls the task, unless it was detached.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waker.register(cx.waker());
        let mut place = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(task) = place.as_mut() else {
            return Poll::Ready(());
        };
        match catch_unwind(AssertUnwindSafe(|| task.poll(cx))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(())) => {}
            Err(_) => tracing::error!("a task attached to a worker panicked, and was dropped"),
        }
        let gone = place.take();
        drop(place);
        if catch_unwind(AssertUnwindSafe(|| drop(gone))).is_err() {
            tracing::error!("a task attached to a worker panicked while it was dropped");
        }
        Poll::Ready(())
    }

    /// Removes the task, unless it is being polled or has ended.
    fn take(&self) -> Option<Box<dyn AttachedTask>> {
        match self.task.try_lock() {
            Ok(mut place) => place.take(),
            Err(TryLockError::Poisoned(place)) => place.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

#[cfg(not(feature = "shuttle"))]
fn spawn_local(task: impl Future<Output = ()> + 'static) {
    // The handle is not needed: the local task ends with the attached one, whose panics it catches.
    drop(tokio::task::spawn_local(task));
}

/// Simulated threads have no `LocalSet`, and no attached tasks.
#[cfg(feature = "shuttle")]
fn spawn_local(_task: impl Future<Output = ()> + 'static) {}

/// Guard that detaches all tasks when dropped, also during a panic, while the runtime of the tasks' sockets still exists.
pub(crate) struct DetachesAll<'a>(pub(crate) &'a AttachedTasks);

impl Drop for DetachesAll<'_> {
    fn drop(&mut self) {
        self.0.close();
        self.0.evict();
    }
}
