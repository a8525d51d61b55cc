//! Periodic clean-up: files left by a crash, files of replaced objects, and abandoned uploads.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures::executor::block_on;
use rusqlite::params;

use super::blobs::Blobs;
use super::uploads;
use crate::storage::sqlite::Database;
use crate::storage::{StorageError, signed};

/// Time between two sweeps of a bucket that is written to.
const EVERY_MS: u64 = 5 * 60 * 1000;
/// Maximum number of files of each kind, and of uploads, per sweep.
const COUNT_MAX: usize = 1000;
/// Age from which an unlocked file has no writer, because a writer locks its file just after creating it.
const UNLOCKED_AGE: Duration = Duration::from_secs(60);
/// Time after which an incomplete upload is aborted, as on R2.
const UPLOAD_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// The time of the next sweep, in milliseconds since the Unix epoch.
#[derive(Default)]
pub(super) struct NextSweep(AtomicU64);

impl NextSweep {
    /// Returns true, to one caller only, when a sweep is due.
    pub(super) fn is_due(&self, now: u64) -> bool {
        let at = self.0.load(Ordering::Relaxed);
        let next = now + EVERY_MS;
        now >= at
            && self
                .0
                .compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// Sweeps once, on a thread for files.
pub(super) fn sweep(database: &Database, blobs: &Blobs, now: u64) {
    let told = |what: &str, done: Result<(), StorageError>| {
        if let Err(error) = done {
            tracing::warn!(target: "isopod::storage", "cannot clean up {what} of a bucket: {error}");
        }
    };
    told("files that are left over", left_aside(database, blobs));
    told("uploads", forgotten_uploads(database, blobs, now));
    told("replaced objects", garbage(database, blobs, now));
}

/// Moves or removes the files that were being written when a process ended.
fn left_aside(database: &Database, blobs: &Blobs) -> Result<(), StorageError> {
    let Ok(entries) = fs::read_dir(blobs.aside_folder()) else {
        return Ok(());
    };
    for entry in entries.take(COUNT_MAX).flatten() {
        let Ok(blob) = entry.file_name().into_string() else {
            continue;
        };
        // Holds the lock, like a writer during its transaction.
        let Some(_locked) = abandoned(&entry.path()) else {
            continue;
        };
        let name = blob.clone();
        let is_used = block_on(database.read(move |db| {
            let mut select = db.prepare_cached("SELECT count(*) FROM parts WHERE blob = ?1")?;
            Ok(select.query_row([name], |row| Ok(row.get::<_, i64>(0)? > 0))?)
        }))?;
        let done = match is_used {
            true => blobs.settle(&blob),
            false => blobs.remove(&blob),
        };
        done.map_err(super::blobs::failed)?;
    }
    Ok(())
}

/// Opens and locks a file, unless it is being written.
fn abandoned(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    let age = |file: &File| -> io::Result<Duration> {
        let modified = file.metadata()?.modified()?;
        Ok(SystemTime::now().duration_since(modified).unwrap_or_default())
    };
    let is_old = age(&file).is_ok_and(|age| age >= UNLOCKED_AGE);
    (is_old && file.try_lock().is_ok()).then_some(file)
}

fn forgotten_uploads(database: &Database, blobs: &Blobs, now: u64) -> Result<(), StorageError> {
    let before = now.saturating_sub(UPLOAD_MS);
    let unused = block_on(database.write(0, move |db| uploads::expire(db, before, COUNT_MAX, now)))?;
    remove(database, blobs, unused)
}

fn garbage(database: &Database, blobs: &Blobs, now: u64) -> Result<(), StorageError> {
    let unused = block_on(database.read(move |db| {
        let mut select = db.prepare_cached("SELECT blob FROM garbage WHERE at <= ?1 LIMIT ?2")?;
        let blobs = select.query_map(params![signed(now), signed(COUNT_MAX as u64)], |row| row.get(0))?;
        Ok(blobs.collect::<rusqlite::Result<Vec<String>>>()?)
    }))?;
    remove(database, blobs, unused)
}

/// Removes unreferenced files, on a thread for files. A later sweep retries failures.
pub(super) fn remove(database: &Database, blobs: &Blobs, unused: Vec<String>) -> Result<(), StorageError> {
    let (removed, failed): (Vec<_>, Vec<_>) = unused
        .into_iter()
        .map(|blob| blobs.remove(&blob).map(|()| blob))
        .partition(Result::is_ok);
    if let Some(Err(error)) = failed.into_iter().next() {
        tracing::warn!(target: "isopod::storage", "cannot remove a file of a bucket: {error}");
    }
    let removed: Vec<String> = removed.into_iter().flatten().collect();
    if removed.is_empty() {
        return Ok(());
    }
    block_on(database.write(0, move |db| {
        let mut forget = db.prepare_cached("DELETE FROM garbage WHERE blob = ?1")?;
        for blob in &removed {
            forget.execute([blob])?;
        }
        Ok(())
    }))
}
