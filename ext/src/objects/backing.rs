//! The two places of an object's database: the process of its worker, or the pool's.
//!
//! Every operation is complete when it returns, in either place.

use std::rc::Rc;

use futures::future::LocalBoxFuture;
use serde_bytes::Bytes;

use super::ObjectError;
use super::database::{ObjectDatabase, Ran, Range};
use super::elsewhere::Elsewhere;
use super::messages::StorageRequest;
use crate::sql::{Param, Payer, ResultSet, StatementStack};
use crate::storage::files::FileThreads;

/// The database of an object, as its worker uses it.
pub(super) enum Backing {
    Here(Box<Here>),
    Elsewhere(Elsewhere),
}

/// A database in the worker's process, used on its thread.
pub(super) struct Here {
    pub(super) database: ObjectDatabase,
    /// Syncs the log.
    pub(super) threads: Rc<FileThreads>,
    /// Runs statements.
    pub(super) stack: Rc<StatementStack>,
}

impl Backing {
    pub(super) fn open(&mut self) -> Result<(), ObjectError> {
        match self {
            Self::Here(here) => here.database.open(),
            Self::Elsewhere(other) => other.ask(&StorageRequest::Open).result,
        }
    }

    /// Closes the file and keeps its lock.
    pub(super) fn rest(&mut self) {
        match self {
            Self::Here(here) => here.database.rest(),
            // Without a connection, the other process has closed it.
            Self::Elsewhere(other) => drop(other.ask::<()>(&StorageRequest::Rest)),
        }
    }

    /// Closes the file for good. With `keeps`, pending writes are committed.
    pub(super) fn close(&mut self, keeps: bool) {
        match self {
            Self::Here(here) => here.database.close(keeps),
            Self::Elsewhere(other) => drop(other.ask::<()>(&StorageRequest::Close { keeps })),
        }
    }

    /// Returns the values of the first of these keys, of at least one.
    pub(super) fn get(&mut self, keys: Vec<&str>) -> Ran<Vec<Option<Vec<u8>>>> {
        match self {
            Self::Here(here) => here.database.get(&keys),
            Self::Elsewhere(other) => other.values(keys),
        }
    }

    pub(super) fn put<'a>(&mut self, entries: impl Iterator<Item = (&'a str, &'a [u8])>) -> Ran<()> {
        match self {
            Self::Here(here) => here.database.put(entries),
            Self::Elsewhere(other) => {
                let entries = entries.map(|(key, value)| (key, Bytes::new(value)));
                other.ask(&StorageRequest::Put(entries.collect()))
            }
        }
    }

    /// Deletes entries. Returns the number of those that there were.
    pub(super) fn delete(&mut self, keys: Vec<&str>) -> Ran<usize> {
        match self {
            Self::Here(here) => here.database.delete(&keys),
            Self::Elsewhere(other) => other.ask(&StorageRequest::Delete(keys)),
        }
    }

    pub(super) fn list(&mut self, range: Range) -> Ran<Vec<(String, Vec<u8>)>> {
        match self {
            Self::Here(here) => {
                let mut entries = Vec::new();
                let listed = here.database.list(&range, |key, value| {
                    entries.push((key.to_owned(), value.to_vec()));
                });
                listed.map(|()| entries)
            }
            Self::Elsewhere(other) => other.entries(range),
        }
    }

    pub(super) fn clear(&mut self) -> Ran<()> {
        match self {
            Self::Here(here) => here.database.clear(),
            Self::Elsewhere(other) => other.ask(&StorageRequest::Clear),
        }
    }

    pub(super) fn alarm(&mut self) -> Ran<Option<i64>> {
        match self {
            Self::Here(here) => here.database.alarm(),
            Self::Elsewhere(other) => other.ask(&StorageRequest::Alarm),
        }
    }

    /// Sets or removes the alarm. Returns whether that changes anything.
    pub(super) fn set_alarm(&mut self, at_ms: Option<i64>) -> Ran<bool> {
        match self {
            Self::Here(here) => here.database.set_alarm(at_ms),
            Self::Elsewhere(other) => other.ask(&StorageRequest::SetAlarm(at_ms)),
        }
    }

    pub(super) fn sql(&mut self, text: &str, params: Vec<Param>, payer: Payer) -> Ran<ResultSet> {
        match self {
            Self::Here(here) => here.database.sql(text, params, payer, &here.stack),
            Self::Elsewhere(other) => other.results(&StorageRequest::Sql { text, params }, &payer),
        }
    }

    /// Reads the next rows of a cursor.
    pub(super) fn rows(&mut self, cursor: u32, takes_all: bool, payer: Payer) -> Ran<ResultSet> {
        match self {
            Self::Here(here) => here.database.rows(cursor, takes_all, payer, &here.stack),
            Self::Elsewhere(other) => other.results(&StorageRequest::Rows { cursor, takes_all }, &payer),
        }
    }

    pub(super) fn close_cursor(&mut self, cursor: u32) {
        match self {
            Self::Here(here) => here.database.close_cursor(cursor),
            Self::Elsewhere(other) => drop(other.ask::<()>(&StorageRequest::CloseCursor(cursor))),
        }
    }

    pub(super) fn size(&mut self) -> Ran<u64> {
        match self {
            Self::Here(here) => here.database.size(),
            Self::Elsewhere(other) => other.ask(&StorageRequest::Size),
        }
    }

    pub(super) fn begin(&mut self) -> Ran<()> {
        match self {
            Self::Here(here) => here.database.begin(),
            Self::Elsewhere(other) => other.ask(&StorageRequest::Begin),
        }
    }

    pub(super) fn finish(&mut self, keeps: bool) -> Ran<()> {
        match self {
            Self::Here(here) => here.database.finish(keeps),
            Self::Elsewhere(other) => other.ask(&StorageRequest::Finish { keeps }),
        }
    }

    /// Commits the writes so far. They are on the disk when the returned future has resolved.
    pub(super) fn commit(&mut self) -> Result<LocalBoxFuture<'static, Result<(), ObjectError>>, ObjectError> {
        match self {
            Self::Here(here) => {
                here.database.commit()?;
                let log = here.database.log()?;
                let synced = here.threads.run(move || log.sync_data());
                Ok(Box::pin(async move {
                    synced.await?.map_err(|error| ObjectError::Failed(error.to_string()))
                }))
            }
            Self::Elsewhere(other) => {
                other.ask::<()>(&StorageRequest::Commit).result?;
                Ok(other.sync())
            }
        }
    }
}
