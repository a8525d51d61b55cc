//! Receipt of an object's storage in its worker's process.

use std::sync::Arc;

use super::ObjectError;
use super::addressed::{AlarmCall, WrittenObject};
use super::events::{AlarmStore, OnEnd, StoredObject};
use super::id::ObjectId;
use crate::bindings::{Crossed, Lent, Parcel, pack, unpack};
use crate::storage::{StorageError, StorageFuture, WrittenStorageError};

/// Maximum size of an answer, which is a number.
const ANSWER_BYTES_MAX: usize = 64;

/// The alarms of an object, which stay in the pool's process.
struct RemoteAlarms(Arc<dyn Lent>);

impl RemoteAlarms {
    fn ask(&self, asked: AlarmCall) -> StorageFuture<bool> {
        let answer = pack(&asked).map(|bytes| self.0.call(Parcel::new(bytes), ANSWER_BYTES_MAX));
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

/// Opens the storage that was sent by the pool's process, which is notified when it is dropped.
pub(super) fn arrived(crossed: Crossed) -> Result<StoredObject, ObjectError> {
    let Crossed { bytes, lent } = crossed;
    let written = unpack::<WrittenObject>(&bytes).map_err(ObjectError::Internal)?;
    let held = Arc::clone(&lent);
    Ok(StoredObject {
        folder: written.folder,
        id: ObjectId::new(written.id, written.name.map(Arc::from)),
        bytes_max: written.bytes_max,
        alarms: Arc::new(RemoteAlarms(lent)),
        on_end: OnEnd::new(move || drop(held)),
    })
}
