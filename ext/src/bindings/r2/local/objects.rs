//! Transactions on objects.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::super::condition::R2Conditions;
use super::super::object::R2Object;
use super::schema::{OBJECT, object, to_json, unsigned};
use crate::storage::sqlite::Failed;
use crate::storage::{StorageError, signed};

/// Time for which the files of a replaced multipart object are kept, because a reader opens them one after another. The only
/// file of another object is open from the start.
const SEVERAL_PARTS_GRACE_MS: u64 = 60 * 60 * 1000;

/// The file of a part.
pub(super) struct Part {
    pub(super) blob: String,
    pub(super) size: u64,
    pub(super) etag: String,
    pub(super) md5: Vec<u8>,
}

/// Returns the metadata of an object.
pub(super) fn head(db: &Connection, key: &str) -> Result<Option<R2Object>, Failed> {
    let mut select = db.prepare_cached(&format!("SELECT {OBJECT} FROM objects WHERE key = ?1"))?;
    Ok(select.query_row([key], object).optional()?)
}

/// The files of an object, with their sizes.
pub(super) type Files = Vec<(String, u64)>;

/// Returns an object with its files.
pub(super) fn find(db: &Connection, key: &str) -> Result<Option<(R2Object, Files)>, Failed> {
    // Both are read in one transaction.
    let transaction = db.unchecked_transaction()?;
    let Some(object) = head(db, key)? else {
        return Ok(None);
    };
    let mut select = db.prepare_cached("SELECT blob, size FROM parts WHERE owner = ?1 ORDER BY number")?;
    let files = select.query_map([&object.version], |row| Ok((row.get(0)?, unsigned(row, 1)?)))?;
    let files = files.collect::<rusqlite::Result<_>>()?;
    drop(select);
    transaction.commit()?;
    Ok(Some((object, files)))
}

/// Stores an object with at most one file. Returns the files to be removed now, or `None` if the conditions do not hold.
pub(super) fn put(
    db: &Connection,
    object: &R2Object,
    part: Option<&Part>,
    conditions: &R2Conditions,
    bytes_max: u64,
) -> Result<Option<Vec<String>>, Failed> {
    let old = head(db, &object.key)?;
    if !conditions.hold(old.as_ref()) {
        return Ok(None);
    }
    let unused = replace(db, old.as_ref(), object.uploaded)?;
    room(db, object.size, bytes_max)?;
    if let Some(part) = part {
        add_part(db, &object.version, 1, part)?;
    }
    insert(db, object)?;
    Ok(Some(unused))
}

/// Checks for room for a number of bytes.
pub(super) fn room(db: &Connection, bytes: u64, bytes_max: u64) -> Result<(), Failed> {
    match total(db)?.0.saturating_add(bytes) > bytes_max {
        true => Err(StorageError::Full(bytes_max).into()),
        false => Ok(()),
    }
}

/// Checks for room for content that replaces an object.
pub(super) fn room_for(db: &Connection, key: &str, bytes: u64, bytes_max: u64) -> Result<(), Failed> {
    let replaced = head(db, key)?.map_or(0, |object| object.size);
    room(db, bytes.saturating_sub(replaced), bytes_max)
}

/// Returns the size of all objects and parts, and the number of objects.
pub(super) fn total(db: &Connection) -> Result<(u64, u64), Failed> {
    let mut select = db.prepare_cached("SELECT bytes, objects FROM total")?;
    Ok(select.query_row([], |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))?)
}

pub(super) fn add_part(db: &Connection, owner: &str, number: u16, part: &Part) -> Result<(), Failed> {
    let mut add =
        db.prepare_cached("INSERT INTO parts (owner, number, blob, size, etag, md5) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?;
    add.execute(params![
        owner,
        number,
        part.blob,
        signed(part.size),
        part.etag,
        part.md5
    ])?;
    Ok(())
}

/// Writes the row of an object.
pub(super) fn insert(db: &Connection, object: &R2Object) -> Result<(), Failed> {
    let mut insert = db.prepare_cached(
        "INSERT INTO objects (key, version, size, etag, uploaded, class, checksums, http, custom)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (key) DO UPDATE
         SET version = excluded.version, size = excluded.size, etag = excluded.etag, uploaded = excluded.uploaded,
             class = excluded.class, checksums = excluded.checksums, http = excluded.http, custom = excluded.custom",
    )?;
    insert.execute(params![
        object.key,
        object.version,
        signed(object.size),
        object.etag,
        signed(object.uploaded),
        object.storage_class.to_string(),
        to_json(&object.checksums),
        to_json(&object.http_metadata),
        to_json(&object.custom_metadata),
    ])?;
    Ok(())
}

/// Detaches the files of an object that is replaced or removed. Returns the files that can be removed now.
pub(super) fn replace(db: &Connection, old: Option<&R2Object>, now: u64) -> Result<Vec<String>, Failed> {
    let Some(old) = old else { return Ok(Vec::new()) };
    let mut count = db.prepare_cached("SELECT count(*) FROM parts WHERE owner = ?1")?;
    let has_one: bool = count.query_row([&old.version], |row| Ok(row.get::<_, i64>(0)? <= 1))?;
    discard(
        db,
        &old.version,
        if has_one { now } else { now + SEVERAL_PARTS_GRACE_MS },
        now,
    )
}

/// Detaches the files of an owner, to be removed at a time. Returns them if they can be removed now.
pub(super) fn discard(db: &Connection, owner: &str, at: u64, now: u64) -> Result<Vec<String>, Failed> {
    let mut mark = db.prepare_cached("INSERT INTO garbage (blob, at) SELECT blob, ?2 FROM parts WHERE owner = ?1")?;
    mark.execute(params![owner, signed(at)])?;
    let mut remove = db.prepare_cached("DELETE FROM parts WHERE owner = ?1 RETURNING blob")?;
    let blobs = remove.query_map([owner], |row| row.get::<_, String>(0))?;
    let blobs = blobs.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(if at <= now { blobs } else { Vec::new() })
}

/// Removes objects. Returns the files to be removed now.
pub(super) fn delete(db: &Connection, keys: &[String], now: u64) -> Result<Vec<String>, Failed> {
    let mut unused = Vec::new();
    for key in keys {
        let old = head(db, key)?;
        unused.extend(replace(db, old.as_ref(), now)?);
        db.prepare_cached("DELETE FROM objects WHERE key = ?1")?
            .execute([key])?;
    }
    Ok(unused)
}
