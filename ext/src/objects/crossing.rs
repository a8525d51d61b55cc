//! The storage of an object whose worker is in another process.
//!
//! A worker that opens files itself gets the place of the file; the alarms stay here. A sandbox gets neither: the storage stays here.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::hosted::{Hosted, SandboxStorage};
use super::id::ObjectId;
use super::messages::{AlarmCall, StorageRequest, WrittenFile, WrittenObject};
use super::stored::{AlarmStore, OnEnd, StoredObject};
use crate::bindings::{Crossed, Crossing, Lent, Parcel, ParcelFuture, pack, unpack};
use crate::event::Attachment;
use crate::storage::{StorageFuture, WrittenStorageError};

/// Prepares the storage of an object for a worker in another process. The object has ended when that process has released it.
pub(super) fn cross(attachment: Attachment, crossing: &Crossing) -> Option<Crossed> {
    let StoredObject {
        folder,
        id,
        bytes_max,
        alarms,
        on_end,
    } = *attachment.downcast::<StoredObject>().ok()?;
    let (hex, name) = (id.as_hex().to_owned(), id.name().map(ToOwned::to_owned));
    let (file, storage) = match crossing.for_sandbox(SandboxStorage::new) {
        Some(storage) => {
            let hosted = Hosted::new(folder, id.clone(), bytes_max, on_end, storage);
            (None, Storage::Here(hosted))
        }
        None => {
            let file = WrittenFile {
                folder: folder.clone(),
                bytes_max,
            };
            let there = Storage::There {
                folder,
                bytes_max,
                on_end,
            };
            (Some(file), there)
        }
    };
    let written = WrittenObject { id: hex, name, file };
    Some(Crossed {
        bytes: pack(&written).ok()?,
        lent: Arc::new(Home {
            id,
            alarms,
            storage: Mutex::new(Some(storage)),
        }),
    })
}

/// The part of an object that stays in the pool's process.
struct Home {
    id: ObjectId,
    alarms: Arc<dyn AlarmStore>,
    /// Taken when the object goes to another worker.
    storage: Mutex<Option<Storage>>,
}

/// The place of an object's storage.
enum Storage {
    Here(Arc<Hosted>),
    /// The process of its worker.
    There {
        folder: PathBuf,
        bytes_max: u64,
        on_end: OnEnd,
    },
}

impl Home {
    fn storage(&self) -> MutexGuard<'_, Option<Storage>> {
        self.storage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call_alarms(&self, request: AlarmCall) -> ParcelFuture {
        // Started at once, because calls take effect in order.
        let done: StorageFuture<bool> = match request {
            AlarmCall::Set(at_ms) => {
                let set = self.alarms.set(&self.id, at_ms);
                Box::pin(async move { set.await.map(|()| true) })
            }
            AlarmCall::BringForward(at_ms) => self.alarms.bring_forward(&self.id, at_ms),
        };
        Box::pin(async move { pack(&done.await.map_err(WrittenStorageError::from)).map(Parcel::new) })
    }
}

impl Lent for Home {
    fn call(&self, request: Parcel, _bytes_max: usize) -> ParcelFuture {
        let error = match (unpack::<StorageRequest<'_>>(&request.bytes), &*self.storage()) {
            (Ok(StorageRequest::Alarms(call)), _) => return self.call_alarms(call),
            (Ok(_), Some(Storage::Here(hosted))) => return Arc::clone(hosted).serve(request),
            (Ok(_), _) => "the process of the object's worker has its storage".to_owned(),
            (Err(error), _) => error,
        };
        Box::pin(std::future::ready(Err(error)))
    }

    fn is_storage(&self) -> bool {
        true
    }

    fn cross_again(&self, crossing: &Crossing) -> Option<(Bytes, Arc<dyn Lent>)> {
        let mut storage = self.storage();
        let (folder, bytes_max, on_end) = match storage.take()? {
            Storage::There {
                folder,
                bytes_max,
                on_end,
            } => (folder, bytes_max, on_end),
            Storage::Here(hosted) => match Hosted::take_back(hosted) {
                Ok(taken) => taken,
                Err(hosted) => {
                    *storage = Some(Storage::Here(hosted));
                    return None;
                }
            },
        };
        let stored = StoredObject {
            folder,
            id: self.id.clone(),
            bytes_max,
            alarms: Arc::clone(&self.alarms),
            on_end,
        };
        let Crossed { bytes, lent } = cross(Box::new(stored), crossing)?;
        Some((bytes, lent))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use futures::FutureExt;
    use futures::executor::block_on;
    use serde::de::DeserializeOwned;
    use serde_bytes::ByteBuf;

    use super::super::database::{ENTRY_BYTES_MAX, KEY_BYTES_MAX, Range};
    use super::super::messages::{StorageReply, entries};
    use super::*;
    use crate::bindings::{SandboxLimits, Transit};
    use crate::sql::WrittenResult;

    struct NoAlarms;

    impl AlarmStore for NoAlarms {
        fn set(&self, _id: &ObjectId, _at_ms: Option<i64>) -> StorageFuture<()> {
            Box::pin(std::future::ready(Ok(())))
        }

        fn bring_forward(&self, _id: &ObjectId, _at_ms: i64) -> StorageFuture<bool> {
            Box::pin(std::future::ready(Ok(true)))
        }
    }

    fn stored(folder: &Path, id: &str, then: impl FnOnce() + Send + 'static) -> Attachment {
        Box::new(StoredObject {
            folder: folder.to_owned(),
            id: ObjectId::new(id, None),
            bytes_max: 1 << 20,
            alarms: Arc::new(NoAlarms),
            on_end: OnEnd::new(then),
        })
    }

    fn sandbox(files: usize, cpu: Duration) -> Crossing {
        let native_bytes = files * super::super::database::MEMORY_BYTES;
        Crossing::to_sandbox(SandboxLimits { native_bytes, cpu })
    }

    /// An object that has begun in a sandbox.
    struct Object(Arc<dyn Lent>);

    impl Object {
        fn begin(folder: &Path, id: &str, crossing: &Crossing) -> Self {
            let object = Self(cross(stored(folder, id, || {}), crossing).unwrap().lent);
            object.ask::<bool>(&StorageRequest::Lock).unwrap();
            object
        }

        fn call(&self, request: &StorageRequest<'_>, transit: &Transit) -> ParcelFuture {
            let parcel = Parcel {
                transit: transit.clone(),
                ..Parcel::new(pack(request).unwrap())
            };
            self.0.call(parcel, 0)
        }

        fn ask<T: DeserializeOwned>(&self, request: &StorageRequest<'_>) -> Result<T, String> {
            let answer = block_on(self.call(request, &Transit::default()))?;
            let reply: StorageReply<T> = unpack(&answer.bytes)?;
            reply
                .result
                .map_err(|error| super::super::ObjectError::from(error).to_string())
        }

        fn sql(&self, text: &str) -> Result<(), String> {
            let params = Vec::new();
            self.ask::<WrittenResult>(&StorageRequest::Sql { text, params })
                .map(drop)
        }
    }

    fn put<'a>(key: &'a str, value: &'a [u8]) -> StorageRequest<'a> {
        StorageRequest::Put(vec![(key, serde_bytes::Bytes::new(value))])
    }

    /// An entry whose value is its key.
    fn entry(key: &str) -> (&str, &serde_bytes::Bytes) {
        (key, serde_bytes::Bytes::new(key.as_bytes()))
    }

    #[test]
    fn a_sandbox_is_told_no_folder_and_another_process_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_string_lossy().into_owned();
        let names_folder = |crossing: &Crossing| {
            let crossed = cross(stored(folder.path(), "a", || {}), crossing).unwrap();
            String::from_utf8_lossy(&crossed.bytes).contains(&path)
        };
        assert!(!names_folder(&sandbox(1, Duration::MAX)));
        assert!(names_folder(&Crossing::default()));
        let elsewhere = cross(stored(folder.path(), "a", || {}), &Crossing::default()).unwrap();
        let refused = Object(elsewhere.lent).ask::<bool>(&StorageRequest::Lock).unwrap_err();
        assert!(refused.contains("the process of the object's worker"), "{refused}");
    }

    #[test]
    fn the_end_of_an_object_is_told_when_its_file_is_closed_with_what_was_committed() {
        let folder = tempfile::tempdir().unwrap();
        let crossing = sandbox(2, Duration::MAX);
        let (ended, end) = sync_channel(1);
        let object = cross(
            stored(folder.path(), "a", move || ended.send(()).unwrap_or_default()),
            &crossing,
        );
        let object = Object(object.unwrap().lent);
        assert!(object.ask::<()>(&StorageRequest::Open).is_err(), "it is not locked");
        object.ask::<bool>(&StorageRequest::Lock).unwrap();
        assert!(object.ask::<()>(&put("k", b"v")).is_err(), "it is not open");
        object.ask::<()>(&StorageRequest::Open).unwrap();
        object.ask::<()>(&put("k", b"v")).unwrap();
        object.ask::<()>(&StorageRequest::Begin).unwrap();
        assert!(
            object.ask::<()>(&StorageRequest::Commit).is_err(),
            "a transaction is open"
        );
        object.ask::<()>(&put("k", b"w")).unwrap();
        object.ask::<()>(&StorageRequest::Finish { keeps: false }).unwrap();
        assert!(object.ask::<()>(&StorageRequest::Finish { keeps: true }).is_err());
        object.ask::<()>(&StorageRequest::Commit).unwrap();
        object.ask::<()>(&StorageRequest::Sync).unwrap();
        object.ask::<()>(&put("lost", b"x")).unwrap();
        drop(object);
        // Others may have it once its end is told.
        end.recv_timeout(Duration::from_secs(10)).unwrap();
        let object = Object(cross(stored(folder.path(), "a", || {}), &crossing).unwrap().lent);
        let is_empty = object.ask::<bool>(&StorageRequest::Lock).unwrap();
        assert!(!is_empty);
        object.ask::<()>(&StorageRequest::Open).unwrap();
        let range = Range {
            start: None,
            after: None,
            end: None,
            prefix: None,
            reverse: false,
            limit: f64::INFINITY,
            bytes_max: usize::MAX,
        };
        let list = object.ask::<ByteBuf>(&StorageRequest::List(range)).unwrap();
        assert_eq!(entries(&list).unwrap(), [("k".to_owned(), b"v".to_vec())]);
        object.ask::<()>(&StorageRequest::Close { keeps: true }).unwrap();
        assert!(object.ask::<()>(&StorageRequest::Open).is_err(), "it has ended");
    }

    #[test]
    fn what_a_sandbox_asks_has_the_limits_of_a_script() {
        let folder = tempfile::tempdir().unwrap();
        let crossing = sandbox(1, Duration::from_millis(50));
        let object = Object::begin(folder.path(), "a", &crossing);
        object.ask::<()>(&StorageRequest::Open).unwrap();
        let long = "k".repeat(2049);
        assert!(object.ask::<()>(&put(&long, b"v")).is_err());
        let large = vec![0; ENTRY_BYTES_MAX];
        assert!(object.ask::<()>(&put("k", &large)).is_err());
        assert!(object.sql("SELECT * FROM _cf_KV").unwrap_err().contains("not allowed"));
        assert!(object.sql("ATTACH 'x' AS x").unwrap_err().contains("ATTACH"));
        let endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c";
        assert!(object.sql(endless).unwrap_err().contains("limits.cpu"));
        // The file is full.
        let fills = "CREATE TABLE t AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 3000) \
             SELECT randomblob(1000) AS v FROM c";
        assert!(object.sql(fills).unwrap_err().contains("SQLITE_FULL"));
        // More files than its memory permits.
        let other = Object::begin(folder.path(), "b", &crossing);
        assert!(
            other
                .ask::<()>(&StorageRequest::Open)
                .unwrap_err()
                .contains("too many files")
        );
        object.ask::<()>(&StorageRequest::Rest).unwrap();
        other.ask::<()>(&StorageRequest::Open).unwrap();
        // Bytes that are no question.
        assert!(block_on(other.0.call(Parcel::new(vec![255; 9]), 0)).is_err());
    }

    #[test]
    fn a_list_of_keys_is_one_request() {
        let folder = tempfile::tempdir().unwrap();
        let object = Object::begin(folder.path(), "a", &sandbox(1, Duration::MAX));
        object.ask::<()>(&StorageRequest::Open).unwrap();
        object
            .ask::<()>(&StorageRequest::Put(vec![entry("a"), entry("b")]))
            .unwrap();
        // All or none: the second is too large.
        let long = "k".repeat(2049);
        assert!(
            object
                .ask::<()>(&StorageRequest::Put(vec![entry("c"), entry(&long)]))
                .is_err()
        );
        type Values = Vec<Option<ByteBuf>>;
        let values: Values = object.ask(&StorageRequest::Get(vec!["b", "c", "a"])).unwrap();
        let value = |key: &str| Some(ByteBuf::from(key));
        assert_eq!(values, [value("b"), None, value("a")]);
        assert_eq!(
            object.ask::<usize>(&StorageRequest::Delete(vec!["a", "c", "b", "a"])),
            Ok(2)
        );
        assert_eq!(
            object.ask::<Values>(&StorageRequest::Get(vec!["a", "b"])).unwrap(),
            [None, None]
        );
        assert!(
            object.ask::<Values>(&StorageRequest::Get(vec!["a"; 129])).is_err(),
            "more than a call may have"
        );
    }

    #[test]
    fn the_values_of_an_answer_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let crossing = sandbox(1, Duration::MAX);
        let stored = StoredObject {
            bytes_max: 64 << 20,
            ..*stored(folder.path(), "a", || {}).downcast::<StoredObject>().unwrap()
        };
        let object = Object(cross(Box::new(stored), &crossing).unwrap().lent);
        object.ask::<bool>(&StorageRequest::Lock).unwrap();
        object.ask::<()>(&StorageRequest::Open).unwrap();
        let value = vec![7; 1_500_000];
        for key in ["a", "b", "c", "d"] {
            object.ask::<()>(&put(key, &value)).unwrap();
        }
        let values: Vec<Option<ByteBuf>> = object.ask(&StorageRequest::Get(vec!["a", "b", "c", "d"])).unwrap();
        assert_eq!(values.len(), 3);
        // The largest entry, and one that is larger.
        let key = "k".repeat(KEY_BYTES_MAX);
        let largest = vec![7; ENTRY_BYTES_MAX - KEY_BYTES_MAX];
        object.ask::<()>(&put(&key, &largest)).unwrap();
        let values: Vec<Option<ByteBuf>> = object.ask(&StorageRequest::Get(vec![&key])).unwrap();
        assert_eq!(values[0].as_ref().map(|value| value.len()), Some(largest.len()));
        assert!(object.ask::<()>(&put(&key, &[&largest[..], &[7]].concat())).is_err());
    }

    #[test]
    fn a_statement_that_is_not_waited_for_is_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        let crossing = sandbox(1, Duration::MAX);
        let object = Object::begin(folder.path(), "a", &crossing);
        object.ask::<()>(&StorageRequest::Open).unwrap();
        let endless = StorageRequest::Sql {
            text: "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c",
            params: Vec::new(),
        };
        let mut call = object.call(&endless, &Transit::default());
        assert!(call.as_mut().now_or_never().is_none());
        drop(call);
        object.sql("SELECT 1").unwrap();
    }

    #[test]
    fn an_object_that_was_not_begun_goes_on_to_a_worker_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_string_lossy().into_owned();
        let (ended, end) = sync_channel(1);
        let stored = stored(folder.path(), "a", move || ended.send(()).unwrap_or_default());
        let first = cross(stored, &Crossing::default()).unwrap();
        let (bytes, second) = first.lent.cross_again(&sandbox(1, Duration::MAX)).unwrap();
        drop(first);
        assert!(!String::from_utf8_lossy(&bytes).contains(&path));
        let (bytes, third) = second.cross_again(&Crossing::default()).unwrap();
        drop(second);
        assert!(String::from_utf8_lossy(&bytes).contains(&path));
        assert!(end.try_recv().is_err(), "it has not ended");
        drop(third);
        end.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    #[test]
    fn an_answer_has_room_of_its_own_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let object = Object::begin(folder.path(), "a", &sandbox(1, Duration::MAX));
        object.ask::<()>(&StorageRequest::Open).unwrap();
        object.ask::<()>(&put("k", &vec![7; 800 << 10])).unwrap();
        let transit = Transit::new(1 << 20);
        let others = transit.answer(1 << 20).now_or_never();
        let first = block_on(object.call(&StorageRequest::Get(vec!["k"]), &transit)).unwrap();
        let mut second = object.call(&StorageRequest::Get(vec!["k"]), &transit);
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        assert!(block_on(second).is_ok());
        drop(others);
    }
}
