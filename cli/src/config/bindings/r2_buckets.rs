//! `[[r2_buckets]]`, and `r2_buckets` of wrangler's files: R2 buckets.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use isopod::bindings::Binding;
use isopod::bindings::r2::{LocalR2, R2Binding, R2Store as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stored::{default_folder, is_local};
use super::{Configure, Configured, Env, Materials, Wrangler, WranglerKey};
use crate::config::document::KeyPath;
use crate::config::reading::Reading;
use crate::config::text::Size;

pub(super) struct R2Buckets;

impl Configure for R2Buckets {
    const KEY: &'static str = "r2_buckets";
    const ABOUT: &'static str = "R2 buckets in `env`.";
    type Section = Vec<Section>;
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Vec<Written>>()];

    fn resolve(section: Vec<Section>, at: &KeyPath, reading: &mut Reading<'_>, env: &mut Env) {
        for (index, section) in section.into_iter().enumerate() {
            let at = at.index(index);
            env.claim(&section.binding, &at.key("binding"), reading);
            let name = section.bucket_name.unwrap_or_else(|| section.binding.clone());
            let path = section.path;
            let path = path.or_else(|| default_folder("r2", &name, &at.key("bucket_name"), reading));
            if let Some(path) = path {
                let bucket = R2Bucket {
                    name,
                    path: reading.source.folder().join(path),
                    limits: section.limits,
                };
                env.bind(section.binding, bucket);
            }
        }
    }
}

/// An R2 bucket, and the folder that keeps it.
#[derive(Clone, Debug)]
pub struct R2Bucket {
    /// Its name.
    pub name: String,
    path: PathBuf,
    limits: Limits,
}

impl R2Bucket {
    /// Opens the bucket.
    pub fn store(&self) -> LocalR2 {
        LocalR2::new(&self.path)
            .bytes_max(self.limits.bytes_max)
            .object_bytes_max(self.limits.object_bytes_max)
            .transfers_max(self.limits.transfers_max)
            .readers_max(self.limits.readers_max)
            .queue_len_max(self.limits.queue_len_max)
    }

    /// The folder that keeps it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Maximum size of the bucket.
    pub fn bytes_max(&self) -> u64 {
        self.limits.bytes_max
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
    #[serde(flatten)]
    limits: Limits,
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
    /// The place in which the platform keeps it. It has no effect.
    #[serde(default)]
    #[expect(dead_code, reason = "read for its name alone")]
    jurisdiction: Option<String>,
    #[serde(default)]
    remote: bool,
}

impl Wrangler for Vec<Written> {
    const KEY: &'static str = "r2_buckets";
    type Section = Vec<Section>;

    fn translate(self, at: &KeyPath, reading: &mut Reading<'_>) -> Vec<Section> {
        let mut sections = Vec::new();
        for (index, written) in self.into_iter().enumerate() {
            if !is_local(
                written.remote,
                "R2 binding",
                "bucket is a local folder",
                &at.index(index),
                reading,
            ) {
                continue;
            }
            sections.push(Section {
                binding: written.binding,
                bucket_name: written.bucket_name.or(written.preview_bucket_name),
                path: None,
                limits: Limits::default(),
            });
        }
        sections
    }
}
