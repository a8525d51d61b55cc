//! `[[r2_buckets]]`, and `r2_buckets` of wrangler's files: R2 buckets.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use isopod::bindings::Binding;
use isopod::bindings::r2::{LocalR2, R2Binding, R2Store, S3R2};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stored::{default_folder, is_local, is_plain_name};
use super::{Configured, Materials, Row, WranglerKey, WranglerRow};
use crate::config::document::KeyPath;
use crate::config::problem::Fault;
use crate::config::reading::Reading;
use crate::config::storage::Server;
use crate::config::text::Size;
use crate::config::values::StorageUrl;

impl Row for Section {
    const KEY: &'static str = "r2_buckets";
    const ABOUT: &'static str = "R2 buckets in `env`.";
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Vec<Written>>()];
    type Binding = R2Bucket;

    fn name(&self) -> &str {
        &self.binding
    }

    fn resolve(self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<R2Bucket> {
        let name = self.bucket_name.as_ref().unwrap_or(&self.binding).clone();
        let place = self.place(&name, at, reading)?;
        let limits = self.limits;
        Some(R2Bucket { name, place, limits })
    }
}

/// An R2 bucket, and the place where it is kept.
#[derive(Clone, Debug)]
pub struct R2Bucket {
    /// Its name.
    pub name: String,
    place: Place,
    limits: Limits,
}

/// The place of a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Folder(PathBuf),
    S3(S3R2),
}

impl R2Bucket {
    /// Opens the bucket.
    pub fn store(&self) -> Arc<dyn R2Store> {
        let limits = &self.limits;
        match &self.place {
            Place::Folder(path) => Arc::new(
                LocalR2::new(path)
                    .bytes_max(limits.bytes_max)
                    .object_bytes_max(limits.object_bytes_max)
                    .transfers_max(limits.transfers_max)
                    .readers_max(limits.readers_max)
                    .queue_len_max(limits.queue_len_max),
            ),
            Place::S3(bucket) => Arc::new(
                bucket
                    .clone()
                    .object_bytes_max(limits.object_bytes_max)
                    .transfers_max(limits.transfers_max),
            ),
        }
    }

    /// The folder that keeps it, if it is not on a service.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(path) => Some(path),
            Place::S3(_) => None,
        }
    }

    /// The place where it is kept, for messages.
    pub fn address(&self) -> String {
        match &self.place {
            Place::Folder(path) => path.display().to_string(),
            Place::S3(bucket) => bucket.address(),
        }
    }

    /// Returns true if this and the other have the same objects.
    pub fn is_same(&self, other: &Self) -> bool {
        self.place == other.place
    }

    /// Maximum size of the bucket, if it is limited here.
    pub fn bytes_max(&self) -> Option<u64> {
        self.path().map(|_| self.limits.bytes_max)
    }
}

impl Configured for R2Bucket {
    fn kind(&self) -> &'static str {
        "R2"
    }

    fn typescript(&self) -> String {
        "R2Bucket".to_owned()
    }

    fn make(&self, _from: &Materials<'_>) -> Result<Arc<dyn Binding>> {
        Ok(Arc::new(R2Binding::new(self.store())))
    }

    fn withheld(&self) -> Vec<PathBuf> {
        self.store().files()
    }

    fn server(&self) -> Option<Server> {
        match &self.place {
            Place::Folder(_) => None,
            Place::S3(bucket) => Some(Server::Bucket(bucket.clone())),
        }
    }
}

/// An R2 bucket. Workers with the same `bucket_name` share it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Section {
    /// Name in `env`.
    binding: String,
    /// Name of the bucket. Default: the name in `env`.
    #[serde(default)]
    bucket_name: Option<String>,
    /// Folder of the objects, relative to this file's folder. Default: `.isopod/r2/NAME`.
    #[serde(default)]
    path: Option<PathBuf>,
    /// `local`, an `s3://` URL whose bucket is this one, or `$NAME`. Default: `storage.r2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    storage: Option<StorageUrl>,
    #[serde(flatten)]
    limits: Limits,
}

impl Section {
    /// The place where the bucket is kept. A `path` is that of a folder.
    fn place(&self, name: &str, at: &KeyPath, reading: &mut Reading<'_>) -> Option<Place> {
        let bucket = match (&self.storage, &self.path) {
            (Some(url), _) => reading.bucket(url.clone(), &at.key("storage"))?,
            (None, Some(_)) => None,
            (None, None) => match reading.engines.r2.clone() {
                None => None,
                Some(_) if !is_plain_name(name, &at.key("bucket_name"), reading) => return None,
                // The buckets of a configuration are side by side.
                Some(all) => Some(all.below(&format!("{name}/"))),
            },
        };
        match (bucket, &self.path) {
            (None, path) => {
                let path = path.clone();
                let path = path.or_else(|| default_folder("r2", name, &at.key("bucket_name"), reading))?;
                Some(Place::Folder(reading.data_path(&path)))
            }
            (Some(bucket), None) => Some(Place::S3(bucket)),
            (Some(_), Some(_)) => {
                let message = format!("`{at}` has a `path`, and is stored on a service");
                reading.tell(
                    &at.key("path"),
                    Fault::Conflict { message },
                    "remove `path` or `storage`",
                );
                None
            }
        }
    }
}

/// Limits of a bucket.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Limits {
    /// Maximum size of all objects, and of the parts of uploads. A `put` that would exceed it fails.
    #[serde(with = "Size")]
    bytes_max: u64,
    /// Maximum size of an object, or of a part of an upload. An object that is uploaded in parts may be larger.
    #[serde(with = "Size")]
    object_bytes_max: u64,
    /// Maximum number of objects that are read at once, and of those that are written. Further reads fail with R2's error 10058,
    /// further writes wait.
    #[schemars(range(min = 1))]
    transfers_max: usize,
    /// Maximum number of threads that read the file with the metadata.
    #[schemars(range(min = 1))]
    readers_max: usize,
    /// Maximum number of reads, and of writes, of metadata that wait for a thread. Further ones fail with R2's error 10058.
    #[schemars(range(min = 1))]
    queue_len_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: LocalR2::BYTES_MAX,
            object_bytes_max: LocalR2::OBJECT_BYTES_MAX,
            transfers_max: LocalR2::TRANSFERS_MAX,
            readers_max: LocalR2::READERS_MAX,
            queue_len_max: LocalR2::QUEUE_LEN_MAX,
        }
    }
}

/// An R2 bucket in wrangler's files.
#[derive(Deserialize, JsonSchema)]
struct Written {
    binding: String,
    #[serde(default)]
    bucket_name: Option<String>,
    #[serde(default)]
    preview_bucket_name: Option<String>,
    /// The place in which the platform keeps the bucket. It has no effect.
    #[serde(default)]
    #[expect(dead_code, reason = "read for its name alone")]
    jurisdiction: Option<String>,
    #[serde(default)]
    remote: bool,
}

impl WranglerRow for Written {
    const KEY: &'static str = "r2_buckets";
    type Row = Section;

    fn translate(self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<Section> {
        is_local(self.remote, "R2 binding", "bucket is a local folder", at, reading).then(|| Section {
            binding: self.binding,
            bucket_name: self.bucket_name.or(self.preview_bucket_name),
            path: None,
            storage: None,
            limits: Limits::default(),
        })
    }
}
