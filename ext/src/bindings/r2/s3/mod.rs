//! A bucket on a service with S3's interface.
//!
//! `client` creates the client and makes sure that the service answers, `keys` converts keys, `metadata` metadata, and `transfer`
//! moves content. The client lives on its own runtime ([`Hosted`]), where requests are tasks.

mod client;
mod keys;
mod metadata;
mod put;
mod transfer;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3;
use object_store::list::{PaginatedListOptions, PaginatedListStore as _};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, GetRange, ObjectStore as _, ObjectStoreExt as _, PutMultipartOptions, RetryConfig,
};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::condition::R2Conditions;
use super::object::R2Object;
use super::rules::{LIST_LIMIT, R2Fault};
use super::store::{R2Error, R2Found, R2Future, R2Get, R2Listing, R2NewUpload, R2Page, R2Part, R2Put, R2Store};
use crate::event::Body;
use crate::storage::contact::FirstContact;
use crate::storage::hosted::Hosted;
use crate::storage::{ReadRoom, StorageError};

/// Time limit for the next byte of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum number of attempts of a conditional write whose object is replaced meanwhile.
const TRIES: usize = 16;
/// Maximum number of concurrent requests of one `delete`.
const DELETES: usize = 16;

/// An R2 bucket in a bucket of S3, or of another service with S3's interface.
///
/// ```no_run
/// # mod isopod { pub use isopod_ext::bindings; }
/// use isopod::bindings::r2::{R2Binding, S3R2};
///
/// let uploads = S3R2::new("uploads").region("eu-central-1").credentials("AKIA…", "secret");
/// let other = S3R2::new("shared").prefix("uploads/").endpoint("http://127.0.0.1:8333").credentials("key", "secret");
/// let bindings = [R2Binding::new(uploads), R2Binding::new(other)];
/// # drop(bindings);
/// ```
///
/// Any number of processes on any number of machines may use it. A write is acknowledged when the service has acknowledged
/// it. Failed requests are retried for up to [30 s](Self::TIMEOUT). Clones share connections, which live on the thread
/// `isopod-s3`.
///
/// Differences from [`LocalR2`](super::LocalR2): lists have neither metadata nor versions, and `uploaded` is in whole
/// seconds. An object of more than [8 MiB](Self::PART_BYTES) is uploaded in parts, so it has a multipart ETag and no MD5,
/// and its conditions are not checked atomically with its write. The parts of an upload are numbered from 1 without gaps,
/// and each is in memory while it is uploaded.
#[derive(Clone)]
pub struct S3R2 {
    options: Options,
    hosted: Arc<Hosted<Arc<AmazonS3>>>,
    contact: Arc<FirstContact<()>>,
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

#[derive(Clone, PartialEq, Eq)]
struct Options {
    bucket: String,
    prefix: String,
    endpoint: Option<String>,
    region: Option<String>,
    credentials: Option<(String, String)>,
    token: Option<String>,
    object_bytes_max: u64,
    transfers_max: usize,
}

impl S3R2 {
    /// The default of [`object_bytes_max`](Self::object_bytes_max).
    pub const OBJECT_BYTES_MAX: u64 = (5 << 30) - (5 << 20);
    /// The default of [`transfers_max`](Self::transfers_max).
    pub const TRANSFERS_MAX: usize = 128;
    /// The size of the parts of a large object.
    pub const PART_BYTES: usize = 8 << 20;
    /// Maximum size of a part that a script uploads, which is in memory meanwhile.
    pub const UPLOAD_PART_BYTES_MAX: u64 = 100 << 20;
    /// The time for which a failed request is retried.
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// Creates a store for the bucket with this name, on AWS in the region `us-east-1`, with the machine's credentials.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self::of(Options {
            bucket: bucket.into(),
            prefix: String::new(),
            endpoint: None,
            region: None,
            credentials: None,
            token: None,
            object_bytes_max: Self::OBJECT_BYTES_MAX,
            transfers_max: Self::TRANSFERS_MAX,
        })
    }

    fn of(options: Options) -> Self {
        let transfers = || Arc::new(Semaphore::new(options.transfers_max.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            hosted: Arc::new(Hosted::new("isopod-s3")),
            contact: Arc::default(),
            reads: transfers(),
            writes: transfers(),
            options,
        }
    }

    fn with(self, set: impl FnOnce(&mut Options)) -> Self {
        let mut options = self.options;
        set(&mut options);
        Self::of(options)
    }

    /// Sets the prefix of all objects in the bucket, such as `uploads/`. Default: none.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        self.with(|options| options.prefix = prefix.into())
    }

    /// Sets the URL of the service. Default: AWS's for the region.
    #[must_use]
    pub fn endpoint(self, endpoint: impl Into<String>) -> Self {
        self.with(|options| options.endpoint = Some(endpoint.into()))
    }

    /// Sets the region. Default: `us-east-1`.
    #[must_use]
    pub fn region(self, region: impl Into<String>) -> Self {
        self.with(|options| options.region = Some(region.into()))
    }

    /// Sets the access key's id and its secret. Default: credentials from the machine's metadata service.
    #[must_use]
    pub fn credentials(self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        self.with(|options| options.credentials = Some((id.into(), secret.into())))
    }

    /// Sets the token of temporary credentials. Default: none.
    #[must_use]
    pub fn session_token(self, token: impl Into<String>) -> Self {
        self.with(|options| options.token = Some(token.into()))
    }

    /// Sets the maximum size of an object that is put in one piece. Default: 5 GiB less 5 MiB.
    #[must_use]
    pub const fn object_bytes_max(mut self, object_bytes_max: u64) -> Self {
        self.options.object_bytes_max = object_bytes_max;
        self
    }

    /// Returns the part of the bucket with an extended prefix, which shares connections and limits.
    #[must_use]
    pub fn below(mut self, folder: &str) -> Self {
        self.options.prefix.push_str(folder);
        self
    }

    /// Sets the maximum number of concurrent reads of objects, and of writes. Default: 128. Further reads fail, further
    /// writes wait.
    #[must_use]
    pub fn transfers_max(self, transfers_max: usize) -> Self {
        let (hosted, contact) = (self.hosted.clone(), self.contact.clone());
        let limited = self.with(|options| options.transfers_max = transfers_max);
        Self {
            hosted,
            contact,
            ..limited
        }
    }

    /// Returns the URL of the bucket, without credentials: `s3://uploads/prefix`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("s3://{}/{}", self.options.bucket, self.options.prefix)
    }

    /// Returns the runtime, and the client on it.
    fn client(&self) -> Result<(Handle, Arc<AmazonS3>), StorageError> {
        let retry = RetryConfig {
            retry_timeout: Self::TIMEOUT,
            ..RetryConfig::default()
        };
        self.hosted.get(|| self.build(READ_TIMEOUT, retry).map(Arc::new))
    }

    /// Runs requests as a task of the runtime. They continue if the future is dropped.
    async fn run<T: Send + 'static, F>(&self, work: impl FnOnce(Arc<AmazonS3>) -> F) -> Result<T, R2Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.ask(work).await?.map_err(|error| self.failed(&error))
    }

    /// Variant of [`Self::run`] with the client's own error.
    async fn ask<T: Send + 'static, F>(
        &self,
        work: impl FnOnce(Arc<AmazonS3>) -> F,
    ) -> Result<Result<T, Error>, R2Error>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let (runtime, client) = self.client()?;
        self.reach().await?;
        let done = runtime.spawn(work(client)).await;
        done.map_err(|_| StorageError::Failed("the runtime of S3 has ended".to_owned()).into())
    }

    fn failed(&self, error: &Error) -> R2Error {
        StorageError::Failed(format!("{}: {error}", self.address())).into()
    }

    fn path(&self, key: &str) -> Result<Path, R2Error> {
        keys::path(&self.options.prefix, key).map_err(|_| R2Fault::Key.into())
    }

    async fn head_object(self, key: String) -> Result<Option<R2Object>, R2Error> {
        let path = self.path(&key)?;
        let options = GetOptions::new().with_head(true);
        let found = self
            .ask(|client| async move { client.get_opts(&path, options).await })
            .await?;
        match found {
            Ok(found) => Ok(Some(metadata::object(key, &found.meta, &found.attributes))),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    async fn get_object(self, get: R2Get, room: ReadRoom) -> Result<Option<R2Found>, R2Error> {
        let transfers_max = self.options.transfers_max;
        let permit = self.reads.clone().try_acquire_owned();
        let permit = permit.map_err(|_| R2Fault::Transfers(transfers_max))?;
        let path = self.path(&get.key)?;
        let needs_head = get.range.is_some() || get.conditions != R2Conditions::default();
        for _ in 0..TRIES {
            let mut options = GetOptions::new();
            if needs_head {
                let Some(object) = self.clone().head_object(get.key.clone()).await? else {
                    return Ok(None);
                };
                if !get.conditions.hold(Some(&object)) {
                    return Ok(Some(R2Found::new(object)));
                }
                let part = get.range.as_ref().map(|range| range.of(object.size)).transpose()?;
                // An empty object has no range.
                if let Some((offset, length)) = part.filter(|(_, length)| *length > 0) {
                    options.range = Some(GetRange::Bounded(offset..offset + length));
                }
                options.if_match = Some(format!("\"{}\"", object.etag));
            }
            let path = path.clone();
            let found = self
                .ask(|client| async move { client.get_opts(&path, options).await })
                .await?;
            let found = match found {
                Ok(found) => found,
                Err(Error::NotFound { .. }) => return Ok(None),
                // It was replaced meanwhile.
                Err(Error::Precondition { .. }) => continue,
                Err(error) => return Err(self.failed(&error)),
            };
            let object = metadata::object(get.key, &found.meta, &found.attributes);
            let (offset, length) = (found.range.start, found.range.end - found.range.start);
            let (runtime, _) = self.client()?;
            let content = transfer::received(&runtime, found, length, room, permit);
            return Ok(Some(R2Found::new(object).content(offset, length, content)));
        }
        Err(R2Fault::Internal.into())
    }

    async fn list_objects(self, listing: R2Listing) -> Result<R2Page, R2Error> {
        let R2Listing {
            prefix: of_keys,
            delimiter,
            start_after,
            cursor,
            limit,
        } = listing;
        let prefix = self.options.prefix.clone();
        let delimiter = delimiter
            .filter(|delimiter| !delimiter.is_empty())
            .map(|text| keys::escaped(&text));
        let offset = match &start_after {
            Some(after) => Some(self.path(after)?.to_string()),
            None => None,
        };
        let options = PaginatedListOptions {
            offset,
            delimiter: delimiter.clone().map(Into::into),
            max_keys: Some(limit),
            page_token: cursor,
            ..PaginatedListOptions::default()
        };
        let from = keys::prefix(&prefix, &of_keys);
        let listed = self.ask(|client| async move { client.list_paginated(Some(&from), options).await });
        let listed = match listed.await? {
            Ok(listed) => listed,
            // The cursor is invalid.
            Err(error) if error.to_string().contains("InvalidArgument") => return Err(R2Fault::Cursor.into()),
            Err(error) => return Err(self.failed(&error)),
        };
        // A path never ends with a slash, but a prefix of keys may.
        let slash = if delimiter.is_some_and(|delimiter| delimiter.ends_with('/')) {
            "/"
        } else {
            ""
        };
        let prefixes = listed.result.common_prefixes.iter();
        let prefixes = prefixes.filter_map(|group| keys::key(&prefix, &format!("{group}{slash}")));
        let objects = listed.result.objects.iter().filter_map(|meta| {
            let key = keys::key(&prefix, meta.location.as_ref())?;
            Some(metadata::listed(key, meta))
        });
        Ok(R2Page {
            objects: objects.collect(),
            prefixes: prefixes.collect(),
            cursor: listed.page_token,
        })
    }

    async fn delete_objects(self, keys: Vec<String>) -> Result<(), R2Error> {
        let paths: Vec<_> = keys.iter().map(|key| self.path(key)).collect::<Result<_, _>>()?;
        self.run(|client| async move {
            let deletes = futures::stream::iter(paths).map(|path| {
                let client = client.clone();
                async move {
                    match client.delete(&path).await {
                        Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                        Err(error) => Err(error),
                    }
                }
            });
            deletes.buffer_unordered(DELETES).try_collect::<()>().await
        })
        .await
    }

    async fn total_of_objects(self) -> Result<(u64, u64), R2Error> {
        let (mut bytes, mut objects) = (0, 0);
        let mut listing = R2Listing::default().limit(LIST_LIMIT);
        loop {
            let page = self.clone().list_objects(listing.clone()).await?;
            bytes += page.objects.iter().map(|object| object.size).sum::<u64>();
            objects += page.objects.len() as u64;
            match page.cursor {
                Some(cursor) => listing.cursor = Some(cursor),
                None => return Ok((bytes, objects)),
            }
        }
    }

    async fn complete(self, key: String, upload: String, parts: Vec<R2Part>) -> Result<R2Object, R2Error> {
        let path = self.path(&key)?;
        let mut parts = parts;
        parts.sort_unstable_by_key(|part| part.number);
        // The client numbers parts by position.
        let are_all = parts
            .iter()
            .enumerate()
            .all(|(place, part)| usize::from(part.number) == place + 1);
        if parts.is_empty() || !are_all {
            return Err(R2Fault::NoPart.into());
        }
        let parts: Vec<_> = parts.into_iter().map(|part| PartId { content_id: part.etag }).collect();
        let completed = self.ask(|client| async move { client.complete_multipart(&path, &upload, parts).await });
        match completed.await? {
            Ok(_) => self.head_object(key).await?.ok_or_else(|| R2Fault::Internal.into()),
            Err(error) => Err(self.of_upload(&error)),
        }
    }

    /// Converts the error of an operation on an upload.
    fn of_upload(&self, error: &Error) -> R2Error {
        let text = error.to_string();
        match error {
            _ if text.contains("InvalidPart") => R2Fault::NoPart.into(),
            _ if text.contains("EntityTooSmall") => R2Fault::PartSize.into(),
            Error::NotFound { .. } => R2Fault::NoUpload.into(),
            _ if text.contains("NoSuchUpload") => R2Fault::NoUpload.into(),
            error => self.failed(error),
        }
    }
}

impl PartialEq for S3R2 {
    /// Compares options.
    fn eq(&self, other: &Self) -> bool {
        self.options == other.options
    }
}

impl Eq for S3R2 {}

impl fmt::Debug for S3R2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("S3R2").field(&self.address()).finish()
    }
}

impl R2Store for S3R2 {
    fn head(&self, key: String) -> R2Future<Option<R2Object>> {
        Box::pin(self.clone().head_object(key))
    }

    fn get(&self, get: R2Get, room: ReadRoom) -> R2Future<Option<R2Found>> {
        Box::pin(self.clone().get_object(get, room))
    }

    fn put(&self, put: R2Put, content: Body) -> R2Future<Option<R2Object>> {
        Box::pin(self.clone().put_object(put, content))
    }

    fn delete(&self, keys: Vec<String>) -> R2Future<()> {
        Box::pin(self.clone().delete_objects(keys))
    }

    fn list(&self, listing: R2Listing) -> R2Future<R2Page> {
        Box::pin(self.clone().list_objects(listing))
    }

    fn create_upload(&self, upload: R2NewUpload) -> R2Future<String> {
        let bucket = self.clone();
        Box::pin(async move {
            let path = bucket.path(&upload.key)?;
            let object = R2Object::new(upload.key, 0, "")
                .version(put::version())
                .http_metadata(upload.http_metadata)
                .custom_metadata(upload.custom_metadata)
                .storage_class(upload.storage_class);
            let options = PutMultipartOptions::from(metadata::attributes(&object));
            bucket
                .run(|client| async move { client.create_multipart_opts(&path, options).await })
                .await
        })
    }

    fn put_part(&self, key: String, upload: String, number: u16, content: Body) -> R2Future<String> {
        Box::pin(self.clone().put_upload_part(key, upload, number, content))
    }

    fn complete_upload(&self, key: String, upload: String, parts: Vec<R2Part>) -> R2Future<R2Object> {
        Box::pin(self.clone().complete(key, upload, parts))
    }

    fn abort_upload(&self, key: String, upload: String) -> R2Future<()> {
        let bucket = self.clone();
        Box::pin(async move {
            let path = bucket.path(&key)?;
            let aborted = bucket.ask(|client| async move { client.abort_multipart(&path, &upload).await });
            aborted.await?.map_err(|error| bucket.of_upload(&error))
        })
    }

    fn total(&self) -> R2Future<(u64, u64)> {
        Box::pin(self.clone().total_of_objects())
    }
}
