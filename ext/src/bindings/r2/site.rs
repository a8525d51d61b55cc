//! The static assets of a site in a bucket.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::executor::block_on;
use http_body_util::{BodyDataStream, BodyExt as _};
use isopod_assets::{FileBytes, Files, OpenFile};
use moka::sync::Cache;

use super::condition::{R2Conditions, R2Etag};
use super::range::R2Range;
use super::rules::LIST_LIMIT;
use super::store::{R2Found, R2Get, R2Listing, R2Store};
use crate::event::Body;
use crate::storage::ReadRoom;

/// The files of a site in an R2 bucket, for [`Assets::of_files`](isopod_assets::Assets::of_files).
///
/// ```no_run
/// # mod isopod { pub use isopod_ext::{assets, bindings}; }
/// use isopod::assets::{Assets, Options};
/// use isopod::bindings::r2::{R2Files, S3R2};
///
/// let bucket = S3R2::new("company").prefix("site/").region("eu-central-1");
/// let (assets, mistakes) = Assets::of_files(R2Files::new(bucket), Options::default())?;
/// # drop((assets, mistakes));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// The bucket is listed when the site is opened, and again on use once the list is [old](Self::refresh), which finds new and
/// replaced files. Small files are kept in memory.
pub struct R2Files {
    store: Arc<dyn R2Store>,
    listed: Mutex<Option<Listed>>,
    refresh: Duration,
    contents: Cache<String, Kept>,
}

/// The list of the bucket's objects.
#[derive(Clone)]
struct Listed {
    at: Instant,
    /// The size and ETag of each file.
    files: Arc<HashMap<String, (u64, String)>>,
}

/// The content of a small file.
#[derive(Clone)]
struct Kept {
    etag: String,
    bytes: Bytes,
}

impl R2Files {
    /// Maximum number of files in a bucket.
    pub const FILES_MAX: usize = 100_000;
    /// Maximum size of all files in memory.
    pub const CACHE_BYTES: u64 = 64 << 20;
    /// Maximum size of a file that is kept in memory.
    pub const CACHED_FILE_BYTES: u64 = 1 << 20;
    /// The default of [`refresh`](Self::refresh).
    pub const REFRESH: Duration = Duration::from_secs(10);

    /// Creates the files of a bucket. The key of each is its path without the leading slash.
    pub fn new(store: impl R2Store) -> Self {
        let weight = |key: &String, kept: &Kept| u32::try_from(key.len() + kept.bytes.len()).unwrap_or(u32::MAX);
        Self {
            store: Arc::new(store),
            listed: Mutex::default(),
            refresh: Self::REFRESH,
            contents: Cache::builder().max_capacity(Self::CACHE_BYTES).weigher(weight).build(),
        }
    }

    /// Sets the age at which the list of files is old. Default: 10 s.
    #[must_use]
    pub const fn refresh(mut self, refresh: Duration) -> Self {
        self.refresh = refresh;
        self
    }

    /// Returns the list. An old one stays in use while it is refreshed, and if that fails.
    fn files(&self) -> io::Result<Arc<HashMap<String, (u64, String)>>> {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = &mut *listed else {
            let files = self.list()?;
            let at = Instant::now();
            return Ok(listed.insert(Listed { at, files }).files.clone());
        };
        let old = known.files.clone();
        if known.at.elapsed() < self.refresh {
            return Ok(old);
        }
        known.at = Instant::now();
        drop(listed);
        let files = match self.list() {
            Ok(files) => files,
            Err(error) => {
                tracing::warn!(target: "isopod::assets", "cannot refresh the list of files: {error}");
                return Ok(old);
            }
        };
        let at = Instant::now();
        let listed = Listed {
            at,
            files: files.clone(),
        };
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = Some(listed);
        Ok(files)
    }

    fn list(&self) -> io::Result<Arc<HashMap<String, (u64, String)>>> {
        let mut files = HashMap::new();
        let mut listing = R2Listing::default().limit(LIST_LIMIT);
        loop {
            let page = block_on(self.store.list(listing.clone())).map_err(io::Error::other)?;
            files.extend(
                page.objects
                    .into_iter()
                    .map(|object| (object.key, (object.size, object.etag))),
            );
            if files.len() > Self::FILES_MAX {
                let max = Self::FILES_MAX;
                return Err(io::Error::other(format!("the bucket has more than {max} files")));
            }
            match page.cursor {
                Some(cursor) => listing.cursor = Some(cursor),
                None => return Ok(Arc::new(files)),
            }
        }
    }

    fn found(&self, get: R2Get) -> io::Result<Option<R2Found>> {
        let room = ReadRoom::new(usize::MAX);
        block_on(self.store.get(get, room)).map_err(io::Error::other)
    }

    /// Returns the content of a small file with this ETag, or of its replacement.
    fn small(&self, key: &str, etag: &str) -> io::Result<Option<Kept>> {
        if let Some(kept) = self.contents.get(key).filter(|kept| kept.etag == etag) {
            return Ok(Some(kept));
        }
        let Some(R2Found { object, content, .. }) = self.found(R2Get::new(key))? else {
            return Ok(None);
        };
        if object.size > Self::CACHED_FILE_BYTES {
            return Err(io::Error::other("it has become large"));
        }
        let bytes = match content {
            Some(content) => block_on(content.collect()).map_err(io::Error::other)?.to_bytes(),
            None => Bytes::new(),
        };
        let kept = Kept {
            etag: object.etag,
            bytes,
        };
        self.contents.insert(key.to_owned(), kept.clone());
        Ok(Some(kept))
    }
}

impl fmt::Debug for R2Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("R2Files")
            .field("refresh", &self.refresh)
            .finish_non_exhaustive()
    }
}

fn key_of(path: &str) -> &str {
    path.strip_prefix('/').unwrap_or(path)
}

impl Files for R2Files {
    fn has(&self, path: &str) -> bool {
        self.files().is_ok_and(|files| files.contains_key(key_of(path)))
    }

    fn open(&self, path: &str) -> io::Result<Option<Box<dyn OpenFile>>> {
        let key = key_of(path);
        let files = self.files()?;
        let Some((size, etag)) = files.get(key) else {
            return Ok(None);
        };
        if *size <= Self::CACHED_FILE_BYTES {
            let small = self.small(key, etag)?;
            return Ok(small.map(|kept| Box::new(kept) as Box<dyn OpenFile>));
        }
        // The current state, which may differ from the list.
        let head = block_on(self.store.head(key.to_owned())).map_err(io::Error::other)?;
        Ok(head.map(|object| {
            Box::new(Large {
                store: self.store.clone(),
                key: key.to_owned(),
                size: object.size,
                etag: object.etag,
            }) as Box<dyn OpenFile>
        }))
    }

    fn text(&self, path: &str) -> io::Result<String> {
        let key = key_of(path);
        let files = self.files()?;
        let Some((_, etag)) = files.get(key) else {
            return Ok(String::new());
        };
        let Some(kept) = self.small(key, etag)? else {
            return Ok(String::new());
        };
        String::from_utf8(kept.bytes.into()).map_err(io::Error::other)
    }
}

impl OpenFile for Kept {
    fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn etag(&self) -> String {
        format!("\"{}\"", self.etag)
    }

    fn read(self: Box<Self>, from: u64, length: u64) -> io::Result<FileBytes> {
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(self.bytes.len());
        let (from, to) = (place(from), place(from.saturating_add(length)));
        Ok(FileBytes::Whole(self.bytes.slice(from..to)))
    }
}

/// A file that is read while it is sent.
struct Large {
    store: Arc<dyn R2Store>,
    key: String,
    size: u64,
    etag: String,
}

impl OpenFile for Large {
    fn length(&self) -> u64 {
        self.size
    }

    fn etag(&self) -> String {
        format!("\"{}\"", self.etag)
    }

    fn read(self: Box<Self>, from: u64, length: u64) -> io::Result<FileBytes> {
        let mut get = R2Get::new(self.key);
        get.conditions = R2Conditions::default().etag_matches(vec![R2Etag::Strong(self.etag)]);
        get.range = Some(R2Range::From {
            offset: from,
            length: Some(length),
        });
        let found = block_on(self.store.get(get, ReadRoom::new(usize::MAX))).map_err(io::Error::other)?;
        let content: Option<Body> = found.and_then(|found| found.content);
        let content = content.ok_or_else(|| io::Error::other("it was replaced while it was opened"))?;
        let chunks = BodyDataStream::new(content).map(|chunk| chunk.map_err(io::Error::other));
        Ok(FileBytes::Chunks(Box::pin(chunks)))
    }
}
