//! The reader threads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use flume::Receiver;
use rusqlite::Connection;

use super::Options;
use super::open::{Use, open};
use crate::storage::StorageError;

/// A queued read, including the channel for its result.
pub(super) type ReadJob = Box<dyn FnOnce(Result<&Connection, StorageError>) + Send>;

/// Serves reads until the last handle is dropped.
pub(super) fn serve(options: &Options, jobs: &Receiver<ReadJob>, idle: &AtomicUsize) {
    let mut connection = None;
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
    }
}
