//! The database of an object in the pool's process, for a worker in a sandbox. The worker's thread waits for each answer, as it would
//! for the database.

use std::sync::Arc;

use futures::executor::block_on;
use futures::future::{AbortHandle, Abortable, Aborted, LocalBoxFuture};
use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use tokio::task::unconstrained;

use super::ObjectError;
use super::database::{Effect, Ran, Range};
use super::messages::{StorageReply, StorageRequest, entries};
use crate::bindings::{Lent, Parcel, pack, unpack};
use crate::event::CpuMeter;
use crate::sql::{Payer, ResultSet, WrittenResult};
use crate::written::FRAME_BYTES_MAX;

/// Maximum size of a request: that of a message, less its description.
const REQUEST_BYTES_MAX: usize = FRAME_BYTES_MAX - (64 << 10);

/// The database of an object in another process.
pub(super) struct Elsewhere {
    lent: Arc<dyn Lent>,
    /// Charged for the time of the other process.
    cpu: CpuMeter,
}

impl Elsewhere {
    /// Locks the file. Returns whether it was never written, too.
    pub(super) fn lock(lent: Arc<dyn Lent>, cpu: CpuMeter) -> Result<(Self, bool), ObjectError> {
        let database = Self { lent, cpu };
        let is_empty = database.ask(&StorageRequest::Lock).result?;
        Ok((database, is_empty))
    }

    /// Asks the other process, and waits for the answer until the code that runs in the worker is ended.
    pub(super) fn ask<T: DeserializeOwned>(&self, request: &StorageRequest<'_>) -> Ran<T> {
        let request = match pack(request) {
            Ok(request) if request.len() > REQUEST_BYTES_MAX => {
                let why = format!(
                    "the values of a statement have {} bytes, and the limit in a sandbox is {REQUEST_BYTES_MAX} bytes: bind fewer, or \
                     smaller ones",
                    request.len()
                );
                return Ran::found(Err(ObjectError::Internal(why)));
            }
            Ok(request) => request,
            Err(error) => return Ran::found(Err(ObjectError::Internal(error))),
        };
        let (ends, registration) = AbortHandle::new_pair();
        let answer = Abortable::new(self.lent.call(Parcel::new(request), FRAME_BYTES_MAX), registration);
        // Unconstrained, because the task of the event loop that waits here does not yield.
        let answer = unconstrained(answer);
        let answer = self.cpu.interruptible(move || ends.abort(), || block_on(answer));
        let reply = match answer {
            Ok(Ok(answer)) => unpack::<StorageReply<T>>(&answer.bytes),
            Ok(Err(error)) => Err(error),
            Err(Aborted) => Err("the worker is being ended".to_owned()),
        };
        match reply {
            Ok(StorageReply { result, effect, cpu }) => {
                let charged = self.cpu.charge_elsewhere(cpu);
                let result = match (result, charged) {
                    (Err(_), Err(exceeded)) => Err(ObjectError::Internal(exceeded.to_string())),
                    (result, _) => result.map_err(ObjectError::from),
                };
                Ran { result, effect }
            }
            // What has become of it is not known.
            Err(error) => Ran {
                result: Err(ObjectError::Internal(format!(
                    "the storage of the Durable Object: {error}"
                ))),
                effect: Effect::Undone,
            },
        }
    }

    pub(super) fn values(&self, keys: Vec<&str>) -> Ran<Vec<Option<Vec<u8>>>> {
        let values = self.ask::<Vec<Option<ByteBuf>>>(&StorageRequest::Get(keys));
        values.map(|values| values.into_iter().map(|value| value.map(ByteBuf::into_vec)).collect())
    }

    pub(super) fn entries(&self, range: Range) -> Ran<Vec<(String, Vec<u8>)>> {
        let Ran { result, effect } = self.ask::<ByteBuf>(&StorageRequest::List(range));
        let result = result.and_then(|list| entries(&list).map_err(ObjectError::Internal));
        Ran { result, effect }
    }

    pub(super) fn results(&self, request: &StorageRequest<'_>, payer: &Payer) -> Ran<ResultSet> {
        let result = self.ask::<WrittenResult>(request);
        result.map(|result| result.read(payer))
    }

    /// Waits until what was committed is on the disk, without blocking.
    pub(super) fn sync(&self) -> LocalBoxFuture<'static, Result<(), ObjectError>> {
        let request = pack(&StorageRequest::Sync);
        let answer = request.map(|request| self.lent.call(Parcel::new(request), FRAME_BYTES_MAX));
        Box::pin(async move {
            let answer = async { unpack::<StorageReply<()>>(&answer?.await?.bytes) };
            Ok(answer.await.map_err(ObjectError::Failed)?.result?)
        })
    }
}
