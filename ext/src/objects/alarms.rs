//! The alarms of a class, in one SQLite file: `alarms.sqlite` beside the files of its objects.
//!
//! The object's own file is authoritative. This file is an index of the times at which objects are called. If a process dies
//! between two writes, an object may be called early or once more, and ignores an alarm that is not due.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::OptionalExtension;

use super::id::ObjectId;
use super::stored::AlarmStore;
use crate::storage::StorageFuture;
use crate::storage::sqlite::{Database, Options, Schema};

const SCHEMA: Schema = Schema {
    version: 1,
    create: "CREATE TABLE alarms (id TEXT PRIMARY KEY, name TEXT, at INTEGER NOT NULL, due INTEGER NOT NULL, \
             tries INTEGER NOT NULL) WITHOUT ROWID; CREATE INDEX by_due ON alarms (due)",
};
/// Maximum size of the file.
const BYTES_MAX: u64 = 1 << 30;
/// Maximum number of waiting operations.
const QUEUE_LEN_MAX: usize = 10_000;
/// Approximate size of a row.
const ROW_BYTES: usize = 128;

/// An alarm that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DueAlarm {
    /// The object.
    pub id: ObjectId,
    /// The time for which it was set, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// The number of attempts that have failed.
    pub tries: u32,
}

/// The alarms of a class.
#[derive(Clone)]
pub struct SqliteAlarms {
    path: PathBuf,
    database: Database,
    changed: Arc<dyn Fn() + Send + Sync>,
}

impl SqliteAlarms {
    /// Creates a handle to the alarms in this folder. The file is created with the first alarm. `changed` is called after an
    /// alarm was set.
    pub fn new(folder: &std::path::Path, changed: impl Fn() + Send + Sync + 'static) -> Self {
        let path = folder.join("alarms.sqlite");
        let database = Database::new(Options {
            path: path.clone(),
            threads: "isopod-alarms",
            schema: SCHEMA,
            bytes_max: BYTES_MAX,
            readers_max: 1,
            queue_len_max: QUEUE_LEN_MAX,
            sweep: None,
            sweep_every: Duration::MAX,
        });
        Self {
            path,
            database,
            changed: Arc::new(changed),
        }
    }

    /// Returns at most `limit` alarms that are due at this time, and the time of the next one.
    pub fn due(&self, now_ms: i64, limit: usize) -> StorageFuture<(Vec<DueAlarm>, Option<i64>)> {
        if !self.path.exists() {
            return Box::pin(std::future::ready(Ok((Vec::new(), None))));
        }
        self.database.read(move |db| {
            let mut due =
                db.prepare_cached("SELECT id, name, at, tries FROM alarms WHERE due <= ?1 ORDER BY due LIMIT ?2")?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = due.query_map(rusqlite::params![now_ms, limit], |row| {
                let (id, name) = (row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?);
                Ok(DueAlarm {
                    id: ObjectId::new(id, name.map(Arc::from)),
                    at_ms: row.get(2)?,
                    tries: row.get(3)?,
                })
            })?;
            let alarms = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            let mut next = db.prepare_cached("SELECT due FROM alarms WHERE due > ?1 ORDER BY due LIMIT 1")?;
            let next = next.query_row([now_ms], |row| row.get(0)).optional()?;
            Ok((alarms, next))
        })
    }

    /// Removes a completed alarm, unless it was set again.
    pub fn done(&self, alarm: &DueAlarm) -> StorageFuture<()> {
        let (id, at) = (alarm.id.as_hex().to_owned(), alarm.at_ms);
        self.database.write(ROW_BYTES, move |db| {
            db.prepare_cached("DELETE FROM alarms WHERE id = ?1 AND at = ?2")?
                .execute(rusqlite::params![id, at])?;
            Ok(())
        })
    }

    /// Postpones a failed alarm, unless it was set again.
    pub fn failed(&self, alarm: &DueAlarm, due_ms: i64) -> StorageFuture<()> {
        let (id, at, tries) = (alarm.id.as_hex().to_owned(), alarm.at_ms, alarm.tries.saturating_add(1));
        self.database.write(ROW_BYTES, move |db| {
            db.prepare_cached("UPDATE alarms SET due = ?3, tries = ?4 WHERE id = ?1 AND at = ?2")?
                .execute(rusqlite::params![id, at, due_ms, tries])?;
            Ok(())
        })
    }
}

impl AlarmStore for SqliteAlarms {
    fn set(&self, id: &ObjectId, at_ms: Option<i64>) -> StorageFuture<()> {
        let (hex, name) = (id.as_hex().to_owned(), id.name().map(str::to_owned));
        let written = self.database.write(ROW_BYTES, move |db| {
            match at_ms {
                Some(at) => db
                    .prepare_cached(
                        "INSERT INTO alarms VALUES (?1, ?2, ?3, ?3, 0) ON CONFLICT DO UPDATE SET at = ?3, due = ?3, tries = 0, \
                         name = coalesce(?2, name) WHERE at <> ?3",
                    )?
                    .execute(rusqlite::params![hex, name, at])?,
                None => db.prepare_cached("DELETE FROM alarms WHERE id = ?1")?.execute([hex])?,
            };
            Ok(())
        });
        let changed = Arc::clone(&self.changed);
        Box::pin(async move {
            let written = written.await;
            changed();
            written
        })
    }

    fn bring_forward(&self, id: &ObjectId, at_ms: i64) -> StorageFuture<bool> {
        let (hex, name) = (id.as_hex().to_owned(), id.name().map(str::to_owned));
        let written = self.database.write(ROW_BYTES, move |db| {
            db.prepare_cached(
                "INSERT INTO alarms VALUES (?1, ?2, ?3, ?3, 0) ON CONFLICT DO UPDATE SET at = ?3, due = ?3, tries = 0, name = \
                 coalesce(?2, name) WHERE at > ?3",
            )?
            .execute(rusqlite::params![hex, name, at_ms])?;
            let at: i64 = db
                .prepare_cached("SELECT at FROM alarms WHERE id = ?1")?
                .query_row([hex], |row| row.get(0))?;
            Ok(at == at_ms)
        });
        let changed = Arc::clone(&self.changed);
        Box::pin(async move {
            let written = written.await;
            changed();
            written
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    fn ids(alarms: &SqliteAlarms, now: i64) -> (Vec<String>, Option<i64>) {
        let (due, next) = block_on(alarms.due(now, 10)).unwrap();
        (due.iter().map(|alarm| alarm.id.to_string()).collect(), next)
    }

    #[test]
    fn alarms_are_found_when_they_are_due_until_they_are_done() {
        let folder = tempfile::tempdir().unwrap();
        let alarms = SqliteAlarms::new(folder.path(), || {});
        assert_eq!(ids(&alarms, 100), (vec![], None));
        assert!(!folder.path().join("alarms.sqlite").exists());
        let (a, b) = (ObjectId::new("a", None), ObjectId::new("b", Some("name".into())));
        block_on(alarms.set(&a, Some(10))).unwrap();
        block_on(alarms.set(&b, Some(20))).unwrap();
        assert_eq!(ids(&alarms, 15), (vec!["a".to_owned()], Some(20)));
        let (due, _) = block_on(alarms.due(30, 10)).unwrap();
        assert_eq!(due[1].id.name(), Some("name"));
        block_on(alarms.failed(&due[0], 50)).unwrap();
        block_on(alarms.set(&b, Some(25))).unwrap();
        block_on(alarms.done(&due[1])).unwrap();
        assert_eq!(ids(&alarms, 30), (vec!["b".to_owned()], Some(50)), "b was set anew");
        let (due, _) = block_on(alarms.due(60, 10)).unwrap();
        assert_eq!((due[1].at_ms, due[1].tries), (10, 1));
        block_on(alarms.set(&a, None)).unwrap();
        assert_eq!(ids(&alarms, 60), (vec!["b".to_owned()], None));
    }

    #[test]
    fn an_alarm_can_only_be_brought_forward() {
        let folder = tempfile::tempdir().unwrap();
        let alarms = SqliteAlarms::new(folder.path(), || {});
        let id = ObjectId::new("a", None);
        assert!(block_on(alarms.bring_forward(&id, 20)).unwrap());
        assert!(!block_on(alarms.bring_forward(&id, 30)).unwrap());
        assert_eq!(ids(&alarms, 20).0.len(), 1);
        assert!(block_on(alarms.bring_forward(&id, 10)).unwrap());
        assert_eq!(ids(&alarms, 10).0.len(), 1);
    }
}
