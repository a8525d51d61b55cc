//! The database of one object: its file, its entries, its statements and its transactions. It is used by one thread at a time, in
//! the process that opens the file.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};

use super::ObjectError;
use super::id::ObjectId;
use super::place::ObjectFile;
use crate::quotas::QuotaError;
use crate::sql::{LocalDatabase, Param, Payer, ROW_BYTES_MAX, ResultSet, SqlError, StatementStack};

/// The tables of an object's own entries, named as on the platform.
const TABLES: &str = "CREATE TABLE IF NOT EXISTS _cf_KV (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID; \
     CREATE TABLE IF NOT EXISTS _cf_METADATA (key INTEGER PRIMARY KEY, value BLOB)";
/// Memory for each open file: the page cache, and SQLite's other memory.
pub(super) const MEMORY_BYTES: usize = 768 << 10;
/// Maximum size of the result of one `list()`.
pub(super) const LIST_BYTES_MAX: usize = 64 << 20;
/// Size of values after which no more are read for a list of keys.
pub(super) const VALUES_BYTES: usize = 4 << 20;
/// Maximum size of a key.
pub(super) const KEY_BYTES_MAX: usize = 2048;
/// Maximum size of a key and its value together: that of a row, less its header.
pub(super) const ENTRY_BYTES_MAX: usize = ROW_BYTES_MAX - 64;
/// Number of threads that sync the files of a worker.
pub(super) const SYNC_THREADS: usize = 4;
/// The row of the alarm in `_cf_METADATA`.
const ALARM: i64 = 1;

/// The database of an object, whose file is locked.
pub(super) struct ObjectDatabase {
    /// Dropped before the file, because it needs its lock.
    db: Option<LocalDatabase>,
    log: Option<Arc<File>>,
    file: ObjectFile,
    id: ObjectId,
    bytes_max: u64,
    /// Number of the script's nested open transactions.
    level: u32,
    is_closed: bool,
}

/// The result of an operation, and its effect on the transaction that is committed after the turn.
pub(super) struct Ran<T> {
    pub(super) result: Result<T, ObjectError>,
    pub(super) effect: Effect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Effect {
    /// The operation is no part of it.
    None,
    /// The operation is a part of it.
    Written,
    /// It was rolled back: the disk is full, or a statement asked for that.
    Undone,
}

/// The entries of a list: those with keys of at least `start`, greater than `after`, less than `end`, and with this `prefix`.
#[derive(Serialize, Deserialize)]
pub(super) struct Range {
    pub(super) start: Option<String>,
    pub(super) after: Option<String>,
    pub(super) end: Option<String>,
    pub(super) prefix: Option<String>,
    pub(super) reverse: bool,
    /// Maximum number of entries, as the script gives it.
    pub(super) limit: f64,
    /// Maximum bytes of keys and values.
    pub(super) bytes_max: usize,
}

impl<T> Ran<T> {
    /// The result of an operation without effect.
    pub(super) const fn found(result: Result<T, ObjectError>) -> Self {
        Self {
            result,
            effect: Effect::None,
        }
    }

    pub(super) fn map<U>(self, map: impl FnOnce(T) -> U) -> Ran<U> {
        Ran {
            result: self.result.map(map),
            effect: self.effect,
        }
    }
}

impl ObjectDatabase {
    /// Locks the file, unless another owner has it.
    pub(super) fn lock(folder: &Path, id: ObjectId, bytes_max: u64) -> Result<Self, ObjectError> {
        Ok(Self {
            db: None,
            log: None,
            file: ObjectFile::lock(folder, id.as_hex())?,
            id,
            bytes_max,
            level: 0,
            is_closed: false,
        })
    }

    /// Returns whether it was never written.
    pub(super) fn is_empty(&self) -> bool {
        self.file.is_empty()
    }

    /// Opens the file. Other operations need that.
    pub(super) fn open(&mut self) -> Result<(), ObjectError> {
        if self.is_closed {
            return Err(ObjectError::Ended);
        }
        if self.db.is_none() {
            let db = LocalDatabase::open(self.file.path().to_owned(), self.bytes_max)?;
            db.own(|db| db.execute_batch(TABLES))?;
            self.db = Some(db);
        }
        Ok(())
    }

    /// Closes the file and keeps its lock.
    pub(super) fn rest(&mut self) {
        self.db = None;
        self.log = None;
    }

    // ---- cursors

    /// Reads the next rows of a cursor.
    pub(super) fn rows(
        &mut self,
        cursor: u32,
        takes_all: bool,
        payer: Payer,
        stack: &StatementStack,
    ) -> Ran<ResultSet> {
        Ran::found(self.db().and_then(|db| Ok(db.read(cursor, takes_all, payer, stack)?)))
    }

    pub(super) fn close_cursor(&mut self, cursor: u32) {
        if let Some(db) = &mut self.db {
            db.close_cursor(cursor);
        }
    }

    /// Closes the file for good, and removes it if it has no content. With `keeps`, pending writes are committed.
    pub(super) fn close(&mut self, keeps: bool) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        self.log = None;
        let Some(mut db) = self.db.take() else {
            if self.file.is_empty() {
                self.file.remove();
            }
            return;
        };
        db.close_cursors();
        if !db.is_autocommit() {
            let end = if keeps { "COMMIT" } else { "ROLLBACK" };
            if let Err(error) = db.own(|db| db.execute_batch(end)) {
                tracing::warn!(target: "isopod::storage", object = %self.id, "cannot end its transaction: {error}");
            }
        }
        let has_nothing = db.own(|db| {
            const COUNT: &str = "SELECT (SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND \
                 name NOT LIKE 'sqlite\\_%' ESCAPE '\\') + EXISTS (SELECT 1 FROM _cf_KV) + EXISTS (SELECT 1 FROM _cf_METADATA)";
            db.query_row(COUNT, [], |row| Ok(row.get::<_, i64>(0)? == 0))
        });
        drop(db);
        if has_nothing.is_ok_and(|nothing| nothing) {
            self.file.remove();
        }
    }

    // ---- entries

    /// Returns the values of the first of these keys, up to the one with which they have [`VALUES_BYTES`].
    pub(super) fn get(&mut self, keys: &[&str]) -> Ran<Vec<Option<Vec<u8>>>> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT value FROM _cf_KV WHERE key = ?1")?;
            let (mut values, mut bytes) = (Vec::with_capacity(keys.len()), 0);
            for key in keys {
                let value = statement.query_row([key], |row| row.get::<_, Vec<u8>>(0)).optional()?;
                bytes += value.as_ref().map_or(0, Vec::len);
                values.push(value);
                if bytes >= VALUES_BYTES {
                    break;
                }
            }
            Ok(values)
        })
    }

    pub(super) fn put<'a>(&mut self, entries: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Ran<()> {
        self.write(|db| {
            let mut statement = db.prepare_cached("INSERT OR REPLACE INTO _cf_KV VALUES (?1, ?2)")?;
            for (key, value) in entries {
                statement.execute(rusqlite::params![key, value])?;
            }
            Ok(())
        })
    }

    /// Deletes entries. Returns the number of those that there were.
    pub(super) fn delete(&mut self, keys: &[&str]) -> Ran<usize> {
        let exists = self.read(|db| {
            let mut statement = db.prepare_cached("SELECT 1 FROM _cf_KV WHERE key = ?1")?;
            for key in keys {
                if statement.exists([key])? {
                    return Ok(true);
                }
            }
            Ok(false)
        });
        if !matches!(exists.result, Ok(true)) {
            return exists.map(usize::from);
        }
        self.write(|db| {
            let mut statement = db.prepare_cached("DELETE FROM _cf_KV WHERE key = ?1")?;
            keys.iter().map(|key| statement.execute([key])).sum()
        })
    }

    /// Passes each entry of a range to `each`.
    pub(super) fn list(&mut self, range: &Range, mut each: impl FnMut(&str, &[u8])) -> Ran<()> {
        let order = if range.reverse { "DESC" } else { "ASC" };
        // A prefix is a range up to the first key without it.
        let sql = format!(
            "SELECT key, value FROM _cf_KV WHERE (?1 IS NULL OR key >= ?1) AND (?2 IS NULL OR key > ?2) AND (?3 IS NULL OR \
             key < ?3) AND (?4 IS NULL OR substr(key, 1, length(?4)) = ?4) AND key >= coalesce(?4, '') ORDER BY key {order}"
        );
        let listed = self.read(|db| {
            let mut statement = db.prepare_cached(&sql)?;
            let params = rusqlite::params![range.start, range.after, range.end, range.prefix];
            let mut rows = statement.query(params)?;
            let (mut count, mut bytes) = (0.0, 0);
            while count < range.limit
                && let Some(row) = rows.next()?
            {
                let (key, value) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_blob()?);
                count += 1.0;
                bytes += key.len() + value.len();
                if bytes > range.bytes_max {
                    return Ok(Err(QuotaError::NativeBytes(range.bytes_max)));
                }
                each(key, value);
            }
            Ok(Ok(()))
        });
        Ran::found(listed.result.and_then(|listed| Ok(listed?)))
    }

    /// Deletes everything except the alarm, and closes all cursors.
    pub(super) fn clear(&mut self) -> Ran<()> {
        if let Some(db) = &mut self.db {
            db.close_cursors();
        }
        let tables = self.read(|db| {
            const ALL: &str = "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE \
                 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'";
            let mut statement = db.prepare(ALL)?;
            let named = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            named.collect::<rusqlite::Result<Vec<_>>>()
        });
        let tables = match tables.result {
            Ok(tables) => tables,
            Err(error) => return Ran::found(Err(error)),
        };
        self.write(|db| {
            db.execute_batch("PRAGMA defer_foreign_keys = 1; DELETE FROM _cf_KV")?;
            for (kind, name) in tables {
                // Tables of a virtual table are dropped with it.
                db.execute_batch(&format!("DROP {kind} IF EXISTS \"{}\"", name.replace('"', "\"\"")))?;
            }
            Ok(())
        })
    }

    // ---- the alarm

    /// Returns the time of the alarm.
    pub(super) fn alarm(&mut self) -> Ran<Option<i64>> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT value FROM _cf_METADATA WHERE key = ?1")?;
            statement.query_row([ALARM], |row| row.get(0)).optional()
        })
    }

    /// Sets or removes the alarm. Returns whether that changes anything.
    pub(super) fn set_alarm(&mut self, at_ms: Option<i64>) -> Ran<bool> {
        if at_ms.is_none() {
            let alarm = self.alarm();
            if !matches!(alarm.result, Ok(Some(_))) {
                return alarm.map(|_| false);
            }
        }
        self.write(|db| {
            match at_ms {
                Some(at) => db
                    .prepare_cached("INSERT OR REPLACE INTO _cf_METADATA VALUES (?1, ?2)")?
                    .execute([ALARM, at]),
                None => db
                    .prepare_cached("DELETE FROM _cf_METADATA WHERE key = ?1")?
                    .execute([ALARM]),
            }?;
            Ok(true)
        })
    }

    // ---- statements

    /// Runs statements of the script, and returns the result of the last, of which a cursor may be left.
    pub(super) fn sql(
        &mut self,
        sql: &str,
        params: Vec<Param>,
        payer: Payer,
        stack: &StatementStack,
    ) -> Ran<ResultSet> {
        let checked = match self.db().and_then(|db| Ok(db.check(sql, params)?)) {
            Ok(checked) => checked,
            Err(error) => return Ran::found(Err(error)),
        };
        match checked.writes() {
            true => self.change(|db| db.run(checked, payer, stack)),
            false => Ran::found(self.db().and_then(|db| Ok(db.run(checked, payer, stack)?))),
        }
    }

    /// Returns the size in bytes.
    pub(super) fn size(&mut self) -> Ran<u64> {
        Ran::found(self.db().and_then(|db| Ok(db.size()?)))
    }

    // ---- transactions

    /// Begins a transaction of the script.
    pub(super) fn begin(&mut self) -> Ran<()> {
        let level = self.level;
        let begun = self.write(|db| db.execute_batch(&format!("SAVEPOINT isopod_{level}")));
        self.level += u32::from(begun.result.is_ok());
        begun
    }

    /// Ends the innermost transaction of the script.
    pub(super) fn finish(&mut self, keeps: bool) -> Ran<()> {
        let Some(level) = self.level.checked_sub(1) else {
            return Ran::found(Err(ObjectError::Internal("no transaction is open".to_owned())));
        };
        self.level = level;
        self.write(|db| {
            if !keeps {
                db.execute_batch(&format!("ROLLBACK TO isopod_{level}"))?;
            }
            db.execute_batch(&format!("RELEASE isopod_{level}"))
        })
    }

    /// Commits the writes so far, which are on the disk once the [log](Self::log) is synced.
    pub(super) fn commit(&mut self) -> Result<(), ObjectError> {
        if self.level > 0 {
            return Err(ObjectError::Internal("a transaction is open".to_owned()));
        }
        let db = self.db()?;
        if !db.is_autocommit() {
            db.own(|db| db.prepare_cached("COMMIT")?.execute([]).map(drop))?;
        }
        Ok(())
    }

    /// Returns the log, to be synced. SQLite keeps it as long as the database is open.
    pub(super) fn log(&mut self) -> Result<Arc<File>, ObjectError> {
        self.db()?;
        if let Some(log) = &self.log {
            return Ok(Arc::clone(log));
        }
        let log = File::options()
            .write(true)
            .open(self.file.log())
            .map_err(ObjectError::Open)?;
        // Syncs the files' names too.
        if let Some(folder) = self.file.path().parent() {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(ObjectError::Open)?;
        }
        Ok(Arc::clone(self.log.insert(Arc::new(log))))
    }

    fn db(&mut self) -> Result<&mut LocalDatabase, ObjectError> {
        self.db.as_mut().ok_or(ObjectError::Ended)
    }

    fn read<T>(&mut self, body: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Ran<T> {
        Ran::found(self.db().and_then(|db| Ok(db.own(body)?)))
    }

    fn write<T>(&mut self, body: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Ran<T> {
        self.change(|db| db.own(body))
    }

    /// Runs `body` as a part of the transaction.
    fn change<T>(&mut self, body: impl FnOnce(&mut LocalDatabase) -> Result<T, SqlError>) -> Ran<T> {
        let begun = self.db().and_then(|db| {
            if db.is_autocommit() {
                db.own(|db| db.execute_batch("BEGIN"))?;
            }
            Ok(db)
        });
        let db = match begun {
            Ok(db) => db,
            Err(error) => return Ran::found(Err(error)),
        };
        let result = body(db).map_err(ObjectError::from);
        let effect = match db.is_autocommit() {
            true => Effect::Undone,
            false => Effect::Written,
        };
        Ran { result, effect }
    }
}

impl Drop for ObjectDatabase {
    /// Dropped with its worker, which rolls uncommitted writes back.
    fn drop(&mut self) {
        self.close(false);
    }
}
