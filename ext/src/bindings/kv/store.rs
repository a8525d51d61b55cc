//! The interface of a namespace's storage.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::storage::{ReadRoom, StorageFuture, now_ms};

/// The storage of a KV namespace.
///
/// [`SqliteKv`](super::SqliteKv) keeps it in a file, `PostgresKv` on a server. A program may supply its own:
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::Mutex;
///
/// use isopod_ext::bindings::kv::{KvBinding, KvEntry, KvKey, KvListing, KvPage, KvStore};
/// use isopod_ext::storage::{ReadRoom, StorageFuture};
///
/// /// Keeps entries in memory, without expiration.
/// #[derive(Default)]
/// struct Memory(Mutex<BTreeMap<String, KvEntry>>);
///
/// impl KvStore for Memory {
///     fn get(&self, keys: Vec<String>, _room: ReadRoom) -> StorageFuture<Vec<Option<KvEntry>>> {
///         let entries = self.0.lock().unwrap();
///         let found = keys.iter().map(|key| entries.get(key).cloned()).collect();
///         Box::pin(async move { Ok(found) })
///     }
///
///     fn put(&self, key: String, entry: KvEntry) -> StorageFuture<()> {
///         self.0.lock().unwrap().insert(key, entry);
///         Box::pin(async { Ok(()) })
///     }
///
///     fn delete(&self, key: String) -> StorageFuture<()> {
///         self.0.lock().unwrap().remove(&key);
///         Box::pin(async { Ok(()) })
///     }
///
///     fn list(&self, listing: KvListing) -> StorageFuture<KvPage> {
///         let entries = self.0.lock().unwrap();
///         let after = listing.after.as_ref();
///         let found = entries.iter().filter(|(key, _)| key.starts_with(&listing.prefix) && after.is_none_or(|after| *key > after));
///         let found = found.map(|(key, entry)| KvKey::new(key).metadata(entry.metadata.clone()));
///         let mut keys: Vec<_> = found.take(listing.limit + 1).collect();
///         let is_complete = keys.len() <= listing.limit;
///         keys.truncate(listing.limit);
///         Box::pin(async move { Ok(KvPage { keys, is_complete }) })
///     }
/// }
///
/// let binding = KvBinding::new(Memory::default());
/// # drop(binding);
/// ```
///
/// Keys and entries have been checked against the limits of the platform. A call begins the operation and must not block; its
/// future is polled by the event loop of the calling worker, and dropped when the event ends. Acknowledged writes of `put` and
/// `delete` must be visible to every `get` and `list` that begins later.
pub trait KvStore: Send + Sync + 'static {
    /// The files that the store owns, which no script may read as modules. Default: none.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Returns the entries of these keys, in their order; `None` for missing and expired ones.
    ///
    /// Memory for a value should be taken from `room` before it is read.
    fn get(&self, keys: Vec<String>, room: ReadRoom) -> StorageFuture<Vec<Option<KvEntry>>>;

    /// Returns the entry of a key if that takes microseconds, on the calling worker's own thread. `None`: [`get`](Self::get) has to be
    /// asked. Default: always.
    fn get_now(&self, key: &str, room: &ReadRoom) -> Option<Option<KvEntry>> {
        let (_, _) = (key, room);
        None
    }

    /// Stores an entry, and replaces the one that the key has.
    fn put(&self, key: String, entry: KvEntry) -> StorageFuture<()>;

    /// Removes the entry of a key, if it has one.
    fn delete(&self, key: String) -> StorageFuture<()>;

    /// Returns keys in the order of their UTF-8 bytes, without those whose entries have expired.
    fn list(&self, listing: KvListing) -> StorageFuture<KvPage>;
}

impl<S: KvStore + ?Sized> KvStore for Arc<S> {
    fn files(&self) -> Vec<PathBuf> {
        (**self).files()
    }

    fn get(&self, keys: Vec<String>, room: ReadRoom) -> StorageFuture<Vec<Option<KvEntry>>> {
        (**self).get(keys, room)
    }

    fn get_now(&self, key: &str, room: &ReadRoom) -> Option<Option<KvEntry>> {
        (**self).get_now(key, room)
    }

    fn put(&self, key: String, entry: KvEntry) -> StorageFuture<()> {
        (**self).put(key, entry)
    }

    fn delete(&self, key: String) -> StorageFuture<()> {
        (**self).delete(key)
    }

    fn list(&self, listing: KvListing) -> StorageFuture<KvPage> {
        (**self).list(listing)
    }
}

/// The value of a key, with its metadata and expiration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct KvEntry {
    /// The value.
    pub value: Bytes,
    /// JSON of at most 1,024 bytes.
    pub metadata: Option<String>,
    /// The time after which the entry is gone, in seconds since 1970.
    pub expiration: Option<u64>,
}

impl KvEntry {
    /// Creates an entry without metadata that does not expire.
    pub fn new(value: impl Into<Bytes>) -> Self {
        Self {
            value: value.into(),
            ..Self::default()
        }
    }
}

isopod_outcome::setters!(KvEntry {
    metadata: impl Into<Option<String>>,
    expiration: impl Into<Option<u64>>,
});

/// A key in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KvKey {
    /// The key.
    pub name: String,
    /// The metadata of its entry.
    pub metadata: Option<String>,
    /// The time after which its entry is gone, in seconds since 1970.
    pub expiration: Option<u64>,
}

impl KvKey {
    /// Creates a key whose entry has no metadata and does not expire.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            metadata: None,
            expiration: None,
        }
    }
}

isopod_outcome::setters!(KvKey {
    metadata: impl Into<Option<String>>,
    expiration: impl Into<Option<u64>>,
});

/// The keys that a call of [`KvStore::list`] asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KvListing {
    /// The common prefix of the keys.
    pub prefix: String,
    /// The key after which the list begins.
    pub after: Option<String>,
    /// Maximum number of keys.
    pub limit: usize,
}

impl Default for KvListing {
    /// Requests all keys, at most 1,000.
    fn default() -> Self {
        Self {
            prefix: String::new(),
            after: None,
            limit: super::rules::LIST_LIMIT,
        }
    }
}

isopod_outcome::setters!(KvListing {
    prefix: impl Into<String>,
    after: impl Into<Option<String>>,
    limit: usize,
});

/// A part of the list of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KvPage {
    /// The keys.
    pub keys: Vec<KvKey>,
    /// True if there are no more keys after these.
    pub is_complete: bool,
}

/// The current time in seconds since 1970.
pub(super) fn now() -> u64 {
    now_ms() / 1000
}
