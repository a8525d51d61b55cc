//! The ticks that have run, in a file that all processes of a project share: each runs in one of them.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, params};

/// Time to wait for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A recorded time that is further ahead was written while the clock was wrong.
const SET_BACK_MAX_SECONDS: i64 = 3600;

/// The record of the last tick of each cron expression of each worker.
pub(super) struct Ticks {
    path: PathBuf,
    connection: Mutex<Option<Connection>>,
}

impl Ticks {
    /// Opens the record in the file at this path on first use.
    pub(super) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            connection: Mutex::new(None),
        }
    }

    /// Takes a tick. `false`: another process has taken it, or a later one. Once it is taken, nothing else runs it, whatever
    /// becomes of this process. Blocks.
    pub(super) fn take(&self, worker: &str, cron: &str, time: SystemTime) -> rusqlite::Result<bool> {
        let mut guard = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match &*guard {
            Some(connection) => connection,
            None => guard.insert(self.open()?),
        };
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let mut take = connection.prepare_cached(
            "INSERT INTO ticks (worker, cron, time) VALUES (?1, ?2, ?3)
             ON CONFLICT (worker, cron) DO UPDATE SET time = excluded.time
             WHERE excluded.time > time OR excluded.time < time - ?4",
        )?;
        let taken = take.execute(params![worker, cron, seconds, SET_BACK_MAX_SECONDS])?;
        Ok(taken > 0)
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        if let Some(folder) = self.path.parent() {
            // Without it, opening the file fails and says so.
            drop(std::fs::create_dir_all(folder));
        }
        let connection = Connection::open(&self.path)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        // A tick that is taken is on the disk before it runs.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS ticks (
                 worker TEXT NOT NULL, cron TEXT NOT NULL, time INTEGER NOT NULL, PRIMARY KEY (worker, cron)
             ) STRICT",
        )?;
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_tick_is_taken_once_by_any_number_of_processes() {
        let folder = tempfile::tempdir().expect("a folder");
        let ticks: Vec<_> = (0..4)
            .map(|_| Ticks::new(folder.path().join("new/cron.sqlite")))
            .collect();
        let taken = std::thread::scope(|scope| {
            let takers = ticks.iter().map(|ticks| {
                scope.spawn(move || {
                    let all = (100..150).map(|time| ticks.take("w", "* * * * * *", second(time)).expect("a record"));
                    all.filter(|is_taken| *is_taken).count()
                })
            });
            let takers: Vec<_> = takers.collect();
            takers
                .into_iter()
                .map(|taker| taker.join().expect("a taker"))
                .sum::<usize>()
        });
        // One that comes late finds that later ones have run.
        assert!(taken <= 50 && taken > 0, "{taken}");
        assert!(
            !ticks[0].take("w", "* * * * * *", second(149)).expect("a record"),
            "the last is taken"
        );
        assert!(
            ticks[0].take("w", "0 * * * * *", second(120)).expect("a record"),
            "another expression"
        );
        assert!(
            ticks[0].take("v", "* * * * * *", second(120)).expect("a record"),
            "another worker"
        );
    }

    #[test]
    fn a_time_that_was_recorded_by_a_wrong_clock_does_not_stop_what_comes() {
        let folder = tempfile::tempdir().expect("a folder");
        let ticks = Ticks::new(folder.path().join("cron.sqlite"));
        let take = |time| ticks.take("w", "*", second(time)).expect("a record");
        assert!(take(1_000_000));
        assert!(!take(999_000), "within an hour it is a late one");
        assert!(take(900_000));
        assert!(!take(900_000) && take(900_060));
    }
}
