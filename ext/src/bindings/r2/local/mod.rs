//! A bucket in a folder, with metadata in a SQLite file and content in files.
//!
//! `schema` has the tables; `objects`, `listing` and `uploads` the transactions. `writing` counts running writes, `blobs`
//! writes and opens files, `reading` reads them, and `sweep` removes unused files.

mod blobs;
mod listing;
mod objects;
mod reading;
mod schema;
mod sweep;
mod uploads;
mod writing;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use http_body::Body as _;
use tokio::sync::Semaphore;

use self::blobs::{Aside, Blobs, failed, read_at};
use self::objects::Part;
use self::reading::Content;
use self::schema::SCHEMA;
use self::sweep::NextSweep;
use self::writing::Writing;
use super::object::{R2Algorithm, R2Object};
use super::rules::{R2Fault, hex};
use super::store::{R2Error, R2Found, R2Future, R2Get, R2Listing, R2NewUpload, R2Page, R2Part, R2Put, R2Store};
use crate::event::Body;
use crate::storage::files::FileThreads;
use crate::storage::sqlite::{Database, Failed, Options};
use crate::storage::{ReadRoom, StorageError, now_ms};

/// Maximum size of content that is read with its object. Larger content is streamed.
const SMALL_BYTES: u64 = 64 << 10;

/// Approximate size of a row in a transaction.
const ROW_BYTES: usize = 4 << 10;

/// Maximum number of lookups of an object that is replaced while it is opened.
const LOOKUPS_MAX: usize = 10;

/// A bucket in a folder, which is created on first use.
///
/// ```
/// # mod isopod { pub use isopod_ext::bindings; }
/// use isopod::bindings::r2::{LocalR2, R2Binding};
///
/// let binding = R2Binding::new(LocalR2::new("data/uploads"));
/// # drop(binding);
/// ```
///
/// Acknowledged writes are on disk: the content in a file per object, the rest in `bucket.sqlite`. Several processes may use
/// the folder at the same time. Clones share its threads: the writer of the SQLite file `isopod-r2-w`, up to
/// [`readers_max`](Self::readers_max) readers, and up to four `isopod-r2-f` for other files.
#[derive(Clone)]
pub struct LocalR2 {
    folder: PathBuf,
    limits: Limits,
    database: Database,
    blobs: Blobs,
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    /// Number of bytes that are being written.
    writing: Arc<AtomicU64>,
    next_sweep: Arc<NextSweep>,
}

#[derive(Clone, Copy)]
struct Limits {
    bytes_max: u64,
    object_bytes_max: u64,
    transfers_max: usize,
    readers_max: usize,
    queue_len_max: usize,
}

impl LocalR2 {
    /// The default of [`bytes_max`](Self::bytes_max).
    pub const BYTES_MAX: u64 = 100 << 30;
    /// The default of [`object_bytes_max`](Self::object_bytes_max): 5 GiB less 5 MiB, as on R2.
    pub const OBJECT_BYTES_MAX: u64 = (5 << 30) - (5 << 20);
    /// The default of [`transfers_max`](Self::transfers_max).
    pub const TRANSFERS_MAX: usize = 128;
    /// The default of [`readers_max`](Self::readers_max).
    pub const READERS_MAX: usize = 2;
    /// The default of [`queue_len_max`](Self::queue_len_max).
    pub const QUEUE_LEN_MAX: usize = 1000;

    /// Creates a bucket in the folder at this path. Missing folders are created on first use.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let limits = Limits {
            bytes_max: Self::BYTES_MAX,
            object_bytes_max: Self::OBJECT_BYTES_MAX,
            transfers_max: Self::TRANSFERS_MAX,
            readers_max: Self::READERS_MAX,
            queue_len_max: Self::QUEUE_LEN_MAX,
        };
        Self::of(folder.into(), limits)
    }

    fn of(folder: PathBuf, limits: Limits) -> Self {
        let options = Options {
            path: folder.join("bucket.sqlite"),
            threads: "isopod-r2",
            schema: SCHEMA,
            // Rows are small compared with the content.
            bytes_max: limits.bytes_max.max(1 << 30),
            readers_max: limits.readers_max,
            queue_len_max: limits.queue_len_max,
            sweep: None,
            sweep_every: Duration::MAX,
        };
        let transfers_max = limits.transfers_max.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            database: Database::new(options),
            blobs: Blobs::new(folder.clone(), FileThreads::new("isopod-r2-f", 4)),
            reads: Arc::new(Semaphore::new(transfers_max)),
            writes: Arc::new(Semaphore::new(transfers_max)),
            writing: Arc::default(),
            next_sweep: Arc::default(),
            limits,
            folder,
        }
    }

    fn with(mut self, set: impl FnOnce(&mut Limits)) -> Self {
        set(&mut self.limits);
        Self::of(self.folder, self.limits)
    }

    /// Sets the maximum size of all objects, and of the parts of uploads, in bytes. Default: 100 GiB. A write that would exceed it
    /// fails.
    #[must_use]
    pub fn bytes_max(self, bytes_max: u64) -> Self {
        self.with(|limits| limits.bytes_max = bytes_max)
    }

    /// Sets the maximum size of an object, or of a part of an upload, in bytes. Default: 5 GiB less 5 MiB. An object that is
    /// uploaded in parts may be larger.
    #[must_use]
    pub fn object_bytes_max(self, object_bytes_max: u64) -> Self {
        self.with(|limits| limits.object_bytes_max = object_bytes_max)
    }

    /// Sets the maximum number of concurrent reads of objects, and of writes. Default: 128. Further reads fail, further
    /// writes wait.
    #[must_use]
    pub fn transfers_max(self, transfers_max: usize) -> Self {
        self.with(|limits| limits.transfers_max = transfers_max)
    }

    /// Sets the maximum number of threads that read the SQLite file. Default: 2.
    #[must_use]
    pub fn readers_max(self, readers_max: usize) -> Self {
        self.with(|limits| limits.readers_max = readers_max)
    }

    /// Sets the maximum number of reads, and of writes, of the SQLite file that wait for a thread. Default: 1,000. Further ones
    /// fail.
    #[must_use]
    pub fn queue_len_max(self, queue_len_max: usize) -> Self {
        self.with(|limits| limits.queue_len_max = queue_len_max)
    }

    /// Returns the path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Starts a sweep if one is due.
    fn clean_up(&self) {
        if self.next_sweep.is_due(now_ms()) {
            let (database, blobs) = (self.database.clone(), self.blobs.clone());
            drop(
                self.blobs
                    .threads()
                    .run(move || sweep::sweep(&database, &blobs, now_ms())),
            );
        }
    }

    /// Starts removing files that nothing refers to.
    fn remove(&self, unused: Vec<String>) {
        if !unused.is_empty() {
            let (database, blobs) = (self.database.clone(), self.blobs.clone());
            drop(self.blobs.threads().run(move || {
                if let Err(error) = sweep::remove(&database, &blobs, unused) {
                    tracing::warn!(target: "isopod::storage", "cannot delete the records of removed files of a bucket: {error}");
                }
            }));
        }
    }

    /// Writes content to a file.
    async fn receive(
        &self,
        key: &str,
        content: Body,
        algorithm: Option<R2Algorithm>,
    ) -> Result<(Aside, blobs::Digests, u64, Writing), R2Error> {
        let length = content.size_hint().exact();
        let length = length.ok_or_else(|| R2Error::Content("its length is not known".to_owned()))?;
        if length > self.limits.object_bytes_max {
            return Err(R2Fault::ObjectSize.into());
        }
        // The semaphore is never closed.
        let permit = self.writes.clone().acquire_owned().await;
        let permit = permit.map_err(|_| StorageError::Failed("the bucket was closed".to_owned()))?;
        let (writing, others) = Writing::begin(&self.writing, length, permit);
        if length > SMALL_BYTES {
            // Checked early, so that content is not written in vain.
            let (key, bytes_max) = (key.to_owned(), self.limits.bytes_max);
            let room = move |db: &_| objects::room_for(db, &key, length.saturating_add(others), bytes_max);
            self.database.read(room).await?;
        }
        let (aside, digests) = self.blobs.receive(content, length, algorithm).await?;
        Ok((aside, digests, length, writing))
    }

    async fn put_object(self, put: R2Put, content: Body) -> Result<Option<R2Object>, R2Error> {
        let algorithm = put.checksum.as_ref().map(|checksum| checksum.algorithm);
        let (aside, digests, size, _writing) = self.receive(&put.key, content, algorithm).await?;
        digests.check(put.checksum)?;
        let mut object = R2Object::new(put.key, size, hex(&digests.md5))
            .version(identifier())
            .uploaded(now_ms())
            .storage_class(put.storage_class)
            .http_metadata(put.http_metadata)
            .custom_metadata(put.custom_metadata);
        if let Some((algorithm, digest)) = digests.checksum {
            object.checksums.set(algorithm, digest);
        }
        object.checksums.set(R2Algorithm::Md5, digests.md5.clone());
        let part = part(&aside, size, &digests.md5);
        let (conditions, bytes_max, row) = (put.conditions, self.limits.bytes_max, object.clone());
        let stored = self.write(aside, move |db| {
            objects::put(db, &row, part.as_ref(), &conditions, bytes_max)
        });
        let Some((aside, unused)) = stored.await? else {
            return Ok(None);
        };
        aside.settle().await;
        self.remove(unused);
        Ok(Some(object))
    }

    /// Runs a transaction that may refer to a new file. If it returns `None`, it does not, and the file is removed.
    async fn write<T: Send + 'static>(
        &self,
        mut aside: Aside,
        body: impl FnOnce(&rusqlite::Connection) -> Result<Option<T>, Failed> + Send + 'static,
    ) -> Result<Option<(Aside, T)>, StorageError> {
        self.database
            .write(ROW_BYTES, move |db| {
                let done = body(db)?;
                // From now on, the transaction may be committed even if its caller is gone.
                Ok(done.map(|done| {
                    aside.keep();
                    (aside, done)
                }))
            })
            .await
    }

    async fn put_upload_part(self, key: String, id: String, number: u16, content: Body) -> Result<String, R2Error> {
        let (of_id, of_key) = (id.clone(), key.clone());
        let state = self
            .database
            .read(move |db| uploads::state(db, &of_id, &of_key))
            .await?;
        if state != uploads::State::Open {
            return Err(R2Fault::NoUpload.into());
        }
        let (aside, digests, size, _writing) = self.receive(&key, content, None).await?;
        let etag = hex(&digests.md5);
        // A part without content needs no file, but has a name.
        let part = part(&aside, size, &digests.md5).unwrap_or_else(|| Part {
            blob: identifier(),
            size,
            etag: etag.clone(),
            md5: digests.md5.clone(),
        });
        let limits = (now_ms(), self.limits.bytes_max);
        let stored = self.write(aside, move |db| {
            let put = uploads::put_part(db, (&id, &key), number, &part, limits)?;
            Ok(put.ok())
        });
        let (aside, unused) = stored.await?.ok_or(R2Fault::NoUpload)?;
        aside.settle().await;
        self.remove(unused);
        Ok(etag)
    }

    async fn get_object(self, get: R2Get, room: ReadRoom) -> Result<Option<R2Found>, R2Error> {
        for _ in 0..LOOKUPS_MAX {
            let key = get.key.clone();
            let Some((object, files)) = self.database.read(move |db| objects::find(db, &key)).await? else {
                return Ok(None);
            };
            if !get.conditions.hold(Some(&object)) {
                return Ok(Some(R2Found::new(object)));
            }
            let whole = (0, object.size);
            let (offset, length) = get.range.as_ref().map_or(Ok(whole), |range| range.of(object.size))?;
            if let Some(content) = self.content(files, offset, length, &room).await? {
                return Ok(Some(R2Found::new(object).content(offset, length, content)));
            }
        }
        Err(StorageError::Failed("the object is replaced again and again".to_owned()).into())
    }

    /// Returns the content of a range; `None` if its file was removed.
    async fn content(
        &self,
        files: Vec<(String, u64)>,
        offset: u64,
        length: u64,
        room: &ReadRoom,
    ) -> Result<Option<Body>, R2Error> {
        let pieces = reading::pieces(files, offset, length);
        let Some(first) = pieces.front().cloned() else {
            return Ok(Some(Body::empty()));
        };
        let transfers_max = self.limits.transfers_max;
        let permit = self.reads.clone().try_acquire_owned();
        let permit = permit.map_err(|_| R2Fault::Transfers(transfers_max))?;
        let is_small = length <= SMALL_BYTES && pieces.len() == 1;
        let (blobs, of_room) = (self.blobs.clone(), room.clone());
        let opened = self.blobs.threads().run(move || {
            let Some(file) = blobs.open(&first.blob).map_err(failed)? else {
                return Ok(None);
            };
            if !is_small {
                return Ok(Some((file, None)));
            }
            let length = usize::try_from(first.length).unwrap_or(usize::MAX);
            let reserved = of_room.reserve(length)?;
            let bytes = reserved.keep(read_at(&file, first.offset, length).map_err(failed)?.into());
            Ok::<_, StorageError>(Some((file, Some(bytes))))
        });
        Ok(match opened.await?? {
            None => None,
            Some((_, Some(bytes))) => Some(bytes.into()),
            Some((file, None)) => Some(Body::new(Content {
                blobs: self.blobs.clone(),
                room: room.clone(),
                pieces,
                file: Some(Arc::new(file)),
                left: length,
                reading: None,
                _transfer: permit,
            })),
        })
    }
}

/// Returns the part for a file, if it has content.
fn part(aside: &Aside, size: u64, md5: &[u8]) -> Option<Part> {
    aside.has_content().then(|| Part {
        blob: aside.blob.clone(),
        size,
        etag: hex(md5),
        md5: md5.to_vec(),
    })
}

impl fmt::Debug for LocalR2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalR2").field(&self.folder).finish()
    }
}

impl R2Store for LocalR2 {
    fn files(&self) -> Vec<PathBuf> {
        // The names of the others have no extension, so no module is read from them.
        vec![self.folder.join("bucket.sqlite")]
    }

    fn head(&self, key: String) -> R2Future<Option<R2Object>> {
        let found = self.database.read(move |db| objects::head(db, &key));
        Box::pin(async move { Ok(found.await?) })
    }

    fn get(&self, get: R2Get, room: ReadRoom) -> R2Future<Option<R2Found>> {
        self.clean_up();
        Box::pin(self.clone().get_object(get, room))
    }

    fn put(&self, put: R2Put, content: Body) -> R2Future<Option<R2Object>> {
        self.clean_up();
        Box::pin(self.clone().put_object(put, content))
    }

    fn delete(&self, keys: Vec<String>) -> R2Future<()> {
        self.clean_up();
        let (bucket, now) = (self.clone(), now_ms());
        let deleted = self
            .database
            .write(ROW_BYTES, move |db| objects::delete(db, &keys, now));
        Box::pin(async move {
            bucket.remove(deleted.await?);
            Ok(())
        })
    }

    fn list(&self, listing: R2Listing) -> R2Future<R2Page> {
        let page = self.database.read(move |db| listing::list(db, &listing));
        Box::pin(async move { Ok(page.await??) })
    }

    fn create_upload(&self, upload: R2NewUpload) -> R2Future<String> {
        self.clean_up();
        let id = format!("{}{}", identifier(), identifier());
        let created = self.database.write(ROW_BYTES, {
            let (id, now) = (id.clone(), now_ms());
            move |db| uploads::create(db, &id, &upload, now)
        });
        Box::pin(async move {
            created.await?;
            Ok(id)
        })
    }

    fn put_part(&self, key: String, upload: String, number: u16, content: Body) -> R2Future<String> {
        self.clean_up();
        Box::pin(self.clone().put_upload_part(key, upload, number, content))
    }

    fn complete_upload(&self, key: String, upload: String, parts: Vec<R2Part>) -> R2Future<R2Object> {
        let (bucket, version, now) = (self.clone(), identifier(), now_ms());
        let completed = self.database.write(ROW_BYTES, move |db| {
            uploads::complete(db, (&upload, &key), &parts, &version, now)
        });
        Box::pin(async move {
            let (object, unused) = completed.await??;
            bucket.remove(unused);
            Ok(object)
        })
    }

    fn abort_upload(&self, key: String, upload: String) -> R2Future<()> {
        let (bucket, now) = (self.clone(), now_ms());
        let aborted = self
            .database
            .write(ROW_BYTES, move |db| uploads::abort(db, (&upload, &key), now));
        Box::pin(async move {
            bucket.remove(aborted.await??);
            Ok(())
        })
    }

    /// Includes the parts of uploads.
    fn total(&self) -> R2Future<(u64, u64)> {
        let total = self.database.read(objects::total);
        Box::pin(async move { Ok(total.await?) })
    }
}

/// Generates a name for a version, an upload or a file.
fn identifier() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
