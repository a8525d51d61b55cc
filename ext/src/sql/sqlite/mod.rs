//! Runs statements on SQLite: a pool of connections, each with its own thread.
//!
//! `rusqlite` is used instead of sqlx because it offers what is needed against hostile statements: SQLite's limits, its
//! authorizer, and threads with a chosen stack size. A call is passed to a connection's thread and returned as a whole.
//! If its caller leaves, the call is stopped, and the thread is reused.

mod authorize;
mod connection;
mod cursor;
mod execute;
mod functions;
mod local;
mod near;
mod nesting;
mod stop;
mod thread;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::connection::Place;
pub(crate) use self::local::{LocalDatabase, ROW_BYTES_MAX, StatementStack};
pub(crate) use self::near::{Near, Offered};
pub use self::stop::is_call_stopped;
use self::stop::{Stop, StopOnDrop};
use super::call::{Call, SqlError};
use super::config::SqlConfig;
use super::value::ResultSet;

/// The connections of a database.
#[derive(Clone)]
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    config: SqlConfig,
    place: Place,
    permits: Arc<Semaphore>,
    /// The most recently used one is last.
    idle: Mutex<Vec<Idle>>,
    threads: AtomicU64,
}

/// A connection that waits for a call.
struct Idle {
    thread: u64,
    jobs: SyncSender<Handed>,
}

/// A call, with the channel of the connection that receives it. While the connection is idle, only the list has that
/// channel, so its thread notices when the pool is dropped.
struct Handed {
    job: Job,
    jobs: SyncSender<Handed>,
}

/// A call on its way to a connection.
struct Job {
    call: Call,
    stop: Arc<Stop>,
    reply: oneshot::Sender<Result<Vec<ResultSet>, SqlError>>,
    permit: OwnedSemaphorePermit,
    /// The place for a connection for short reads.
    near: Option<Offered>,
}

/// Returns whether a URL is that of a file, whose connections need no runtime and may end with the worker.
pub(super) fn is_file(url: &str) -> bool {
    url.starts_with("sqlite:") && matches!(Place::of(url), Ok(Place::File { .. }))
}

impl Pool {
    /// Creates a pool, which connects on first use.
    pub(super) fn new(config: &SqlConfig) -> Result<Self, SqlError> {
        let place = Place::of(&config.url)?;
        // An in-memory database ends with its connection, so there is only one, which is kept.
        let connections = match place {
            Place::Memory => 1,
            Place::File { .. } | Place::Own(_) => config.max_connections.max(1),
        };
        Ok(Self(Arc::new(Shared {
            config: config.clone(),
            place,
            permits: Arc::new(Semaphore::new(connections as usize)),
            idle: Mutex::default(),
            threads: AtomicU64::new(0),
        })))
    }

    /// Runs a call. Dropping the future stops it. `near` gets a connection afterwards.
    pub(super) async fn run(&self, call: Call, near: Option<Offered>) -> Result<Vec<ResultSet>, SqlError> {
        let ended = || SqlError::Connection("the connection has ended".to_owned());
        let permit = self.0.permits.clone().acquire_owned().await.map_err(|_| ended())?;
        let stop = Arc::new(Stop::new(call.deadline, call.cpu.clone()));
        let (reply, answer) = oneshot::channel();
        let _stop_on_drop = StopOnDrop(stop.clone());
        self.0.give(Job {
            call,
            stop,
            reply,
            permit,
            near,
        })?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes a call to an idle connection, or to a new one.
    fn give(self: &Arc<Self>, mut job: Job) -> Result<(), SqlError> {
        loop {
            let Some(idle) = self.idle().pop() else {
                let thread = self.threads.fetch_add(1, Ordering::Relaxed);
                return thread::start(self, thread, job);
            };
            let jobs = idle.jobs.clone();
            match idle.jobs.try_send(Handed { job, jobs }) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(back) | TrySendError::Disconnected(back)) => job = back.job,
            }
        }
    }

    /// Removes a connection from the list. Returns `false` if a call is on its way to it.
    fn retire(&self, thread: u64) -> bool {
        let mut idle = self.idle();
        let before = idle.len();
        idle.retain(|idle| idle.thread != thread);
        idle.len() < before
    }
}
