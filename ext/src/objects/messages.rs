//! Messages between a pool's process and the process of a worker that calls or hosts an object.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::ObjectError;
use super::database::{Effect, Range};
use crate::quotas::QuotaError;
use crate::sql::{Param, SqlError};
use crate::written::{bounded, bounded_to};

/// Maximum number of keys of a request, as on the platform.
const KEYS_MAX: usize = 128;

/// A request or a call, and its object.
#[derive(Serialize, Deserialize)]
pub(super) struct Addressed {
    /// The id of the object.
    pub(super) id: String,
    /// The name that it was derived from.
    pub(super) name: Option<String>,
    /// The request or the call.
    pub(super) bytes: ByteBuf,
}

/// The storage of an object, sent to its worker.
#[derive(Serialize, Deserialize)]
pub(super) struct WrittenObject {
    pub(super) id: String,
    pub(super) name: Option<String>,
    /// The file, for a worker that opens it itself.
    pub(super) file: Option<WrittenFile>,
}

/// The file of an object.
#[derive(Serialize, Deserialize)]
pub(super) struct WrittenFile {
    pub(super) folder: PathBuf,
    pub(super) bytes_max: u64,
}

/// A request of an object's worker to the alarm store.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum AlarmCall {
    Set(Option<i64>),
    BringForward(i64),
}

/// A request of an object's worker about the object. All but the first are for the storage of objects in sandboxes.
#[derive(Serialize, Deserialize)]
pub(super) enum StorageRequest<'a> {
    /// Answered with `Result<bool, WrittenStorageError>`, all others with a [`StorageReply`].
    Alarms(AlarmCall),
    /// Locks the file. Answered with true if it was never written.
    Lock,
    Open,
    Rest,
    Close {
        keeps: bool,
    },
    /// Answered with the values of the first keys, as many as fit, and of at least one.
    Get(#[serde(borrow, deserialize_with = "bounded_to::<_, _, KEYS_MAX>")] Vec<&'a str>),
    Put(#[serde(borrow, deserialize_with = "bounded_to::<_, _, KEYS_MAX>")] Vec<(&'a str, &'a serde_bytes::Bytes)>),
    /// Answered with the number of entries that there were.
    Delete(#[serde(borrow, deserialize_with = "bounded_to::<_, _, KEYS_MAX>")] Vec<&'a str>),
    /// Answered with the entries as [`add_entry`] writes them.
    List(Range),
    Clear,
    Alarm,
    SetAlarm(Option<i64>),
    Sql {
        text: &'a str,
        #[serde(deserialize_with = "bounded")]
        params: Vec<Param>,
    },
    /// Answered with the next rows of a cursor.
    Rows {
        cursor: u32,
        takes_all: bool,
    },
    CloseCursor(u32),
    Size,
    Begin,
    Finish {
        keeps: bool,
    },
    Commit,
    Sync,
}

/// The answer to a request.
#[derive(Serialize, Deserialize)]
pub(super) struct StorageReply<T> {
    pub(super) result: Result<T, WrittenError>,
    pub(super) effect: Effect,
    /// The CPU time that it took.
    pub(super) cpu: Duration,
}

/// An error of an object's storage in written form.
#[derive(Serialize, Deserialize)]
pub(super) enum WrittenError {
    Room(usize),
    Sql(String),
    Failed(String),
    Other(String),
}

impl From<ObjectError> for WrittenError {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Quota(QuotaError::NativeBytes(bytes)) => Self::Room(bytes),
            ObjectError::Sql(error) => Self::Sql(error.to_string()),
            ObjectError::Failed(why) => Self::Failed(why),
            error => Self::Other(error.to_string()),
        }
    }
}

impl From<WrittenError> for ObjectError {
    fn from(written: WrittenError) -> Self {
        match written {
            WrittenError::Room(bytes) => QuotaError::NativeBytes(bytes).into(),
            WrittenError::Sql(error) => SqlError::Elsewhere(error).into(),
            WrittenError::Failed(why) => Self::Failed(why),
            WrittenError::Other(error) => Self::Internal(error),
        }
    }
}

/// Appends an entry to a list.
pub(super) fn add_entry(list: &mut Vec<u8>, key: &str, value: &[u8]) -> Result<(), String> {
    let entry = (key, serde_bytes::Bytes::new(value));
    let extended = postcard::to_extend(&entry, std::mem::take(list));
    *list = extended.map_err(|error| error.to_string())?;
    Ok(())
}

/// Reads a list of entries.
pub(super) fn entries(mut list: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut entries = Vec::new();
    while !list.is_empty() {
        let ((key, value), rest) =
            postcard::take_from_bytes::<(String, ByteBuf)>(list).map_err(|error| error.to_string())?;
        entries.push((key, value.into_vec()));
        list = rest;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let mut list = Vec::new();
        for (key, value) in [("", &b"1"[..]), ("key", &[0, 255])] {
            add_entry(&mut list, key, value).unwrap();
        }
        let expected = [(String::new(), vec![b'1']), ("key".to_owned(), vec![0, 255])];
        assert_eq!(entries(&list).unwrap(), expected);
        assert!(entries(&list[..list.len() - 1]).is_err());
    }

    #[test]
    fn an_error_reads_the_same_in_the_other_process() {
        for error in [
            QuotaError::NativeBytes(7).into(),
            ObjectError::Failed("why".to_owned()),
            ObjectError::Ended,
            SqlError::Bindings.into(),
        ] {
            let message = error.to_string();
            assert_eq!(ObjectError::from(WrittenError::from(error)).to_string(), message);
        }
    }
}
