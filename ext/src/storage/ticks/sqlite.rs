//! The record in a SQLite file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::params;

use super::{Tick, TickStore, set_back_max};
use crate::storage::StorageFuture;
use crate::storage::sqlite::{Database, Options, Schema};

const SCHEMA: Schema = Schema {
    version: 1,
    // A file of an earlier version has the table, but no version number.
    create: "CREATE TABLE IF NOT EXISTS ticks (
                 worker TEXT NOT NULL, cron TEXT NOT NULL, time INTEGER NOT NULL, PRIMARY KEY (worker, cron)
             ) STRICT",
};

/// Maximum size of the file, which has a row for each expression of each worker.
const BYTES_MAX: u64 = 64 << 20;
/// Maximum number of ticks that wait for the file.
const QUEUE_LEN_MAX: usize = 10_000;

/// A record of cron ticks in a SQLite file, for the processes of a machine. The file is created on first use.
#[derive(Clone)]
pub struct SqliteTicks {
    path: PathBuf,
    database: Database,
}

impl SqliteTicks {
    /// Creates a handle to the record in this file. Missing folders are created on first use.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let database = Database::new(Options {
            path: path.clone(),
            threads: "isopod-cron",
            schema: SCHEMA,
            bytes_max: BYTES_MAX,
            readers_max: 1,
            queue_len_max: QUEUE_LEN_MAX,
            sweep: None,
            sweep_every: Duration::MAX,
        });
        Self { path, database }
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for SqliteTicks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqliteTicks").field(&self.path).finish()
    }
}

impl TickStore for SqliteTicks {
    fn take(&self, tick: Tick) -> StorageFuture<bool> {
        self.database.write(0, move |db| {
            let mut take = db.prepare_cached(
                "INSERT INTO ticks (worker, cron, time) VALUES (?1, ?2, ?3)
                 ON CONFLICT (worker, cron) DO UPDATE SET time = excluded.time
                 WHERE excluded.time > time OR excluded.time < time - ?4",
            )?;
            let taken = take.execute(params![tick.worker, tick.cron, tick.seconds(), set_back_max()])?;
            Ok(taken > 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use futures::executor::block_on;

    use super::*;

    fn second(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn take(ticks: &SqliteTicks, worker: &str, cron: &str, time: u64) -> bool {
        block_on(ticks.take(Tick::new(worker, cron, second(time)))).expect("a record")
    }

    #[test]
    fn a_tick_is_taken_once_by_any_number_of_processes() {
        let folder = tempfile::tempdir().expect("a folder");
        let ticks: Vec<_> = (0..4)
            .map(|_| SqliteTicks::new(folder.path().join("new/cron.sqlite")))
            .collect();
        let taken: usize = std::thread::scope(|scope| {
            let takers = ticks.iter().map(|ticks| {
                scope.spawn(move || (100..150).filter(|time| take(ticks, "w", "* * * * * *", *time)).count())
            });
            let takers: Vec<_> = takers.collect();
            takers.into_iter().map(|taker| taker.join().expect("a taker")).sum()
        });
        // A late tick finds that a later one has run.
        assert!(taken <= 50 && taken > 0, "{taken}");
        assert!(!take(&ticks[0], "w", "* * * * * *", 149), "the last is taken");
        assert!(take(&ticks[0], "w", "0 * * * * *", 120), "another expression");
        assert!(take(&ticks[0], "v", "* * * * * *", 120), "another worker");
    }

    #[test]
    fn a_file_is_created_by_several_at_once() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().expect("a folder");
            let start = std::sync::Barrier::new(8);
            let taken: usize = std::thread::scope(|scope| {
                let taker = || {
                    let ticks = SqliteTicks::new(folder.path().join("cron.sqlite"));
                    start.wait();
                    usize::from(take(&ticks, "w", "* * * * * *", 100))
                };
                let takers: Vec<_> = (0..8).map(|_| scope.spawn(taker)).collect();
                takers.into_iter().map(|taker| taker.join().expect("a taker")).sum()
            });
            assert_eq!(taken, 1);
        }
    }

    #[test]
    fn a_time_recorded_by_a_wrong_clock_does_not_block_later_ticks() {
        let folder = tempfile::tempdir().expect("a folder");
        let ticks = SqliteTicks::new(folder.path().join("cron.sqlite"));
        let take = |time| take(&ticks, "w", "*", time);
        assert!(take(1_000_000));
        assert!(!take(999_000), "within an hour it is a late one");
        assert!(take(900_000));
        assert!(!take(900_000) && take(900_060));
    }
}
