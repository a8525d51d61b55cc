//! Receipt of an object's storage in its worker's process.

use std::sync::Arc;

use super::ObjectError;
use super::id::ObjectId;
use super::messages::{AlarmCall, StorageRequest, WrittenObject};
use super::stored::{AlarmStore, OnEnd, StoredObject};
use crate::bindings::{Crossed, Lent, Parcel, pack, unpack};
use crate::storage::{StorageError, StorageFuture, WrittenStorageError};

/// Maximum size of an answer, which is a number.
const ANSWER_BYTES_MAX: usize = 64;

/// The storage of an object that starts in this worker.
pub(super) enum Arrived {
    /// The worker opens the file.
    Here(StoredObject),
    /// The pool's process has the file.
    Elsewhere { id: ObjectId, lent: Arc<dyn Lent> },
}

/// The alarms of an object, which stay in the pool's process.
pub(super) struct RemoteAlarms(pub(super) Arc<dyn Lent>);

impl RemoteAlarms {
    fn ask(&self, request: AlarmCall) -> StorageFuture<bool> {
        let answer =
            pack(&StorageRequest::Alarms(request)).map(|bytes| self.0.call(Parcel::new(bytes), ANSWER_BYTES_MAX));
        Box::pin(async move {
            let answer = async { unpack::<Result<bool, WrittenStorageError>>(&answer?.await?.bytes) };
            answer.await.map_err(StorageError::Failed)?.map_err(StorageError::from)
        })
    }
}

impl AlarmStore for RemoteAlarms {
    fn set(&self, _id: &ObjectId, at_ms: Option<i64>) -> StorageFuture<()> {
        let set = self.ask(AlarmCall::Set(at_ms));
        Box::pin(async move { set.await.map(drop) })
    }

    fn bring_forward(&self, _id: &ObjectId, at_ms: i64) -> StorageFuture<bool> {
        self.ask(AlarmCall::BringForward(at_ms))
    }
}

/// Reads the storage that was sent by the pool's process, which is notified when it is dropped.
pub(super) fn arrived(crossed: Crossed) -> Result<Arrived, ObjectError> {
    let Crossed { bytes, lent } = crossed;
    let WrittenObject { id, name, file } = unpack(&bytes).map_err(ObjectError::Internal)?;
    let id = ObjectId::new(id, name.map(Arc::from));
    Ok(match file {
        Some(file) => Arrived::Here(StoredObject {
            folder: file.folder,
            id,
            bytes_max: file.bytes_max,
            alarms: Arc::new(RemoteAlarms(Arc::clone(&lent))),
            on_end: OnEnd::new(move || drop(lent)),
        }),
        None => Arrived::Elsewhere { id, lent },
    })
}
