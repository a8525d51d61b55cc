//! A namespace in a SQLite file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::store::{KvEntry, KvKey, KvListing, KvPage, KvStore, now};
use crate::storage::sqlite::{Database, Failed, Options, Schema};
use crate::storage::{ReadRoom, StorageFuture, signed};

const SCHEMA: Schema = Schema {
    version: 1,
    // The value comes last, so that the other columns are read without it.
    create: "CREATE TABLE entries (
                 key TEXT NOT NULL UNIQUE,
                 expiration INTEGER,
                 metadata TEXT,
                 value BLOB NOT NULL
             ) STRICT;
             CREATE INDEX expirations ON entries (expiration) WHERE expiration IS NOT NULL;",
};

/// Values up to this size are read with their entry. The memory for larger ones is reserved first.
const SMALL_BYTES: usize = 16 << 10;

/// Maximum number of expired entries that a sweep removes.
const SWEEP_MAX: usize = 100;

/// A namespace in a SQLite file, which is created on first use.
///
/// ```
/// # mod isopod { pub use isopod_ext::bindings; }
/// use isopod::bindings::kv::{KvBinding, SqliteKv};
///
/// let binding = KvBinding::new(SqliteKv::new("data/sessions.sqlite"));
/// # drop(binding);
/// ```
///
/// Acknowledged writes are on the disk. Several processes may use the file at the same time. It has threads of its own:
/// `isopod-kv-w`, which writes, and up to [`readers_max`](Self::readers_max) others. Clones share them.
#[derive(Clone)]
pub struct SqliteKv {
    options: Options,
    database: Database,
}

impl SqliteKv {
    /// The default of [`bytes_max`](Self::bytes_max).
    pub const BYTES_MAX: u64 = 10 << 30;
    /// The default of [`readers_max`](Self::readers_max).
    pub const READERS_MAX: usize = 2;
    /// The default of [`queue_len_max`](Self::queue_len_max).
    pub const QUEUE_LEN_MAX: usize = 1000;

    /// Creates a namespace in the file at this path. Missing folders are created as well.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::of(Options {
            path: path.into(),
            threads: "isopod-kv",
            schema: SCHEMA,
            bytes_max: Self::BYTES_MAX,
            readers_max: Self::READERS_MAX,
            queue_len_max: Self::QUEUE_LEN_MAX,
            sweep: Some(sweep),
            sweep_every: Duration::from_secs(30),
        })
    }

    fn of(options: Options) -> Self {
        Self {
            database: Database::new(options.clone()),
            options,
        }
    }

    /// Sets the maximum size of the file in bytes. Default: 10 GiB. A write that would exceed it fails.
    #[must_use]
    pub fn bytes_max(mut self, bytes_max: u64) -> Self {
        self.options.bytes_max = bytes_max;
        Self::of(self.options)
    }

    /// Sets the maximum number of threads that read. Default: 2. Each opens a second connection, on which small values are read
    /// by the threads of workers themselves.
    #[must_use]
    pub fn readers_max(mut self, readers_max: usize) -> Self {
        self.options.readers_max = readers_max;
        Self::of(self.options)
    }

    /// Sets the maximum number of reads, and of writes, that wait for a thread. Default: 1,000. Further ones fail.
    #[must_use]
    pub fn queue_len_max(mut self, queue_len_max: usize) -> Self {
        self.options.queue_len_max = queue_len_max;
        Self::of(self.options)
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.options.path
    }
}

impl fmt::Debug for SqliteKv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqliteKv").field(&self.options.path).finish()
    }
}

impl KvStore for SqliteKv {
    fn files(&self) -> Vec<PathBuf> {
        vec![self.options.path.clone()]
    }

    fn get_now(&self, key: &str, room: &ReadRoom) -> Option<Option<KvEntry>> {
        self.database.read_near(|db| find_small(db, key, room))
    }

    fn get(&self, keys: Vec<String>, room: ReadRoom) -> StorageFuture<Vec<Option<KvEntry>>> {
        if let [key] = &keys[..]
            && let Some(found) = self.get_now(key, &room)
        {
            return Box::pin(std::future::ready(Ok(vec![found])));
        }
        self.database
            .read(move |db| keys.iter().map(|key| find(db, key, &room)).collect())
    }

    fn put(&self, key: String, entry: KvEntry) -> StorageFuture<()> {
        self.database.write(entry.value.len(), move |db| {
            let mut put = db.prepare_cached(
                "INSERT INTO entries (key, expiration, metadata, value) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (key) DO UPDATE
                 SET expiration = excluded.expiration, metadata = excluded.metadata, value = excluded.value",
            )?;
            put.execute(params![
                key,
                entry.expiration.map(signed),
                entry.metadata,
                &*entry.value
            ])?;
            Ok(())
        })
    }

    fn delete(&self, key: String) -> StorageFuture<()> {
        self.database.write(0, move |db| {
            db.prepare_cached("DELETE FROM entries WHERE key = ?1")?
                .execute([key])?;
            Ok(())
        })
    }

    fn list(&self, listing: KvListing) -> StorageFuture<KvPage> {
        self.database.read(move |db| list(db, &listing))
    }
}

/// An entry, as far as it is read without its value.
struct Found {
    length: usize,
    entry: KvEntry,
    /// The value, if it is small.
    small: Option<Vec<u8>>,
}

fn look_up(db: &Connection, key: &str) -> Result<Option<Found>, Failed> {
    let mut select = db.prepare_cached(
        "SELECT length(value), expiration, metadata, CASE WHEN length(value) <= ?3 THEN value END
         FROM entries WHERE key = ?1 AND (expiration IS NULL OR expiration > ?2)",
    )?;
    let found = |row: &Row<'_>| {
        Ok(Found {
            length: usize::try_from(row.get::<_, i64>(0)?).unwrap_or(usize::MAX),
            entry: KvEntry::default()
                .expiration(row.get::<_, Option<i64>>(1)?.map(i64::unsigned_abs))
                .metadata(row.get::<_, Option<String>>(2)?),
            small: row.get(3)?,
        })
    };
    let found = select.query_row(params![key, signed(now()), signed(SMALL_BYTES as u64)], found);
    Ok(found.optional()?)
}

/// Returns the entry of a key if its value is small, or that there is none. `None`: it is large.
fn find_small(db: &Connection, key: &str, room: &ReadRoom) -> Result<Option<Option<KvEntry>>, Failed> {
    let Some(Found {
        mut entry,
        small,
        length,
    }) = look_up(db, key)?
    else {
        return Ok(Some(None));
    };
    let Some(value) = small else { return Ok(None) };
    entry.value = room.reserve(length)?.keep(Bytes::from(value));
    Ok(Some(Some(entry)))
}

fn find(db: &Connection, key: &str, room: &ReadRoom) -> Result<Option<KvEntry>, Failed> {
    loop {
        let Some(Found {
            length,
            mut entry,
            small,
        }) = look_up(db, key)?
        else {
            return Ok(None);
        };
        let reserved = room.reserve(length)?;
        let value = match small {
            Some(value) => Some(value),
            None => {
                let mut select =
                    db.prepare_cached("SELECT value FROM entries WHERE key = ?1 AND length(value) = ?2")?;
                select
                    .query_row(params![key, signed(length as u64)], |row| row.get(0))
                    .optional()?
            }
        };
        // If there is none, another value was stored meanwhile.
        if let Some(value) = value {
            entry.value = reserved.keep(Bytes::from(value));
            return Ok(Some(entry));
        }
    }
}

fn list(db: &Connection, listing: &KvListing) -> Result<KvPage, Failed> {
    let KvListing { prefix, after, limit } = listing;
    // The reservation is dropped after the value.
    let (from, is_after) = match after {
        Some(after) if after >= prefix => (after, true),
        _ => (prefix, false),
    };
    let mut select = db.prepare_cached(
        "SELECT key, expiration, metadata FROM entries
         WHERE key >= ?1 AND (expiration IS NULL OR expiration > ?2) ORDER BY key",
    )?;
    let mut rows = select.query(params![from, signed(now())])?;
    let mut page = KvPage {
        is_complete: true,
        ..KvPage::default()
    };
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        if !name.starts_with(prefix) {
            break;
        }
        if is_after && name == *from {
            continue;
        }
        if page.keys.len() == *limit {
            page.is_complete = false;
            break;
        }
        let key = KvKey::new(name).expiration(row.get::<_, Option<i64>>(1)?.map(i64::unsigned_abs));
        page.keys.push(key.metadata(row.get::<_, Option<String>>(2)?));
    }
    Ok(page)
}

fn sweep(db: &Connection) -> rusqlite::Result<bool> {
    let mut delete = db.prepare_cached(
        "DELETE FROM entries WHERE rowid IN (SELECT rowid FROM entries WHERE expiration <= ?1 LIMIT ?2)",
    )?;
    Ok(delete.execute(params![signed(now()), signed(SWEEP_MAX as u64)])? == SWEEP_MAX)
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
