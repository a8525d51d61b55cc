//! The reader threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flume::Receiver;
use rusqlite::Connection;

use super::open::{Use, open};
use super::{Near, Options};
use crate::storage::StorageError;

/// A queued read, including the channel for its result.
pub(super) type ReadJob = Box<dyn FnOnce(Result<&Connection, StorageError>) + Send>;

/// Serves reads until the last handle is dropped. Opens a connection for `near` after the first read.
pub(super) fn serve(options: &Options, jobs: &Receiver<ReadJob>, idle: &AtomicUsize, near: &Weak<Near>) {
    let mut connection = None;
    let mut has_given = false;
    loop {
        idle.fetch_add(1, Ordering::Relaxed);
        let job = jobs.recv();
        idle.fetch_sub(1, Ordering::Relaxed);
        let Ok(job) = job else { return };
        let opened = match &mut connection {
            Some(connection) => Ok(&*connection),
            none => open(options, Use::Reads).map(|opened| &*none.insert(opened)),
        };
        // The caller sees its channel closed.
        if catch_unwind(AssertUnwindSafe(|| job(opened))).is_err() {
            connection = None;
        }
        if connection.is_some() && !has_given {
            has_given = true;
            give(options, near);
        }
    }
}

/// Opens a connection for reads on other threads. If it fails, they all run on this one.
fn give(options: &Options, near: &Weak<Near>) {
    let opened = open(options, Use::Reads).and_then(|connection| {
        // The thread of a worker must not wait for another process.
        let waits = connection.busy_timeout(Duration::ZERO);
        waits
            .map(|()| connection)
            .map_err(|error| StorageError::Failed(error.to_string()))
    });
    if let (Ok(connection), Some(near)) = (opened, near.upgrade())
        && let Ok(mut near) = near.lock()
    {
        near.push(connection);
    }
}
