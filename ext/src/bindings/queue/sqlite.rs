//! A queue in a SQLite file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tokio::sync::watch;

use super::store::{
    ContentType, Leased, Outbound, Peeked, QueueBody, QueueMessage, QueueMetrics, QueueStore, Receipt, Settled, Take,
    Taken, Verdict,
};
use crate::storage::sqlite::{Database, Failed, Options, Schema};
use crate::storage::{StorageError, StorageFuture, now_ms, signed};

const SCHEMA: Schema = Schema {
    version: 1,
    // A message that was never taken is due at 0, so that the order does not depend on the clock. A lease is due when it ends.
    create: "CREATE TABLE messages (
                 place INTEGER PRIMARY KEY,
                 due INTEGER NOT NULL,
                 lease INTEGER,
                 attempts INTEGER NOT NULL DEFAULT 0,
                 id TEXT NOT NULL,
                 sent INTEGER NOT NULL,
                 is_moved INTEGER NOT NULL,
                 content_type INTEGER NOT NULL,
                 body BLOB NOT NULL
             ) STRICT;
             CREATE INDEX due ON messages (due);
             CREATE UNIQUE INDEX moved ON messages (id) WHERE is_moved;
             CREATE TABLE totals (one INTEGER PRIMARY KEY CHECK (one = 1), count INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
             INSERT INTO totals VALUES (1, 0, 0);",
};

/// Divisor of the file's maximum size for messages. The rest is for indexes, and for settling messages of a full queue.
const CONTENT_SHARE: u64 = 2;
/// Counted size of a message in addition to its body.
const MESSAGE_BYTES: u64 = 100;

/// A queue in a SQLite file, which is created on first use.
///
/// ```
/// # mod isopod { pub use isopod_ext::bindings; }
/// use isopod::bindings::queue::{Outbound, QueueBody, QueueBinding, QueueMessage, QueueStore, SqliteQueue};
///
/// let folder = tempfile::tempdir()?;
/// let orders = SqliteQueue::new(folder.path().join("orders.sqlite"));
/// let binding = QueueBinding::new(orders.clone());
/// # drop(binding);
/// // A program can send too.
/// let message = QueueMessage::new(QueueBody::json(&serde_json::json!({ "order": 7 })));
/// let backlog = futures::executor::block_on(orders.send(vec![Outbound::new(message)]))?;
/// assert_eq!(backlog.count, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Acknowledged operations are on disk. Several processes may use the file at the same time. It has two threads, the writer
/// `isopod-queue-w` and a reader. Clones share them, and wake each other's consumers.
#[derive(Clone)]
pub struct SqliteQueue {
    options: Options,
    database: Database,
    /// Number of changes after which a message may be due.
    changes: watch::Sender<u64>,
}

impl SqliteQueue {
    /// The default of [`bytes_max`](Self::bytes_max).
    pub const BYTES_MAX: u64 = 10 << 30;
    /// The default of [`queue_len_max`](Self::queue_len_max).
    pub const QUEUE_LEN_MAX: usize = 1000;

    /// Creates a queue in the file at this path. Missing folders are created on first use.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::of(Options {
            path: path.into(),
            threads: "isopod-queue",
            schema: SCHEMA,
            bytes_max: Self::BYTES_MAX.saturating_mul(CONTENT_SHARE),
            readers_max: 1,
            queue_len_max: Self::QUEUE_LEN_MAX,
            sweep: None,
            sweep_every: Duration::MAX,
        })
    }

    fn of(options: Options) -> Self {
        Self {
            database: Database::new(options.clone()),
            options,
            changes: watch::Sender::new(0),
        }
    }

    /// Sets the maximum size of the backlog in bytes: all bodies, plus 100 bytes per message. Default: 10 GiB. A `send` that
    /// would exceed it fails. The file has at most twice that size.
    #[must_use]
    pub fn bytes_max(mut self, bytes_max: u64) -> Self {
        self.options.bytes_max = bytes_max.saturating_mul(CONTENT_SHARE);
        Self::of(self.options)
    }

    /// Sets the maximum number of operations that wait for the writer. Default: 1,000. Further ones fail.
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

impl fmt::Debug for SqliteQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SqliteQueue").field(&self.options.path).finish()
    }
}

impl QueueStore for SqliteQueue {
    fn files(&self) -> Vec<PathBuf> {
        vec![self.options.path.clone()]
    }

    fn send(&self, messages: Vec<Outbound>) -> StorageFuture<QueueMetrics> {
        let bytes = messages.iter().map(|one| one.message.body.bytes.len()).sum();
        let content_max = self.options.bytes_max / CONTENT_SHARE;
        let changes = self.changes.clone();
        self.database.write(bytes, move |db| {
            let metrics = insert(db, &messages, content_max)?;
            // Notified before the commit, because the caller's future may be gone afterwards. The same thread serves a
            // `take` only after the commit.
            changes.send_modify(|count| *count += 1);
            Ok(metrics)
        })
    }

    fn take(&self, wanted: Take) -> StorageFuture<Taken> {
        // If a crash of the machine undoes a lease, the message is redelivered.
        self.database.write_unsynced(move |db| take(db, &wanted))
    }

    fn settle(&self, settled: Vec<Settled>) -> StorageFuture<()> {
        let changes = self.changes.clone();
        self.database.write(0, move |db| {
            settle(db, &settled)?;
            // Due times have changed.
            if settled.iter().any(|one| one.verdict != Verdict::Remove) {
                changes.send_modify(|count| *count += 1);
            }
            Ok(())
        })
    }

    fn renew(&self, receipts: Vec<Receipt>, lease: Duration) -> StorageFuture<()> {
        self.database.write_unsynced(move |db| {
            let mut update = db.prepare_cached("UPDATE messages SET due = ?3 WHERE place = ?1 AND lease = ?2")?;
            for Receipt { place, lease: token } in receipts {
                update.execute(params![place, token, after(lease)])?;
            }
            Ok(())
        })
    }

    fn metrics(&self) -> StorageFuture<QueueMetrics> {
        self.database.read(|db| Ok(metrics(db)?))
    }

    fn changed(&self, seen: u64) -> StorageFuture<u64> {
        let mut changes = self.changes.subscribe();
        Box::pin(async move {
            let changed = changes.wait_for(|count| *count != seen).await;
            changed
                .map(|count| *count)
                .map_err(|_| StorageError::Failed("the queue was dropped".to_owned()))
        })
    }

    fn peek(&self, count: usize) -> StorageFuture<Vec<Peeked>> {
        self.database.read(move |db| {
            let mut select = db.prepare_cached(
                "SELECT place, id, sent, content_type, body, attempts, due, lease FROM messages ORDER BY due, place LIMIT ?1",
            )?;
            let rows = select.query_map([signed(count as u64)], |row| {
                let due = row.get::<_, i64>(6)?.unsigned_abs();
                Ok(Peeked {
                    message: message(row)?,
                    attempts: row.get(5)?,
                    due_ms: (due > 0).then_some(due),
                    is_leased: row.get::<_, Option<i64>>(7)?.is_some() && due > now_ms(),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn purge(&self) -> StorageFuture<u64> {
        self.database.write(0, |db| {
            let Totals { count, .. } = totals(db)?;
            db.execute("DELETE FROM messages", [])?;
            db.execute("UPDATE totals SET count = 0, bytes = 0", [])?;
            Ok(count)
        })
    }
}

struct Totals {
    count: u64,
    bytes: u64,
}

fn totals(db: &Connection) -> rusqlite::Result<Totals> {
    let mut select = db.prepare_cached("SELECT count, bytes FROM totals")?;
    select.query_row([], |row| {
        Ok(Totals {
            count: row.get::<_, i64>(0)?.unsigned_abs(),
            bytes: row.get::<_, i64>(1)?.unsigned_abs(),
        })
    })
}

fn add(db: &Connection, count: i64, bytes: i64) -> rusqlite::Result<()> {
    if count != 0 {
        db.prepare_cached("UPDATE totals SET count = count + ?1, bytes = bytes + ?2")?
            .execute([count, bytes])?;
    }
    Ok(())
}

fn metrics(db: &Connection) -> rusqlite::Result<QueueMetrics> {
    let Totals { count, bytes } = totals(db)?;
    let mut select = db.prepare_cached("SELECT sent FROM messages ORDER BY place LIMIT 1")?;
    let oldest = select.query_row([], |row| row.get::<_, i64>(0)).optional()?;
    Ok(QueueMetrics::default()
        .count(count)
        .bytes(bytes)
        .oldest_ms(oldest.map(i64::unsigned_abs)))
}

fn insert(db: &Connection, messages: &[Outbound], content_max: u64) -> Result<QueueMetrics, Failed> {
    let mut insert = db.prepare_cached(
        "INSERT OR IGNORE INTO messages (due, id, sent, is_moved, content_type, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let (mut count, mut bytes) = (0, 0);
    for Outbound {
        message,
        delay,
        is_moved,
    } in messages
    {
        let due = if delay.is_zero() { 0 } else { after(*delay) };
        let QueueMessage { id, sent_ms, body } = message;
        let (form, content) = (number_of(body.content_type), &*body.bytes);
        if insert.execute(params![due, id, signed(*sent_ms), is_moved, form, content])? > 0 {
            count += 1;
            bytes += signed(content.len() as u64);
        }
    }
    add(db, count, bytes)?;
    let metrics = metrics(db)?;
    if metrics.bytes + metrics.count * MESSAGE_BYTES > content_max {
        return Err(StorageError::Full(content_max).into());
    }
    Ok(metrics)
}

fn take(db: &Connection, wanted: &Take) -> Result<Taken, Failed> {
    let now = signed(now_ms());
    let count = count_due(db, wanted, now)?;
    let mut taken = Taken::default();
    if count > 0 && count >= wanted.at_least {
        // Distinguishes this lease from all others of the message.
        let lease = fastrand::i64(..);
        let mut update = db.prepare_cached(
            "UPDATE messages SET due = ?3, lease = ?4, attempts = attempts + 1
             WHERE place IN (SELECT place FROM messages WHERE due <= ?1 ORDER BY due, place LIMIT ?2)
             RETURNING place, id, sent, content_type, body, attempts",
        )?;
        let limit = signed(fitting(db, wanted, now)? as u64);
        let messages = update.query_map(params![now, limit, after(wanted.lease), lease], |row| {
            let place = row.get(0)?;
            Ok(Leased::new(Receipt { place, lease }, message(row)?, row.get(5)?))
        })?;
        taken.messages = messages.collect::<Result<_, _>>()?;
        // Rows are returned in any order.
        taken.messages.sort_unstable_by_key(|one| one.receipt.place);
    } else {
        taken.waiting = count;
    }
    let mut next = db.prepare_cached("SELECT min(due) FROM messages WHERE due > ?1")?;
    let next = next.query_row([now], |row| row.get::<_, Option<i64>>(0))?;
    taken.next_ms = next.map(i64::unsigned_abs);
    taken.metrics = metrics(db)?;
    Ok(taken)
}

/// Counts due messages, up to the wanted number. Reads only the index.
fn count_due(db: &Connection, wanted: &Take, now: i64) -> rusqlite::Result<usize> {
    let mut select = db.prepare_cached("SELECT count(*) FROM (SELECT 1 FROM messages WHERE due <= ?1 LIMIT ?2)")?;
    let count = select.query_row(params![now, signed(wanted.at_most as u64)], |row| row.get::<_, i64>(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Returns the number of due messages whose total length reaches the wanted one.
fn fitting(db: &Connection, wanted: &Take, now: i64) -> rusqlite::Result<usize> {
    let mut select =
        db.prepare_cached("SELECT length(body) FROM messages WHERE due <= ?1 ORDER BY due, place LIMIT ?2")?;
    let mut rows = select.query(params![now, signed(wanted.at_most as u64)])?;
    let (mut count, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        count += 1;
        bytes += usize::try_from(row.get::<_, i64>(0)?).unwrap_or_default();
        if bytes >= wanted.bytes_max {
            break;
        }
    }
    Ok(count)
}

fn settle(db: &Connection, settled: &[Settled]) -> rusqlite::Result<()> {
    let (mut count, mut bytes) = (0, 0);
    for Settled { receipt, verdict } in settled {
        let Receipt { place, lease } = receipt;
        match verdict {
            Verdict::Remove => {
                let mut delete =
                    db.prepare_cached("DELETE FROM messages WHERE place = ?1 AND lease = ?2 RETURNING length(body)")?;
                let removed = delete
                    .query_row([place, lease], |row| row.get::<_, i64>(0))
                    .optional()?;
                if let Some(length) = removed {
                    count -= 1;
                    bytes -= length;
                }
            }
            Verdict::Retry(delay) => {
                let mut update =
                    db.prepare_cached("UPDATE messages SET due = ?3, lease = NULL WHERE place = ?1 AND lease = ?2")?;
                update.execute(params![place, lease, after(*delay)])?;
            }
            Verdict::Return => {
                let mut update = db.prepare_cached(
                    "UPDATE messages SET due = 0, lease = NULL, attempts = attempts - 1 WHERE place = ?1 AND lease = ?2",
                )?;
                update.execute([place, lease])?;
            }
        }
    }
    add(db, count, bytes)
}

/// Reads a message from the first columns of a row: place, id, sent, content type, body.
fn message(row: &Row<'_>) -> rusqlite::Result<QueueMessage> {
    let form = usize::try_from(row.get::<_, i64>(3)?).unwrap_or_default();
    let content_type = ContentType::ALL.get(form).copied().unwrap_or(ContentType::Bytes);
    let body = QueueBody::new(content_type, row.get::<_, Vec<u8>>(4)?);
    Ok(QueueMessage::again(
        row.get::<_, String>(1)?,
        row.get::<_, i64>(2)?.unsigned_abs(),
        body,
    ))
}

/// Returns the stored number of a content type, its index in [`ContentType::ALL`].
const fn number_of(form: ContentType) -> i64 {
    match form {
        ContentType::Text => 0,
        ContentType::Json => 1,
        ContentType::Bytes => 2,
        ContentType::V8 => 3,
    }
}

/// Returns the time after this duration, as stored in SQLite.
fn after(duration: Duration) -> i64 {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    signed(now_ms().saturating_add(millis))
}

#[cfg(test)]
#[path = "sqlite_tests.rs"]
mod tests;
