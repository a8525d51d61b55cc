//! The writer thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use flume::{Receiver, RecvTimeoutError};
use futures::channel::oneshot;
use rusqlite::Connection;

use super::open::{Use, open};
use super::{Failed, Options};
use crate::storage::StorageError;

/// Maximum number of writes in a transaction.
const WRITES_MAX: usize = 512;
/// Size of a transaction at which it takes no more writes.
const BYTES_MAX: usize = 8 << 20;
/// Time between two sweeps if the first was incomplete, in which others can write.
const SWEEP_ON: Duration = Duration::from_millis(20);

/// A write that waits for its transaction.
pub(super) trait WriteJob: Send {
    /// Approximate number of bytes that it writes.
    fn bytes(&self) -> usize;

    /// The time at which its caller gets the result.
    fn acknowledged(&self) -> Acknowledged;

    /// Runs the write. Returns `false` if its changes must be rolled back.
    fn run(&mut self, connection: &Connection) -> bool;

    /// Sends the result to the caller, once the transaction has ended.
    fn finish(self: Box<Self>, committed: Result<(), StorageError>);
}

/// The time at which the caller of a write gets the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Acknowledged {
    /// Once it is on disk.
    OnDisk,
    /// Once it is visible. It survives a crash of the process, but maybe not of the machine.
    Visible,
}

/// A write, and the channel for its result.
pub(super) struct Pending<T, F> {
    bytes: usize,
    acknowledged: Acknowledged,
    /// The maximum size of the file.
    bytes_max: u64,
    body: Option<F>,
    result: Option<Result<T, StorageError>>,
    /// `None` for a write without a caller, which cannot be abandoned.
    reply: Option<oneshot::Sender<Result<T, StorageError>>>,
}

impl<T, F> Pending<T, F> {
    pub(super) fn new(
        bytes: usize,
        acknowledged: Acknowledged,
        bytes_max: u64,
        body: F,
        reply: Option<oneshot::Sender<Result<T, StorageError>>>,
    ) -> Self {
        Self {
            bytes,
            acknowledged,
            bytes_max,
            body: Some(body),
            result: None,
            reply,
        }
    }
}

impl<T, F> WriteJob for Pending<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, Failed> + Send,
{
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn acknowledged(&self) -> Acknowledged {
        self.acknowledged
    }

    fn run(&mut self, connection: &Connection) -> bool {
        // Abandoned writes are skipped.
        let body = self
            .body
            .take()
            .filter(|_| !self.reply.as_ref().is_some_and(oneshot::Sender::is_canceled));
        let result = body.map(|body| body(connection).map_err(|failed| failed.into_error(self.bytes_max)));
        let is_ok = matches!(result, Some(Ok(_)));
        self.result = result;
        is_ok
    }

    fn finish(self: Box<Self>, committed: Result<(), StorageError>) {
        let result = match (self.result, committed) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            // Abandoned: the caller no longer waits.
            (None, Ok(())) => return,
        };
        match self.reply {
            Some(reply) => drop(reply.send(result)),
            None => {
                drop(result.inspect_err(|error| tracing::warn!(target: "isopod::storage", "a write was lost: {error}")))
            }
        }
    }
}

/// Serves writes until the last handle is dropped.
pub(super) fn serve(options: &Options, jobs: &Receiver<Box<dyn WriteJob>>) {
    let mut connection = None;
    let mut sweep_at = Instant::now();
    loop {
        let first = match options.sweep {
            Some(_) => jobs.recv_deadline(sweep_at),
            None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match first {
            Ok(first) => {
                let batch = batch(first, jobs);
                if catch_unwind(AssertUnwindSafe(|| commit(options, &mut connection, batch))).is_err() {
                    // The transaction is rolled back, and the callers see their channels closed.
                    connection = None;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if let (Some(sweep), true) = (options.sweep, Instant::now() >= sweep_at) {
            let has_more = connection.as_ref().is_some_and(|connection| swept(connection, sweep));
            sweep_at = Instant::now() + if has_more { SWEEP_ON } else { options.sweep_every };
        }
    }
}

/// Returns the waiting writes, up to the limits of a transaction.
fn batch(first: Box<dyn WriteJob>, jobs: &Receiver<Box<dyn WriteJob>>) -> Vec<Box<dyn WriteJob>> {
    let mut bytes = first.bytes();
    let mut batch = vec![first];
    while batch.len() < WRITES_MAX && bytes < BYTES_MAX {
        let Ok(next) = jobs.try_recv() else { break };
        bytes = bytes.saturating_add(next.bytes());
        batch.push(next);
    }
    batch
}

/// Commits writes in one transaction, and sends the results.
fn commit(options: &Options, connection: &mut Option<Connection>, mut batch: Vec<Box<dyn WriteJob>>) {
    let opened = match connection {
        Some(connection) => Ok(&*connection),
        none => open(options, Use::Writes).map(|opened| &*none.insert(opened)),
    };
    let all_are_visible = batch.iter().all(|job| job.acknowledged() == Acknowledged::Visible);
    let committed = opened.and_then(|connection| {
        let done = match all_are_visible {
            true => without_sync(connection, || transact(connection, &mut batch)),
            false => transact(connection, &mut batch),
        };
        done.map_err(|error| {
            if !connection.is_autocommit() {
                drop(connection.execute_batch("ROLLBACK"));
            }
            Failed::from(error).into_error(options.bytes_max)
        })
    });
    for job in batch {
        job.finish(committed.clone());
    }
}

/// Runs transactions without a sync. They are on disk once a later one is synced.
fn without_sync<T>(connection: &Connection, run: impl FnOnce() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    // Source: https://www.sqlite.org/pragma.html#pragma_synchronous
    connection.pragma_update(None, "synchronous", "normal")?;
    let done = run();
    // It cannot be changed within a transaction.
    if !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    connection.pragma_update(None, "synchronous", "full")?;
    done
}

fn transact(connection: &Connection, batch: &mut [Box<dyn WriteJob>]) -> rusqlite::Result<()> {
    let run = |sql: &str| connection.prepare_cached(sql)?.execute([]).map(drop);
    run("BEGIN IMMEDIATE")?;
    for job in batch {
        run("SAVEPOINT one")?;
        let keeps = job.run(connection);
        if connection.is_autocommit() {
            // SQLite has rolled the whole transaction back, as it may when the disk is full.
            return Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL),
                None,
            ));
        }
        if !keeps {
            run("ROLLBACK TO one")?;
        }
        run("RELEASE one")?;
    }
    run("COMMIT")
}

/// Sweeps once. Returns whether there is more to sweep.
fn swept(connection: &Connection, sweep: fn(&Connection) -> rusqlite::Result<bool>) -> bool {
    let done = || -> rusqlite::Result<bool> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let has_more = sweep(connection)?;
        connection.execute_batch("COMMIT")?;
        Ok(has_more)
    };
    done().unwrap_or_else(|error| {
        tracing::warn!(target: "isopod::storage", "cannot remove expired entries: {error}");
        if !connection.is_autocommit() {
            drop(connection.execute_batch("ROLLBACK"));
        }
        false
    })
}
