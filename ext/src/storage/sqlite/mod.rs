//! A SQLite file with its own threads: one writer and a few readers. Small reads run on the caller's thread.
//!
//! A write is acknowledged when it is on disk. Waiting writes are committed together, so that one sync acknowledges all of
//! them. Other processes may use the same file; SQLite's locks isolate their transactions.
//!
//! The threads start on first use and end when the last handle is dropped. A call queues its operation; dropping the future
//! abandons it, unless a thread has begun it.

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
use self::write::{Acknowledged, Pending, WriteJob};
use super::{StorageError, StorageFuture};

pub(crate) use self::open::{Schema, patiently, write_ahead};

/// The location and the limits of a file.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) path: PathBuf,
    /// The prefix of its threads' names.
    pub(crate) threads: &'static str,
    pub(crate) schema: Schema,
    /// Maximum size of the file.
    pub(crate) bytes_max: u64,
    /// Maximum number of reader threads.
    pub(crate) readers_max: usize,
    /// Maximum number of waiting reads, and of waiting writes.
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
    /// The number of idle readers.
    idle: Arc<AtomicUsize>,
    near: Arc<Near>,
}

/// Idle connections for reads on callers' threads.
type Near = Mutex<Vec<Connection>>;

/// Waiting operations. Each thread has a receiver, and ends when the sender is dropped.
type Queue<J> = (Sender<J>, Receiver<J>);

/// The running threads.
#[derive(Default)]
struct Started {
    writer: bool,
    readers: usize,
}

impl Database {
    /// Creates a handle. The file is opened on first use, and created if it is missing.
    pub(crate) fn new(options: Options) -> Self {
        let len_max = options.queue_len_max.max(1);
        Self(Arc::new(Shared {
            reads: flume::bounded(len_max),
            writes: flume::bounded(len_max),
            started: Mutex::default(),
            idle: Arc::default(),
            near: Arc::default(),
            options,
        }))
    }

    /// Runs `body` on a reader.
    pub(crate) fn read<T: Send + 'static>(
        &self,
        body: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
    ) -> StorageFuture<T> {
        let (reply, answer) = oneshot::channel();
        let bytes_max = self.0.options.bytes_max;
        let job: ReadJob = Box::new(move |opened| {
            if !reply.is_canceled() {
                let result =
                    opened.and_then(|connection| body(connection).map_err(|failed| failed.into_error(bytes_max)));
                drop(reply.send(result));
            }
        });
        let given = self.start_reader().and_then(|()| self.give(&self.0.reads.0, job));
        Box::pin(async move { given.map(|()| answer)?.await.unwrap_or_else(|_| Err(ended())) })
    }

    /// Runs a read of a few pages on the caller's thread, which saves two thread switches. `None`: no connection is idle, or
    /// `body` declined or failed; the caller falls back to [`read`](Self::read). It never opens the file.
    pub(crate) fn read_near<T>(&self, body: impl FnOnce(&Connection) -> Result<Option<T>, Failed>) -> Option<T> {
        let near = &self.0.near;
        let connection = near.try_lock().ok()?.pop()?;
        let found = body(&connection);
        if let Ok(mut idle) = near.lock() {
            idle.push(connection);
        }
        found.ok().flatten()
    }

    /// Runs `body` on the writer, in a transaction that is rolled back if it fails, and resolves when the transaction is on
    /// disk. `bytes` is the approximate size of the written data.
    pub(crate) fn write<T: Send + 'static>(
        &self,
        bytes: usize,
        body: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
    ) -> StorageFuture<T> {
        self.write_with(bytes, Acknowledged::OnDisk, body)
    }

    /// Runs `body` like [`write`](Self::write), and resolves when its writes are visible. They survive a crash of the process, but
    /// may be lost in a crash of the machine.
    pub(crate) fn write_unsynced<T: Send + 'static>(
        &self,
        body: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
    ) -> StorageFuture<T> {
        self.write_with(0, Acknowledged::Visible, body)
    }

    fn write_with<T: Send + 'static>(
        &self,
        bytes: usize,
        acknowledged: Acknowledged,
        body: impl FnOnce(&Connection) -> Result<T, Failed> + Send + 'static,
    ) -> StorageFuture<T> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Pending::new(
            bytes,
            acknowledged,
            self.0.options.bytes_max,
            body,
            Some(reply),
        ));
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
        let job = Box::new(Pending::new(
            bytes,
            Acknowledged::OnDisk,
            self.0.options.bytes_max,
            body,
            None,
        ));
        self.start_writer()?;
        self.give(&self.0.writes.0, job)
    }

    fn give<J>(&self, jobs: &Sender<J>, job: J) -> Result<(), StorageError> {
        jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StorageError::Overloaded(self.0.options.queue_len_max),
            TrySendError::Disconnected(_) => ended(),
        })
    }

    /// Starts a reader, unless one is idle or there are enough.
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
        let near = Arc::downgrade(&self.0.near);
        let spawned = thread(name, move || read::serve(&options, &jobs, &idle, &near));
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
    /// Converts to the error for the caller of an operation on a file with this maximum size.
    fn into_error(self, bytes_max: u64) -> StorageError {
        match self {
            Self::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                StorageError::Full(bytes_max)
            }
            Self::Sqlite(error) => StorageError::Failed(error.to_string()),
            Self::Storage(error) => error,
        }
    }
}
