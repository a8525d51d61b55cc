//! Data points as rows of a SQLite file.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::{AnalyticsStore, BLOBS, DOUBLES, DataPoint};
use crate::storage::sqlite::{Database, Options, Schema};
use crate::storage::{StorageError, now_ms, signed};

/// The columns are those that the platform's SQL API has. <https://developers.cloudflare.com/analytics/analytics-engine/sql-api/>
const SCHEMA: Schema = Schema {
    version: 1,
    create: "CREATE TABLE data_points (
                 dataset TEXT NOT NULL,
                 timestamp INTEGER NOT NULL,
                 _sample_interval INTEGER NOT NULL DEFAULT 1,
                 index1 TEXT NOT NULL DEFAULT '',
                 blob1 TEXT NOT NULL DEFAULT '', blob2 TEXT NOT NULL DEFAULT '', blob3 TEXT NOT NULL DEFAULT '',
                 blob4 TEXT NOT NULL DEFAULT '', blob5 TEXT NOT NULL DEFAULT '', blob6 TEXT NOT NULL DEFAULT '',
                 blob7 TEXT NOT NULL DEFAULT '', blob8 TEXT NOT NULL DEFAULT '', blob9 TEXT NOT NULL DEFAULT '',
                 blob10 TEXT NOT NULL DEFAULT '', blob11 TEXT NOT NULL DEFAULT '', blob12 TEXT NOT NULL DEFAULT '',
                 blob13 TEXT NOT NULL DEFAULT '', blob14 TEXT NOT NULL DEFAULT '', blob15 TEXT NOT NULL DEFAULT '',
                 blob16 TEXT NOT NULL DEFAULT '', blob17 TEXT NOT NULL DEFAULT '', blob18 TEXT NOT NULL DEFAULT '',
                 blob19 TEXT NOT NULL DEFAULT '', blob20 TEXT NOT NULL DEFAULT '',
                 double1 REAL NOT NULL DEFAULT 0, double2 REAL NOT NULL DEFAULT 0, double3 REAL NOT NULL DEFAULT 0,
                 double4 REAL NOT NULL DEFAULT 0, double5 REAL NOT NULL DEFAULT 0, double6 REAL NOT NULL DEFAULT 0,
                 double7 REAL NOT NULL DEFAULT 0, double8 REAL NOT NULL DEFAULT 0, double9 REAL NOT NULL DEFAULT 0,
                 double10 REAL NOT NULL DEFAULT 0, double11 REAL NOT NULL DEFAULT 0, double12 REAL NOT NULL DEFAULT 0,
                 double13 REAL NOT NULL DEFAULT 0, double14 REAL NOT NULL DEFAULT 0, double15 REAL NOT NULL DEFAULT 0,
                 double16 REAL NOT NULL DEFAULT 0, double17 REAL NOT NULL DEFAULT 0, double18 REAL NOT NULL DEFAULT 0,
                 double19 REAL NOT NULL DEFAULT 0, double20 REAL NOT NULL DEFAULT 0
             ) STRICT;
             CREATE INDEX times ON data_points (timestamp);",
};

/// Retention of data points: three months, as on the platform.
const KEPT_MS: u64 = 92 * 24 * 3600 * 1000;
/// Maximum number of data points that a sweep removes.
const SWEEP_MAX: usize = 1000;

/// Data points as rows of the table `data_points` of a SQLite file, which is created on first use.
///
/// ```
/// # mod isopod { pub use isopod_ext::bindings; }
/// use isopod::bindings::analytics::{AnalyticsBinding, SqliteAnalytics};
///
/// let clicks = AnalyticsBinding::new(SqliteAnalytics::new("data/clicks.sqlite", "clicks"));
/// # drop(clicks);
/// ```
///
/// Its columns are `dataset`, `timestamp` (milliseconds since the Unix epoch), `_sample_interval` (always 1), `index1`,
/// `blob1` to `blob20` and `double1` to `double20`. Rows are removed after three months. The thread `isopod-analytics-w`
/// writes; unwritten points are lost if the process is killed.
#[derive(Clone)]
pub struct SqliteAnalytics {
    options: Options,
    dataset: String,
    database: Database,
}

impl SqliteAnalytics {
    /// The default of [`bytes_max`](Self::bytes_max).
    pub const BYTES_MAX: u64 = 1 << 30;
    /// The default of [`queue_len_max`](Self::queue_len_max).
    pub const QUEUE_LEN_MAX: usize = 10_000;

    /// Creates a store for the points of a dataset in the file at this path. Missing folders are created on first use.
    pub fn new(path: impl Into<PathBuf>, dataset: impl Into<String>) -> Self {
        let options = Options {
            path: path.into(),
            threads: "isopod-analytics",
            schema: SCHEMA,
            bytes_max: Self::BYTES_MAX,
            readers_max: 1,
            queue_len_max: Self::QUEUE_LEN_MAX,
            sweep: Some(sweep),
            sweep_every: Duration::from_secs(60),
        };
        Self::of(options, dataset.into())
    }

    fn of(options: Options, dataset: String) -> Self {
        Self {
            database: Database::new(options.clone()),
            options,
            dataset,
        }
    }

    /// Sets the maximum size of the file in bytes. Default: 1 GiB. Points beyond it are dropped.
    #[must_use]
    pub fn bytes_max(mut self, bytes_max: u64) -> Self {
        self.options.bytes_max = bytes_max;
        Self::of(self.options, self.dataset)
    }

    /// Sets the maximum number of points that wait to be written. Default: 10,000. Further ones are dropped.
    #[must_use]
    pub fn queue_len_max(mut self, queue_len_max: usize) -> Self {
        self.options.queue_len_max = queue_len_max;
        Self::of(self.options, self.dataset)
    }
}

impl fmt::Debug for SqliteAnalytics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqliteAnalytics")
            .field(&self.options.path)
            .field(&self.dataset)
            .finish()
    }
}

impl AnalyticsStore for SqliteAnalytics {
    fn files(&self) -> Vec<PathBuf> {
        vec![self.options.path.clone()]
    }

    fn write(&self, point: DataPoint) -> Result<(), StorageError> {
        let (dataset, at) = (self.dataset.clone(), signed(now_ms()));
        self.database.post(point.bytes(), move |db| {
            insert(db, dataset, at, point)?;
            Ok(())
        })
    }
}

fn insert(db: &Connection, dataset: String, at: i64, point: DataPoint) -> rusqlite::Result<()> {
    let texts = point.blobs.into_iter().take(BLOBS).map(Value::Text).enumerate();
    let numbers = point.doubles.into_iter().take(DOUBLES).map(number).enumerate();
    let texts = texts.map(|(at, value)| (format!("blob{}", at + 1), value));
    let numbers = numbers.map(|(at, value)| (format!("double{}", at + 1), value));
    let first = [
        ("dataset".to_owned(), Value::Text(dataset)),
        ("timestamp".to_owned(), Value::Integer(at)),
        ("index1".to_owned(), Value::Text(point.index.unwrap_or_default())),
    ];
    let (columns, values): (Vec<_>, Vec<_>) = first.into_iter().chain(texts).chain(numbers).unzip();
    let places = vec!["?"; values.len()].join(", ");
    // The names are those above: a few hundred statements at most.
    let sql = format!("INSERT INTO data_points ({}) VALUES ({places})", columns.join(", "));
    db.prepare_cached(&sql)?.execute(rusqlite::params_from_iter(values))?;
    Ok(())
}

/// Converts a number. SQLite has no NaN, which would be NULL.
fn number(value: f64) -> Value {
    Value::Real(if value.is_nan() { 0.0 } else { value })
}

fn sweep(db: &Connection) -> rusqlite::Result<bool> {
    let before = signed(now_ms().saturating_sub(KEPT_MS));
    let sql = "DELETE FROM data_points WHERE rowid IN (SELECT rowid FROM data_points WHERE timestamp < ?1 LIMIT ?2)";
    let removed = db.prepare_cached(sql)?.execute((before, SWEEP_MAX as i64))?;
    Ok(removed == SWEEP_MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_point_becomes_a_row_with_the_columns_of_the_platform() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clicks.sqlite");
        let store = SqliteAnalytics::new(&path, "clicks");
        let point = DataPoint::new(
            vec!["a".into()],
            vec!["b".into(), "c".into()],
            vec![1.5, f64::NAN, f64::INFINITY],
        );
        store.write(point.unwrap()).unwrap();
        let began = Instant::now();
        let row = loop {
            let db = Connection::open(&path).unwrap();
            let sql = "SELECT dataset, index1, blob1, blob2, blob3, double1, double2, double3, _sample_interval FROM data_points";
            let row = db.query_row(sql, [], |row| {
                let texts = [
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get::<_, String>(4)?,
                ];
                let numbers: [f64; 4] = [row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?];
                Ok((texts.join("|"), numbers))
            });
            match row {
                Ok(row) => break row,
                Err(error) => assert!(began.elapsed() < Duration::from_secs(20), "{error}"),
            }
        };
        assert_eq!(row, ("clicks|a|b|c|".to_owned(), [1.5, 0.0, f64::INFINITY, 1.0]));
    }

    #[test]
    fn points_older_than_three_months_are_swept() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA.create).unwrap();
        let now = signed(now_ms());
        let month = 31 * 24 * 3600 * 1000;
        for at in [now - 4 * month, now - 2 * month, now] {
            insert(&db, "d".into(), at, DataPoint::default()).unwrap();
        }
        assert!(!sweep(&db).unwrap());
        let left = db.query_row("SELECT count(*) FROM data_points", [], |row| row.get::<_, i64>(0));
        assert_eq!(left.unwrap(), 2);
    }
}
