//! The thread on which a connection lives.
//!
//! A connection starts on the server's runtime. If one worker answers its requests, it moves to that worker's thread, so
//! that no other thread has to be woken for a request or its response. It may have to move back at any time, even during a
//! request. It is the same future on every thread, so limits, alarms, metrics and drain are not affected.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::runtime::Handle;

/// Minimum time on the server's runtime for a connection that had to leave a thread.
const STAY_MIN: Duration = Duration::from_secs(1);

/// Number of consecutive requests answered by one worker after which a connection moves to its thread.
const ANSWERS_MIN: u32 = 2;

/// The thread number of the server's runtime.
const SERVER: u64 = 0;

/// A thread to which connections can move.
pub trait ConnectionThread: Send {
    /// Moves a connection to this thread, which then calls [`MovableConnection::poll`] at once, and whenever its waker is woken.
    ///
    /// # Errors
    /// Returns the connection if the thread takes none now.
    fn attach(self: Box<Self>, connection: MovableConnection) -> Result<(), MovableConnection>;
}

/// The location of a connection, shared by its future, its byte stream and its requests.
pub struct Location {
    /// The number of the thread.
    thread: AtomicU64,
    /// Number of moves, by which the byte stream detects that it is polled by another runtime.
    moves: AtomicU32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Destination after the current poll.
    destination: Option<Destination>,
    /// The thread that answered last, and the number of its consecutive answers.
    answers: (u64, u32),
    /// Time at which it last left a thread, or was refused by one.
    left: Option<Instant>,
}

enum Destination {
    Server,
    Thread(u64, Box<dyn ConnectionThread>),
}

impl Location {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            thread: AtomicU64::new(SERVER),
            moves: AtomicU32::new(0),
            state: Mutex::default(),
        })
    }

    /// Returns the number of the connection's thread; `None` for the server's runtime.
    #[must_use]
    pub fn thread(&self) -> Option<u64> {
        Some(self.thread.load(Ordering::Relaxed)).filter(|thread| *thread != SERVER)
    }

    /// Records that a worker answered a request of the connection. `thread` is the number of the worker's thread, never
    /// zero. If the connection should move there, calls `open`, which returns `None` if it cannot.
    pub fn answered_by(&self, thread: u64, open: impl FnOnce() -> Option<Box<dyn ConnectionThread>>) {
        if self.thread.load(Ordering::Relaxed) == thread {
            return;
        }
        let mut state = self.lock();
        let (last, times) = state.answers;
        state.answers = (thread, if last == thread { times.saturating_add(1) } else { 1 });
        let may_move = state.left.is_none_or(|left| left.elapsed() >= STAY_MIN);
        if state.answers.1 >= ANSWERS_MIN && may_move {
            state.destination = open().map(|to| Destination::Thread(thread, to));
        }
    }

    /// Waits until the connection is on the server's runtime.
    pub(crate) async fn return_to_server(&self) {
        poll_fn(|_| match self.thread() {
            None => Poll::Ready(()),
            Some(_) => {
                // Effective after the current poll.
                self.lock().destination = Some(Destination::Server);
                Poll::Pending
            }
        })
        .await;
    }

    /// Returns the number of moves so far.
    pub(crate) fn moves(&self) -> u32 {
        self.moves.load(Ordering::Acquire)
    }

    fn moves_to(&self, thread: u64) {
        self.thread.store(thread, Ordering::Release);
        self.moves.fetch_add(1, Ordering::AcqRel);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Location")
            .field("thread", &self.thread())
            .finish_non_exhaustive()
    }
}

/// A connection that moves between threads. Dropping it closes the connection.
pub struct MovableConnection(Option<Moving>);

struct Moving {
    connection: Pin<Box<dyn Future<Output = ()> + Send>>,
    location: Arc<Location>,
    server: Handle,
}

impl MovableConnection {
    /// Starts to serve a connection on the server's runtime.
    pub(crate) fn start(
        connection: impl Future<Output = ()> + Send + 'static,
        location: Arc<Location>,
        server: Handle,
    ) {
        let connection = Box::pin(connection);
        Self(Some(Moving {
            connection,
            location,
            server,
        }))
        .run_on_server();
    }

    /// Drives the connection. Ready if it has ended, or has moved to another thread.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(moving) = &mut self.0 else {
            return Poll::Ready(());
        };
        if moving.connection.as_mut().poll(cx).is_ready() {
            self.0 = None;
            return Poll::Ready(());
        }
        let destination = moving.location.lock().destination.take();
        let Some(destination) = destination else {
            return Poll::Pending;
        };
        let moved = Self(self.0.take());
        match destination {
            Destination::Server => moved.return_to_server(),
            Destination::Thread(thread, to) => moved.move_to(thread, to),
        }
        Poll::Ready(())
    }

    /// Moves the connection to the server's runtime, where it continues. Can be called on any thread.
    pub fn return_to_server(self) {
        if let Some(moving) = &self.0 {
            moving.location.moves_to(SERVER);
            let mut state = moving.location.lock();
            state.left = Some(Instant::now());
            state.answers = (SERVER, 0);
        }
        self.run_on_server();
    }

    fn move_to(self, thread: u64, to: Box<dyn ConnectionThread>) {
        if let Some(moving) = &self.0 {
            moving.location.moves_to(thread);
        }
        if let Err(returned) = to.attach(self) {
            returned.return_to_server();
        }
    }

    fn run_on_server(mut self) {
        if let Some(server) = self.0.as_ref().map(|moving| moving.server.clone()) {
            server.spawn(poll_fn(move |cx| self.poll(cx)));
        }
    }
}

impl fmt::Debug for MovableConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MovableConnection")
    }
}
