//! The thread on which a connection lives.
//!
//! A connection starts on the server's runtime. If its requests are answered by one worker, it moves to that worker's thread,
//! so that no thread has to be woken for a request or its response. It moves back when it has to leave, at any time, also in
//! the middle of a request. Whatever the thread, it is the same future: limits, alarms, metrics and drain do not notice.

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

/// Time on the server's runtime before a connection that had to leave a thread moves again.
const STAY_MIN: Duration = Duration::from_secs(1);

/// Number of consecutive requests answered by one worker after which a connection moves to its thread.
const ANSWERS_MIN: u32 = 2;

/// The number of no home: the connection is on the server's runtime.
const SERVER: u64 = 0;

/// A thread to which connections can move.
pub trait Home: Send {
    /// Moves a connection there. The thread then calls [`Resident::poll`] at once, and whenever its waker is woken.
    ///
    /// # Errors
    /// It takes no connections now. The connection is returned.
    fn take(self: Box<Self>, connection: Resident) -> Result<(), Resident>;
}

/// The place of a connection, shared by its future, its byte stream and its requests.
pub struct Residence {
    /// The number of the home.
    home: AtomicU64,
    /// Number of moves. The byte stream compares it to notice that it is polled by another runtime.
    moves: AtomicU32,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Destination after the current poll.
    wish: Option<Wish>,
    /// The home that answered last, and the number of consecutive answers from there.
    answers: (u64, u32),
    /// When it last left a home, or was not taken by one.
    left: Option<Instant>,
}

enum Wish {
    Server,
    Home(u64, Box<dyn Home>),
}

impl Residence {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            home: AtomicU64::new(SERVER),
            moves: AtomicU32::new(0),
            state: Mutex::default(),
        })
    }

    /// Returns the number of the home in which the connection lives. `None`: on the server's runtime.
    #[must_use]
    pub fn home(&self) -> Option<u64> {
        Some(self.home.load(Ordering::Relaxed)).filter(|home| *home != SERVER)
    }

    /// Records that a request of the connection was answered by a worker, and the number of its home, which is not zero. If the
    /// connection should move there, calls `open`; `None` says that it cannot.
    pub fn answered_by(&self, home: u64, open: impl FnOnce() -> Option<Box<dyn Home>>) {
        if self.home.load(Ordering::Relaxed) == home {
            return;
        }
        let mut state = self.lock();
        let (last, times) = state.answers;
        state.answers = (home, if last == home { times.saturating_add(1) } else { 1 });
        let may_move = state.left.is_none_or(|left| left.elapsed() >= STAY_MIN);
        if state.answers.1 >= ANSWERS_MIN && may_move {
            state.wish = open().map(|to| Wish::Home(home, to));
        }
    }

    /// Waits until the connection is on the server's runtime.
    pub(crate) async fn return_to_server(&self) {
        poll_fn(|_| match self.home() {
            None => Poll::Ready(()),
            Some(_) => {
                // Polled again there.
                self.lock().wish = Some(Wish::Server);
                Poll::Pending
            }
        })
        .await;
    }

    /// Returns the number of moves so far.
    pub(crate) fn moves(&self) -> u32 {
        self.moves.load(Ordering::Acquire)
    }

    fn moves_to(&self, home: u64) {
        self.home.store(home, Ordering::Release);
        self.moves.fetch_add(1, Ordering::AcqRel);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Residence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Residence")
            .field("home", &self.home())
            .finish_non_exhaustive()
    }
}

/// A connection that moves between threads. Dropping it closes the connection.
pub struct Resident(Option<Moving>);

struct Moving {
    connection: Pin<Box<dyn Future<Output = ()> + Send>>,
    residence: Arc<Residence>,
    server: Handle,
}

impl Resident {
    /// Starts to serve a connection on the server's runtime.
    pub(crate) fn start(
        connection: impl Future<Output = ()> + Send + 'static,
        residence: Arc<Residence>,
        server: Handle,
    ) {
        let connection = Box::pin(connection);
        Self(Some(Moving {
            connection,
            residence,
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
        let wish = moving.residence.lock().wish.take();
        let Some(wish) = wish else { return Poll::Pending };
        let moved = Self(self.0.take());
        match wish {
            Wish::Server => moved.leave(),
            Wish::Home(home, to) => moved.move_to(home, to),
        }
        Poll::Ready(())
    }

    /// Moves the connection to the server's runtime, where it goes on. Can be called on any thread.
    pub fn leave(self) {
        if let Some(moving) = &self.0 {
            moving.residence.moves_to(SERVER);
            let mut state = moving.residence.lock();
            state.left = Some(Instant::now());
            state.answers = (SERVER, 0);
        }
        self.run_on_server();
    }

    fn move_to(self, home: u64, to: Box<dyn Home>) {
        if let Some(moving) = &self.0 {
            moving.residence.moves_to(home);
        }
        if let Err(returned) = to.take(self) {
            returned.leave();
        }
    }

    fn run_on_server(mut self) {
        if let Some(server) = self.0.as_ref().map(|moving| moving.server.clone()) {
            server.spawn(poll_fn(move |cx| self.poll(cx)));
        }
    }
}

impl fmt::Debug for Resident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Resident")
    }
}
