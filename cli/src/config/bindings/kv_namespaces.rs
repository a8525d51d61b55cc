//! `[[kv_namespaces]]`, and `kv_namespaces` of wrangler's files: KV namespaces.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use isopod::bindings::Binding;
use isopod::bindings::kv::{KvBinding, SqliteKv};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stored::default_file;
use super::{Configure, Configured, Env, Materials, Wrangler, WranglerKey};
use crate::config::document::KeyPath;
use crate::config::problem::Fault;
use crate::config::reading::Reading;
use crate::config::text::Size;

pub(super) struct KvNamespaces;

impl Configure for KvNamespaces {
    const KEY: &'static str = "kv_namespaces";
    const ABOUT: &'static str = "KV namespaces in `env`.";
    type Section = Vec<Section>;
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Vec<Written>>()];

    fn resolve(section: Vec<Section>, at: &KeyPath, reading: &mut Reading<'_>, env: &mut Env) {
        for (index, section) in section.into_iter().enumerate() {
            let at = at.index(index);
            env.claim(&section.binding, &at.key("binding"), reading);
            let id = section.id.unwrap_or_else(|| section.binding.clone());
            let path = section.path.or_else(|| default_file("kv", &id, &at.key("id"), reading));
            if let Some(path) = path {
                let namespace = KvNamespace {
                    id,
                    path: reading.source.folder().join(path),
                    limits: section.limits,
                };
                env.bind(section.binding, namespace);
            }
        }
    }
}

/// A KV namespace, and the file that keeps it.
#[derive(Clone, Debug)]
pub struct KvNamespace {
    /// Its id.
    pub id: String,
    path: PathBuf,
    limits: Limits,
}

impl KvNamespace {
    /// Opens the namespace.
    pub fn store(&self) -> SqliteKv {
        SqliteKv::new(&self.path)
            .bytes_max(self.limits.bytes_max)
            .readers_max(self.limits.readers_max)
            .queue_len_max(self.limits.queue_len_max)
    }
}

impl Configured for KvNamespace {
    fn kind(&self) -> &'static str {
        "KV"
    }

    fn typescript(&self) -> String {
        "KVNamespace".to_owned()
    }

    fn make(&self, _from: &Materials<'_>) -> Result<Arc<dyn Binding>> {
        let binding = KvBinding::new(self.store());
        Ok(Arc::new(binding.withhold([self.path.clone()])))
    }

    fn withheld(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }
}

/// A KV namespace. Workers with the same `id` share it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Section {
    /// Name in `env`.
    binding: String,
    /// Name of the namespace. Default: the name in `env`.
    #[serde(default)]
    id: Option<String>,
    /// SQLite file, relative to this file's folder. Default: `.isopod/kv/ID.sqlite`.
    #[serde(default)]
    path: Option<PathBuf>,
    #[serde(flatten)]
    limits: Limits,
}

/// Limits of a namespace.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Limits {
    /// Maximum size of the file. A `put` that would exceed it fails.
    #[serde(with = "Size")]
    bytes_max: u64,
    /// Maximum number of threads that read the file.
    #[schemars(range(min = 1))]
    readers_max: usize,
    /// Maximum number of reads, and of writes, that wait for a thread. Further ones fail with status 429.
    #[schemars(range(min = 1))]
    queue_len_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: SqliteKv::BYTES_MAX,
            readers_max: SqliteKv::READERS_MAX,
            queue_len_max: SqliteKv::QUEUE_LEN_MAX,
        }
    }
}

/// A KV namespace in wrangler's files.
#[derive(Deserialize, JsonSchema)]
struct Written {
    binding: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    preview_id: Option<String>,
    #[serde(default)]
    remote: bool,
}

impl Wrangler for Vec<Written> {
    const KEY: &'static str = "kv_namespaces";
    type Section = Vec<Section>;

    fn translate(self, at: &KeyPath, reading: &mut Reading<'_>) -> Vec<Section> {
        let mut sections = Vec::new();
        for (index, written) in self.into_iter().enumerate() {
            if written.remote {
                let key = at.index(index).key("remote");
                let fault = Fault::NoSuchBinding {
                    key: key.to_string(),
                    capability: "remote KV binding".to_owned(),
                };
                reading.tell(&key, fault, "remove `remote`; the namespace is a local SQLite file");
                continue;
            }
            sections.push(Section {
                binding: written.binding,
                id: written.id.or(written.preview_id),
                path: None,
                limits: Limits::default(),
            });
        }
        sections
    }
}
