//! The interface of a bucket's storage.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use super::condition::R2Conditions;
use super::object::{R2Checksum, R2HttpMetadata, R2Object, R2StorageClass};
use super::range::R2Range;
use super::rules::{LIST_LIMIT, R2Fault};
use crate::event::Body;
use crate::storage::{ReadRoom, StorageError};

/// The future of an operation on a bucket.
///
/// It is polled by the event loop of the calling worker, and dropped when the event ends. It must not depend on the Tokio
/// runtime that polls it.
pub type R2Future<T> = Pin<Box<dyn Future<Output = Result<T, R2Error>> + Send>>;

/// The reason why an operation of a bucket failed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum R2Error {
    /// A limit or a rule of R2.
    #[error("{0} ({code})", code = .0.code())]
    Fault(#[from] R2Fault),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The content could not be read, or differs from its announced length.
    #[error("the content could not be read: {0}")]
    Content(String),
}

/// The storage of an R2 bucket.
///
/// [`LocalR2`](super::LocalR2) stores it in a folder, `S3R2` on a service. A program may supply its own:
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::{Arc, Mutex};
///
/// use http_body_util::BodyExt as _;
/// # mod isopod { pub use isopod_ext::{bindings, event::Body, storage}; }
/// use isopod::Body;
/// use isopod::bindings::r2::{
///     R2Binding, R2Error, R2Fault, R2Found, R2Future, R2Get, R2Listing, R2NewUpload, R2Object, R2Page, R2Part, R2Put, R2Store,
/// };
/// use isopod::storage::ReadRoom;
///
/// /// Keeps objects in memory, without uploads in parts.
/// #[derive(Default)]
/// struct Memory(Arc<Mutex<BTreeMap<String, (R2Object, Vec<u8>)>>>);
///
/// impl R2Store for Memory {
///     fn head(&self, key: String) -> R2Future<Option<R2Object>> {
///         let found = self.0.lock().unwrap().get(&key).map(|(object, _)| object.clone());
///         Box::pin(async { Ok(found) })
///     }
///
///     fn get(&self, get: R2Get, room: ReadRoom) -> R2Future<Option<R2Found>> {
///         let found = self.0.lock().unwrap().get(&get.key).cloned();
///         Box::pin(async move {
///             let Some((object, content)) = found else { return Ok(None) };
///             if !get.conditions.hold(Some(&object)) {
///                 return Ok(Some(R2Found::new(object)));
///             }
///             let (offset, length) = get.range.map_or(Ok((0, object.size)), |range| range.of(object.size))?;
///             let part = content[offset as usize..][..length as usize].to_vec();
///             let part = room.reserve(part.len())?.keep(part.into());
///             Ok(Some(R2Found::new(object).content(offset, length, part)))
///         })
///     }
///
///     fn put(&self, put: R2Put, content: Body) -> R2Future<Option<R2Object>> {
///         let objects = self.0.clone();
///         Box::pin(async move {
///             let content = content.collect().await.map_err(|error| R2Error::Content(error.to_string()))?;
///             let content = content.to_bytes().to_vec();
///             let mut objects = objects.lock().unwrap();
///             if !put.conditions.hold(objects.get(&put.key).map(|(object, _)| object)) {
///                 return Ok(None);
///             }
///             let object = R2Object::new(&put.key, content.len() as u64, "an-etag").http_metadata(put.http_metadata);
///             objects.insert(put.key, (object.clone(), content));
///             Ok(Some(object))
///         })
///     }
///
///     fn delete(&self, keys: Vec<String>) -> R2Future<()> {
///         let mut objects = self.0.lock().unwrap();
///         keys.iter().for_each(|key| drop(objects.remove(key)));
///         Box::pin(async { Ok(()) })
///     }
///
///     fn list(&self, listing: R2Listing) -> R2Future<R2Page> {
///         let objects = self.0.lock().unwrap();
///         let found = objects.values().filter(|(object, _)| object.key.starts_with(&listing.prefix));
///         let objects = found.map(|(object, _)| object.clone()).collect();
///         Box::pin(async { Ok(R2Page { objects, ..R2Page::default() }) })
///     }
///
///     fn create_upload(&self, _upload: R2NewUpload) -> R2Future<String> {
///         Box::pin(async { Err(R2Fault::Internal.into()) })
///     }
///
///     fn put_part(&self, _key: String, _upload: String, _number: u16, _content: Body) -> R2Future<String> {
///         Box::pin(async { Err(R2Fault::NoUpload.into()) })
///     }
///
///     fn complete_upload(&self, _key: String, _upload: String, _parts: Vec<R2Part>) -> R2Future<R2Object> {
///         Box::pin(async { Err(R2Fault::NoUpload.into()) })
///     }
///
///     fn abort_upload(&self, _key: String, _upload: String) -> R2Future<()> {
///         Box::pin(async { Err(R2Fault::NoUpload.into()) })
///     }
/// }
///
/// let binding = R2Binding::new(Memory::default());
/// # drop(binding);
/// ```
///
/// Keys and metadata were checked against the platform's limits. A call starts the operation and must not block. An
/// acknowledged write must be visible to every later read. The length of `content` is known (`size_hint`); it is polled as
/// part of the operation's future.
pub trait R2Store: Send + Sync + 'static {
    /// The files that the store owns, which no script may read as modules. Default: none.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Returns the metadata of an object.
    fn head(&self, key: String) -> R2Future<Option<R2Object>>;

    /// Returns an object and its content. The content is missing if the conditions do not hold.
    ///
    /// Memory for content that is read should be taken from `room`.
    fn get(&self, get: R2Get, room: ReadRoom) -> R2Future<Option<R2Found>>;

    /// Stores an object, replacing the key's current one. Returns `None` if the conditions do not hold.
    fn put(&self, put: R2Put, content: Body) -> R2Future<Option<R2Object>>;

    /// Removes the objects with these keys.
    fn delete(&self, keys: Vec<String>) -> R2Future<()>;

    /// Returns objects in the order of their keys' UTF-8 bytes.
    fn list(&self, listing: R2Listing) -> R2Future<R2Page>;

    /// Begins an upload in parts, and returns its id.
    fn create_upload(&self, upload: R2NewUpload) -> R2Future<String>;

    /// Stores a part of an upload, replacing the one with this number, and returns its ETag.
    fn put_part(&self, key: String, upload: String, number: u16, content: Body) -> R2Future<String>;

    /// Combines the parts of an upload to an object.
    fn complete_upload(&self, key: String, upload: String, parts: Vec<R2Part>) -> R2Future<R2Object>;

    /// Ends an upload and removes its parts.
    fn abort_upload(&self, key: String, upload: String) -> R2Future<()>;

    /// Returns the size of all objects in bytes, and their number. Default: an unsupported error.
    fn total(&self) -> R2Future<(u64, u64)> {
        Box::pin(async { Err(StorageError::Failed("its storage does not count objects".to_owned()).into()) })
    }
}

impl<S: R2Store + ?Sized> R2Store for Arc<S> {
    fn files(&self) -> Vec<PathBuf> {
        (**self).files()
    }

    fn head(&self, key: String) -> R2Future<Option<R2Object>> {
        (**self).head(key)
    }

    fn get(&self, get: R2Get, room: ReadRoom) -> R2Future<Option<R2Found>> {
        (**self).get(get, room)
    }

    fn put(&self, put: R2Put, content: Body) -> R2Future<Option<R2Object>> {
        (**self).put(put, content)
    }

    fn delete(&self, keys: Vec<String>) -> R2Future<()> {
        (**self).delete(keys)
    }

    fn list(&self, listing: R2Listing) -> R2Future<R2Page> {
        (**self).list(listing)
    }

    fn create_upload(&self, upload: R2NewUpload) -> R2Future<String> {
        (**self).create_upload(upload)
    }

    fn put_part(&self, key: String, upload: String, number: u16, content: Body) -> R2Future<String> {
        (**self).put_part(key, upload, number, content)
    }

    fn complete_upload(&self, key: String, upload: String, parts: Vec<R2Part>) -> R2Future<R2Object> {
        (**self).complete_upload(key, upload, parts)
    }

    fn abort_upload(&self, key: String, upload: String) -> R2Future<()> {
        (**self).abort_upload(key, upload)
    }

    fn total(&self) -> R2Future<(u64, u64)> {
        (**self).total()
    }
}

/// The arguments of [`R2Store::get`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct R2Get {
    /// The key.
    pub key: String,
    /// Conditions for the content.
    pub conditions: R2Conditions,
    /// The part that is read. Default: all.
    pub range: Option<R2Range>,
}

impl R2Get {
    /// Creates a request for a whole object.
    pub fn new(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            ..Self::default()
        }
    }
}

isopod_outcome::setters!(R2Get {
    conditions: R2Conditions,
    range: impl Into<Option<R2Range>>,
});

/// A found object, with its content if the conditions hold.
#[derive(Debug)]
#[non_exhaustive]
pub struct R2Found {
    /// The object.
    pub object: R2Object,
    /// The offset and length of `content`, or of the whole object without it.
    pub range: (u64, u64),
    /// The content.
    pub content: Option<Body>,
}

impl R2Found {
    /// Creates a found object without content.
    #[must_use]
    pub fn new(object: R2Object) -> Self {
        Self {
            range: (0, object.size),
            object,
            content: None,
        }
    }

    /// Adds the content at this offset, and of this length.
    #[must_use]
    pub fn content(self, offset: u64, length: u64, content: impl Into<Body>) -> Self {
        Self {
            range: (offset, length),
            content: Some(content.into()),
            ..self
        }
    }
}

/// The arguments of [`R2Store::put`], without the content.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct R2Put {
    /// The key.
    pub key: String,
    /// Conditions on the key's current object.
    pub conditions: R2Conditions,
    /// The checksum that the content must have.
    pub checksum: Option<R2Checksum>,
    /// Headers of HTTP responses with it.
    pub http_metadata: R2HttpMetadata,
    /// Metadata of the program.
    pub custom_metadata: Vec<(String, String)>,
    /// The class of storage.
    pub storage_class: R2StorageClass,
}

impl R2Put {
    /// An object without metadata.
    pub fn new(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            ..Self::default()
        }
    }
}

isopod_outcome::setters!(R2Put {
    conditions: R2Conditions,
    checksum: impl Into<Option<R2Checksum>>,
    http_metadata: R2HttpMetadata,
    custom_metadata: Vec<(String, String)>,
    storage_class: R2StorageClass,
});

/// The arguments of [`R2Store::create_upload`].
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct R2NewUpload {
    /// The key.
    pub key: String,
    /// Headers of HTTP responses with it.
    pub http_metadata: R2HttpMetadata,
    /// Metadata of the program.
    pub custom_metadata: Vec<(String, String)>,
    /// The class of storage.
    pub storage_class: R2StorageClass,
}

impl R2NewUpload {
    /// An object without metadata.
    pub fn new(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            ..Self::default()
        }
    }
}

isopod_outcome::setters!(R2NewUpload {
    http_metadata: R2HttpMetadata,
    custom_metadata: Vec<(String, String)>,
    storage_class: R2StorageClass,
});

/// A part of an upload to be completed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct R2Part {
    /// The number, from 1 to 10,000.
    pub number: u16,
    /// Its ETag.
    pub etag: String,
}

/// The arguments of [`R2Store::list`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct R2Listing {
    /// The common prefix of their keys.
    pub prefix: String,
    /// Keys that are equal up to this text after the prefix are grouped into one entry.
    pub delimiter: Option<String>,
    /// The key after which the list begins.
    pub start_after: Option<String>,
    /// The cursor of the previous page.
    pub cursor: Option<String>,
    /// Maximum number of entries.
    pub limit: usize,
}

impl Default for R2Listing {
    /// Requests all objects, at most 1,000.
    fn default() -> Self {
        Self {
            prefix: String::new(),
            delimiter: None,
            start_after: None,
            cursor: None,
            limit: LIST_LIMIT,
        }
    }
}

isopod_outcome::setters!(R2Listing {
    prefix: impl Into<String>,
    delimiter: impl Into<Option<String>>,
    start_after: impl Into<Option<String>>,
    cursor: impl Into<Option<String>>,
    limit: usize,
});

/// A page of a list of objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct R2Page {
    /// The objects.
    pub objects: Vec<R2Object>,
    /// The common prefixes of keys that contain the delimiter.
    pub prefixes: Vec<String>,
    /// The cursor of the next page, if there is one.
    pub cursor: Option<String>,
}
