//! A SQLite file with its own threads: one that writes, and a few that read.
//!
//! A write is acknowledged when it is on the disk. Writes that wait at the same time are committed together, so that one sync
//! acknowledges all of them. Other processes may use the same file: SQLite's locks keep their transactions apart.
//!
//! The threads start on first use and end when the last handle is dropped. An operation is queued when it is called. Dropping
//! its future abandons it, unless a thread has begun it.

mod open;
mod read;
mod write;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flume::{Receiver, Sender, TrySendError};
use futures::channel::oneshot;
use rusqlite::{Connection, ErrorCode};

use self::read::ReadJob;
use self::write::{Pending, Told, WriteJob};
use super::{StorageError, StorageFuture};

pub(crate) use self::open::{Schema, write_ahead};

/// The location and the limits of a file.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) path: PathBuf,
    /// The beginning of the names of its threads.
    pub(crate) threads: &'static str,
    pub(crate) schema: Schema,
    /// Maximum size of the file.
    pub(crate) bytes_max: u64,
    /// Maximum number of threads that read.
    pub(crate) readers_max: usize,
    /// Maximum number of reads, and of writes, that wait for a thread.
    pub(crate) queue_len_max: usize,
    /// Removes a bounded number of expired rows, and returns whether there are more. Called in its own transaction, from
    /// time to time.
    pub(crate) sweep: Option<fn(&Connection) -> rusqlite::Result<bool>>,
    /// Time between two sweeps, if the first was complete.
    pub(crate) sweep_every: Duration,
}

/// A handle to a file. Clones share its threads.
#[derive(Clone)]
pub(crate) struct Database(Arc<Shared>);

struct Shared {
    options: Options,
    reads: Queue<ReadJob>,
    writes: Queue<Box<dyn WriteJob>>,
    started: Mutex<Started>,
    /// The number of threads that wait for a read.
    idle: Arc<AtomicUsize>,
}

/// Operations that wait for a thread. The threads have receivers of their own, and end when the sender is dropped.
type Queue<J> = (Sender<J>, Receiver<J>);

/// The threads that have been started.
#[derive(Default)]
struct Started {
    writer: bool,
    readers: usize,
}

impl Database {
    /// Creates a handle. The file is opened, and created if it is missing, on first use.
    pub(crate) fn new(options: Options) -> Self {
        let len_max = options.queue_len_max.max(1);
        Self(Arc::new(Shared {
            reads: flume::bounded(len_max),
            writes: flume::bounded(len_max),
            started: Mutex::default(),
            idle: Arc::default(),
            options,
        }))
    }

    /// Runs `body` on a thread that reads.
    pub(crate) fn read<T: Send + 'static>(
        &self,
        body: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
    ) -> StorageFuture<T> {
        let (reply, answer) = oneshot::channel();
        let bytes_max = self.0.options.bytes_max;
        let job: ReadJob = Box::new(move |opened| {
            if !reply.is_canceled() {
                let result = opened.and_then(|connection| body(connection).map_err(|failed| failed.told(bytes_max)));
                drop(reply.send(result));
            }
        });
        let given = self.start_reader().and_then(|()| self.give(&self.0.reads.0, job));
        Box::pin(async move { given.map(|()| answer)?.await.unwrap_or_else(|_| Err(ended())) })
    }

    /// Runs `body` on the thread that writes, in a transaction that is undone if it fails, and resolves when the transaction is
    /// on the disk. `bytes` is the approximate size of what it writes.
    pub(crate) fn write<T: Send + 'static>(
        &self,
        bytes: usize,
        body: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
    ) -> StorageFuture<T> {
        self.write_told(bytes, Told::Durable, body)
    }

    /// Runs `body` like [`write`](Self::write), and resolves when its writes are visible. They survive a crash of the process, but
    /// may be lost in a crash of the machine.
    pub(crate) fn write_unsynced<T: Send + 'static>(
        &self,
        body: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
    ) -> StorageFuture<T> {
        self.write_told(0, Told::Seen, body)
    }

    fn write_told<T: Send + 'static>(
        &self,
        bytes: usize,
        told: Told,
        body: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
    ) -> StorageFuture<T> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Pending::new(bytes, told, self.0.options.bytes_max, body, Some(reply)));
        let given = self.start_writer().and_then(|()| self.give(&self.0.writes.0, job));
        Box::pin(async move { given.map(|()| answer)?.await.unwrap_or_else(|_| Err(ended())) })
    }

    /// Runs `body` like [`write`](Self::write), without a result. A failure is logged.
    ///
    /// # Errors
    /// Too many writes wait already.
    pub(crate) fn post(
        &self,
        bytes: usize,
        body: impl FnOnce(&Connection) -> Result<(), Failed> + Send + 'static,
    ) -> Result<(), StorageError> {
        let job = Box::new(Pending::new(bytes, Told::Durable, self.0.options.bytes_max, body, None));
        self.start_writer()?;
        self.give(&self.0.writes.0, job)
    }

    fn give<J>(&self, jobs: &Sender<J>, job: J) -> Result<(), StorageError> {
        jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StorageError::Overloaded(self.0.options.queue_len_max),
            TrySendError::Disconnected(_) => ended(),
        })
    }

    /// Starts a thread that reads, unless one is idle or there are enough.
    fn start_reader(&self) -> Result<(), StorageError> {
        if self.0.idle.load(Ordering::Relaxed) > 0 {
            return Ok(());
        }
        let mut started = self.0.started.lock().unwrap_or_else(PoisonError::into_inner);
        if started.readers >= self.0.options.readers_max.max(1) {
            return Ok(());
        }
        let name = format!("{}-{}", self.0.options.threads, started.readers);
        let (options, jobs, idle) = (self.0.options.clone(), self.0.reads.1.clone(), self.0.idle.clone());
        let spawned = thread(name, move || read::serve(&options, &jobs, &idle));
        match spawned {
            Ok(()) => started.readers += 1,
            // If it cannot start, the other threads continue to read.
            Err(_) if started.readers > 0 => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn start_writer(&self) -> Result<(), StorageError> {
        let mut started = self.0.started.lock().unwrap_or_else(PoisonError::into_inner);
        if !started.writer {
            let (options, jobs) = (self.0.options.clone(), self.0.writes.1.clone());
            thread(format!("{}-w", options.threads), move || write::serve(&options, &jobs))?;
            started.writer = true;
        }
        Ok(())
    }
}

fn thread(name: String, body: impl FnOnce() + Send + 'static) -> Result<(), StorageError> {
    let spawned = std::thread::Builder::new().name(name).spawn(body);
    spawned
        .map(drop)
        .map_err(|error| StorageError::Failed(format!("cannot start its thread: {error}")))
}

fn ended() -> StorageError {
    StorageError::Failed("the thread of the file has failed".to_owned())
}

/// An error in the body of an operation.
#[derive(Debug)]
pub(crate) enum Failed {
    Sqlite(rusqlite::Error),
    Storage(StorageError),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StorageError> for Failed {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl Failed {
    /// The error for the caller of an operation on a file of this size at most.
    fn told(self, bytes_max: u64) -> StorageError {
        match self {
            Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                StorageError::Full(bytes_max)
            }
            Self::Sqlite(error) => StorageError::Failed(error.to_string()),
            Self::Storage(error) => error,
        }
    }
}
