//! KV namespaces of workers in processes of their own: operations are encoded, and executed in the pool's process.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_bytes::ByteBuf;

use super::{KvEntry, KvKey, KvListing, KvPage, KvStore};
use crate::bindings::{Asks, Held, Parcel, ParcelFuture, Transit, pack, unpack};
use crate::quotas::QuotaError;
use crate::storage::{ReadRoom, StorageError, StorageFuture, WrittenStorageError};

/// An operation.
#[derive(Serialize, Deserialize)]
enum Request {
    Get(Vec<String>),
    Put(String, WrittenEntry),
    Delete(String),
    List {
        prefix: String,
        after: Option<String>,
        limit: usize,
    },
}

#[derive(Serialize, Deserialize)]
struct WrittenEntry {
    #[serde(serialize_with = "as_bytes", deserialize_with = "from_bytes")]
    value: Bytes,
    metadata: Option<String>,
    expiration: Option<u64>,
}

impl From<KvEntry> for WrittenEntry {
    fn from(entry: KvEntry) -> Self {
        Self {
            value: entry.value,
            metadata: entry.metadata,
            expiration: entry.expiration,
        }
    }
}

impl WrittenEntry {
    // No `From`, which would be part of the public interface of `KvEntry`.
    fn into_entry(self) -> KvEntry {
        KvEntry {
            value: self.value,
            metadata: self.metadata,
            expiration: self.expiration,
        }
    }
}

/// Without a copy of its own.
fn as_bytes<S: Serializer>(value: &Bytes, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(value)
}

fn from_bytes<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
    Ok(ByteBuf::deserialize(from)?.into_vec().into())
}

/// A page: its keys with metadata and expirations, and true if it is the last one.
type WrittenPage = (Vec<(String, Option<String>, Option<u64>)>, bool);

/// The storage of a namespace, in another process.
pub(crate) struct RemoteKv(pub(crate) Asks);

impl RemoteKv {
    fn ask<T: serde::de::DeserializeOwned>(&self, request: &Request) -> StorageFuture<T> {
        let request = pack(request).map(|bytes| self.0.ask(Parcel::new(bytes)));
        Box::pin(async move {
            let answer = match request {
                Ok(answer) => answer.await,
                Err(error) => Err(error),
            };
            let answer = answer.and_then(|answer| unpack::<Result<T, WrittenStorageError>>(&answer.bytes));
            match answer {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(error)) => Err(error.into()),
                Err(error) => Err(StorageError::Failed(error)),
            }
        })
    }
}

impl KvStore for RemoteKv {
    fn get(&self, keys: Vec<String>, room: ReadRoom) -> StorageFuture<Vec<Option<KvEntry>>> {
        let entries = self.ask::<Vec<Option<WrittenEntry>>>(&Request::Get(keys));
        Box::pin(async move {
            let entries = entries.await?.into_iter().map(|entry| {
                let Some(entry) = entry else { return Ok(None) };
                let mut entry = entry.into_entry();
                entry.value = room.reserve(entry.value.len())?.keep(entry.value);
                Ok(Some(entry))
            });
            entries.collect()
        })
    }

    fn put(&self, key: String, entry: KvEntry) -> StorageFuture<()> {
        self.ask(&Request::Put(key, entry.into()))
    }

    fn delete(&self, key: String) -> StorageFuture<()> {
        self.ask(&Request::Delete(key))
    }

    fn list(&self, listing: KvListing) -> StorageFuture<KvPage> {
        let page = self.ask::<WrittenPage>(&Request::List {
            prefix: listing.prefix,
            after: listing.after,
            limit: listing.limit,
        });
        Box::pin(async move {
            let (keys, is_complete) = page.await?;
            let keys = keys.into_iter().map(|(name, metadata, expiration)| KvKey {
                name,
                metadata,
                expiration,
            });
            Ok(KvPage {
                keys: keys.collect(),
                is_complete,
            })
        })
    }
}

/// Upper bound of the bytes of a key in a page: its name, its metadata and the rest.
const LISTED_BYTES_MAX: usize = 512 + 1024 + 32;

/// Executes an operation for a worker in another process.
pub(super) fn serve(store: Arc<dyn KvStore>, request: Parcel, bytes_max: usize) -> ParcelFuture {
    Box::pin(async move {
        let Parcel {
            bytes, held, transit, ..
        } = request;
        let request = unpack::<Request>(&bytes)?;
        drop(bytes);
        let mut room = Held::default();
        let answer = match request {
            Request::Get(keys) => {
                let found = get(&*store, keys, &transit, bytes_max).await;
                let entries = found.map(|(entries, held)| {
                    room = held;
                    entries
                        .into_iter()
                        .map(|entry| entry.map(WrittenEntry::from))
                        .collect::<Vec<_>>()
                });
                pack(&entries.map_err(WrittenStorageError::from))
            }
            Request::Put(key, entry) => {
                let entry = entry.into_entry();
                // The platform's rules are checked here, because the other process is not trusted.
                super::check_key(&key).map_err(|fault| fault.to_string())?;
                super::rules::check_entry(&entry.value, entry.metadata.as_deref())
                    .map_err(|fault| fault.to_string())?;
                pack(&store.put(key, entry).await.map_err(WrittenStorageError::from))
            }
            Request::Delete(key) => pack(&store.delete(key).await.map_err(WrittenStorageError::from)),
            Request::List { prefix, after, limit } => {
                let limit = limit.min(super::rules::LIST_LIMIT);
                room = transit.answer(limit.saturating_mul(LISTED_BYTES_MAX)).await;
                let listing = KvListing { prefix, after, limit };
                let written = |page: KvPage| -> WrittenPage {
                    let keys = page
                        .keys
                        .into_iter()
                        .map(|key| (key.name, key.metadata, key.expiration));
                    (keys.collect(), page.is_complete)
                };
                pack(
                    &store
                        .list(listing)
                        .await
                        .map(written)
                        .map_err(WrittenStorageError::from),
                )
            }
        };
        // Until here: the value of a question is not dropped before.
        drop(held);
        let answer = answer?;
        room.shrink(answer.len());
        Ok(Parcel {
            bytes: answer,
            held: room,
            ..Parcel::default()
        })
    })
}

/// Reads entries whose values have at most `bytes_max` bytes. Small ones are read at once; for others there is room before they are
/// read, which is returned with them.
async fn get(
    store: &dyn KvStore,
    keys: Vec<String>,
    transit: &Transit,
    bytes_max: usize,
) -> Result<(Vec<Option<KvEntry>>, Held), StorageError> {
    let mut bytes = Transit::SMALL_BYTES.min(bytes_max);
    loop {
        let held = transit.answer(bytes).await;
        let room = ReadRoom::probe(bytes);
        let found = store.get(keys.clone(), room.clone()).await;
        // Of several values, the first that found no room, and those before it.
        let wanted = room.wanted();
        match found {
            Err(StorageError::Memory(_)) if wanted > bytes_max => return Err(QuotaError::NativeBytes(bytes_max).into()),
            Err(StorageError::Memory(_)) if bytes < wanted => {
                bytes = wanted.max(bytes.saturating_mul(2)).min(bytes_max)
            }
            found => return found.map(|entries| (entries, held)),
        }
        // Nothing is held while more is waited for.
        drop(held);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::FutureExt as _;

    use super::*;

    const MIB: usize = 1 << 20;

    /// A store whose keys are the lengths of their values.
    #[derive(Default)]
    struct Lengths {
        read: AtomicUsize,
    }

    impl KvStore for Lengths {
        fn get(&self, keys: Vec<String>, room: ReadRoom) -> StorageFuture<Vec<Option<KvEntry>>> {
            let read = |key: &String| {
                let length = key.parse().unwrap();
                let reserved = room.reserve(length)?;
                self.read.fetch_add(length, Ordering::Relaxed);
                Ok(Some(KvEntry::new(reserved.keep(Bytes::from(vec![7; length])))))
            };
            Box::pin(std::future::ready(keys.iter().map(read).collect()))
        }

        fn put(&self, _key: String, _entry: KvEntry) -> StorageFuture<()> {
            Box::pin(std::future::ready(Ok(())))
        }

        fn delete(&self, _key: String) -> StorageFuture<()> {
            Box::pin(std::future::ready(Ok(())))
        }

        fn list(&self, _listing: KvListing) -> StorageFuture<KvPage> {
            Box::pin(std::future::ready(Ok(KvPage::default())))
        }
    }

    fn ask(request: &Request, store: &Arc<Lengths>, transit: &Transit, bytes_max: usize) -> ParcelFuture {
        let request = Parcel {
            transit: transit.clone(),
            ..Parcel::new(pack(request).unwrap())
        };
        serve(store.clone(), request, bytes_max)
    }

    #[test]
    fn values_are_not_read_before_there_is_room_for_them() {
        let (store, transit) = (Arc::<Lengths>::default(), Transit::new(4 * MIB));
        let get = |lengths: &[usize]| {
            let keys = lengths.iter().map(usize::to_string).collect();
            ask(&Request::Get(keys), &store, &transit, 32 * MIB)
        };
        let first = get(&[3 * MIB]).now_or_never().unwrap().unwrap();
        assert!(first.bytes.len() > 3 * MIB);
        let mut second = get(&[2 * MIB]);
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(store.read.load(Ordering::Relaxed), 3 * MIB, "the second is not read");
        // Small values do not wait.
        assert!(get(&[10, 20]).now_or_never().is_some());
        drop(first);
        assert!(second.now_or_never().unwrap().unwrap().bytes.len() > 2 * MIB);
        // Several that are larger than all the room are alone, and have all of it until they have been sent.
        let several = get(&[3 * MIB, 10, 2 * MIB]).now_or_never().unwrap().unwrap();
        assert!(several.bytes.len() > 5 * MIB);
        assert!(get(&[MIB]).now_or_never().is_none());
        drop(several);
        assert!(get(&[MIB]).now_or_never().is_some());
    }

    #[test]
    fn values_beyond_the_limit_of_an_answer_are_not_read() {
        let (store, transit) = (Arc::<Lengths>::default(), Transit::new(4 * MIB));
        let get = Request::Get(vec![(2 * MIB).to_string()]);
        let refused = ask(&get, &store, &transit, MIB).now_or_never().unwrap().unwrap();
        let refused: Result<Vec<Option<WrittenEntry>>, WrittenStorageError> = unpack(&refused.bytes).unwrap();
        let refused = StorageError::from(refused.err().unwrap()).to_string();
        assert!(refused.contains("1048576 bytes"), "{refused}");
        assert_eq!(store.read.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_entry_that_the_platform_does_not_permit_is_refused() {
        let (store, transit) = (Arc::<Lengths>::default(), Transit::default());
        let put = |bytes| {
            let entry = KvEntry::new(Bytes::from(vec![7; bytes]));
            let put = Request::Put("key".to_owned(), entry.into());
            ask(&put, &store, &transit, 32 * MIB).now_or_never().unwrap()
        };
        assert!(put(25 * MIB).is_ok());
        assert!(put(25 * MIB + 1).is_err());
    }
}
