//! KV namespaces of workers in processes of their own: operations are encoded, and executed in the pool's process.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{KvEntry, KvKey, KvListing, KvPage, KvStore};
use crate::bindings::{Asks, Parcel, ParcelFuture, pack, unpack};
use crate::storage::{ReadRoom, StorageError, StorageFuture, WrittenStorageError};

/// An operation.
#[derive(Serialize, Deserialize)]
enum Asked {
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
    value: ByteBuf,
    metadata: Option<String>,
    expiration: Option<u64>,
}

impl From<KvEntry> for WrittenEntry {
    fn from(entry: KvEntry) -> Self {
        Self {
            value: ByteBuf::from(Vec::from(entry.value)),
            metadata: entry.metadata,
            expiration: entry.expiration,
        }
    }
}

/// A page: its keys with metadata and expirations, and true if it is the last one.
type WrittenPage = (Vec<(String, Option<String>, Option<u64>)>, bool);

/// The storage of a namespace, in another process.
pub(crate) struct RemoteKv(pub(crate) Asks);

impl RemoteKv {
    fn ask<T: serde::de::DeserializeOwned>(&self, asked: &Asked) -> StorageFuture<T> {
        let asked = pack(asked).map(|bytes| self.0.ask(Parcel::new(bytes)));
        Box::pin(async move {
            let answer = match asked {
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
        let entries = self.ask::<Vec<Option<WrittenEntry>>>(&Asked::Get(keys));
        Box::pin(async move {
            let entries = entries.await?.into_iter().map(|entry| {
                let Some(entry) = entry else { return Ok(None) };
                let value = Bytes::from(entry.value.into_vec());
                let value = room.reserve(value.len())?.keep(value);
                let entry = KvEntry {
                    value,
                    metadata: entry.metadata,
                    expiration: entry.expiration,
                };
                Ok(Some(entry))
            });
            entries.collect()
        })
    }

    fn put(&self, key: String, entry: KvEntry) -> StorageFuture<()> {
        self.ask(&Asked::Put(key, entry.into()))
    }

    fn delete(&self, key: String) -> StorageFuture<()> {
        self.ask(&Asked::Delete(key))
    }

    fn list(&self, listing: KvListing) -> StorageFuture<KvPage> {
        let page = self.ask::<WrittenPage>(&Asked::List {
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

/// Executes an operation for a worker in another process.
pub(super) fn serve(store: Arc<dyn KvStore>, asked: Parcel, bytes_max: usize) -> ParcelFuture {
    Box::pin(async move {
        let answer = match unpack::<Asked>(&asked.bytes)? {
            Asked::Get(keys) => {
                let entries = store.get(keys, ReadRoom::new(bytes_max)).await;
                let written = |entries: Vec<Option<KvEntry>>| -> Vec<Option<WrittenEntry>> {
                    entries.into_iter().map(|entry| entry.map(WrittenEntry::from)).collect()
                };
                pack(&entries.map(written).map_err(WrittenStorageError::from))
            }
            Asked::Put(key, entry) => {
                let entry = KvEntry {
                    value: entry.value.into_vec().into(),
                    metadata: entry.metadata,
                    expiration: entry.expiration,
                };
                // The platform's rules are checked here, because the other process is not trusted.
                super::check_key(&key).map_err(|fault| fault.to_string())?;
                pack(&store.put(key, entry).await.map_err(WrittenStorageError::from))
            }
            Asked::Delete(key) => pack(&store.delete(key).await.map_err(WrittenStorageError::from)),
            Asked::List { prefix, after, limit } => {
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
        answer.map(Parcel::new)
    })
}
