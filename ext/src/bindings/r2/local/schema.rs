//! The tables of a bucket.

use rusqlite::{Row, types::Type};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::object::{R2Object, R2StorageClass};
use crate::storage::sqlite::Schema;

pub(super) const SCHEMA: Schema = Schema {
    version: 1,
    // The content of an object is in the files that `parts` names, with the object's version as `owner`. The parts of an upload
    // have its id. `garbage` names files that are to be removed.
    create: "CREATE TABLE objects (
                 key TEXT NOT NULL UNIQUE,
                 version TEXT NOT NULL,
                 size INTEGER NOT NULL,
                 etag TEXT NOT NULL,
                 uploaded INTEGER NOT NULL,
                 class TEXT NOT NULL,
                 checksums TEXT NOT NULL,
                 http TEXT NOT NULL,
                 custom TEXT NOT NULL
             ) STRICT;
             CREATE TABLE uploads (
                 id TEXT NOT NULL UNIQUE,
                 key TEXT NOT NULL,
                 created INTEGER NOT NULL,
                 is_open INTEGER NOT NULL,
                 class TEXT NOT NULL,
                 http TEXT NOT NULL,
                 custom TEXT NOT NULL
             ) STRICT;
             CREATE INDEX uploads_created ON uploads (created);
             CREATE TABLE parts (
                 owner TEXT NOT NULL,
                 number INTEGER NOT NULL,
                 blob TEXT NOT NULL UNIQUE,
                 size INTEGER NOT NULL,
                 etag TEXT NOT NULL,
                 md5 BLOB NOT NULL,
                 PRIMARY KEY (owner, number)
             ) STRICT, WITHOUT ROWID;
             CREATE TABLE garbage (blob TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
             CREATE INDEX garbage_at ON garbage (at);
             CREATE TABLE total (bytes INTEGER NOT NULL, objects INTEGER NOT NULL) STRICT;
             INSERT INTO total VALUES (0, 0);
             CREATE TRIGGER part_added AFTER INSERT ON parts
             BEGIN UPDATE total SET bytes = bytes + new.size; END;
             CREATE TRIGGER part_removed AFTER DELETE ON parts
             BEGIN UPDATE total SET bytes = bytes - old.size; END;
             CREATE TRIGGER object_added AFTER INSERT ON objects
             BEGIN UPDATE total SET objects = objects + 1; END;
             CREATE TRIGGER object_removed AFTER DELETE ON objects
             BEGIN UPDATE total SET objects = objects - 1; END;",
};

/// The columns that [`object`] reads.
pub(super) const OBJECT: &str = "key, version, size, etag, uploaded, class, checksums, http, custom";

/// Reads a row with the columns of [`OBJECT`].
pub(super) fn object(row: &Row<'_>) -> rusqlite::Result<R2Object> {
    let object = R2Object::new(row.get::<_, String>(0)?, unsigned(row, 2)?, row.get::<_, String>(3)?);
    Ok(object
        .version(row.get::<_, String>(1)?)
        .uploaded(unsigned(row, 4)?)
        .storage_class(class(row, 5)?)
        .checksums(json(row, 6)?)
        .http_metadata(json(row, 7)?)
        .custom_metadata(json(row, 8)?))
}

pub(super) fn class(row: &Row<'_>, column: usize) -> rusqlite::Result<R2StorageClass> {
    let name: String = row.get(column)?;
    Ok(R2StorageClass::parse(&name).unwrap_or_default())
}

pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

/// Reads a value that is stored as JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

pub(super) fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
