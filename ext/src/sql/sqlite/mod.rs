//! Statements on SQLite: a pool of connections, each on a thread of its own.
//!
//! SQLite is called by `rusqlite` rather than by sqlx, because it gives what keeps a hostile statement harmless: SQLite's
//! limits, its authorizer, and threads whose stack we choose. A call is handed to a connection's thread as a whole and comes back
//! as a whole. Whoever waits for it may leave: then the thread is told to stop, and is lent out again once it has.

mod authorize;
mod connection;
mod execute;
mod functions;
mod nesting;
mod stop;
mod thread;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::connection::Place;
use self::stop::{Stop, StopOnDrop};
use super::call::{Call, SqlError};
use super::config::SqlConfig;
use super::value::ResultSet;

/// The connections of one database.
#[derive(Clone)]
pub(super) struct Pool(Arc<Shared>);

struct Shared {
    config: SqlConfig,
    place: Place,
    permits: Arc<Semaphore>,
    /// The most recently used is the last.
    idle: Mutex<Vec<Idle>>,
    threads: AtomicU64,
}

/// A connection that waits for a call.
struct Idle {
    thread: u64,
    jobs: SyncSender<Handed>,
}

/// A call, and the way to the connection that it is handed to. While that is idle, the list alone has the way to it: so its
/// thread learns that the pool is gone.
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
}

impl Pool {
    /// Connects when it is first used.
    pub(super) fn new(config: &SqlConfig) -> Result<Self, SqlError> {
        let place = Place::of(&config.url)?;
        // A database in memory is gone with its connection, so there is one, and it stays.
        let connections = match place {
            Place::Memory => 1,
            Place::File { .. } => config.max_connections.max(1),
        };
        Ok(Self(Arc::new(Shared {
            config: config.clone(),
            place,
            permits: Arc::new(Semaphore::new(connections as usize)),
            idle: Mutex::default(),
            threads: AtomicU64::new(0),
        })))
    }

    /// Runs a call. Dropping the future stops it.
    pub(super) async fn run(&self, call: Call) -> Result<Vec<ResultSet>, SqlError> {
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
        })?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Shared {
    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a call to a connection that is idle, or to a new one.
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

    /// Takes a connection off the list. `false` where a call is on its way to it.
    fn retire(&self, thread: u64) -> bool {
        let mut idle = self.idle();
        let before = idle.len();
        idle.retain(|idle| idle.thread != thread);
        idle.len() < before
    }
}
