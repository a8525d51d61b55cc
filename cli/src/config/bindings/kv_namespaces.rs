//! `[[kv_namespaces]]`, and `kv_namespaces` of wrangler's files: KV namespaces.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use isopod::bindings::Binding;
use isopod::bindings::kv::{KvBinding, KvStore, PostgresKv, SqliteKv};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stored::{default_file, is_local};
use super::{Configured, Materials, Row, WranglerKey, WranglerRow};
use crate::config::document::KeyPath;
use crate::config::problem::Fault;
use crate::config::reading::Reading;
use crate::config::storage::{Engine, Kept, Server};
use crate::config::text::Size;
use crate::config::values::StorageUrl;

impl Row for Section {
    const KEY: &'static str = "kv_namespaces";
    const ABOUT: &'static str = "KV namespaces in `env`.";
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Vec<Written>>()];
    type Binding = KvNamespace;

    fn name(&self) -> &str {
        &self.binding
    }

    fn resolve(self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<KvNamespace> {
        let id = self.id.as_ref().unwrap_or(&self.binding).clone();
        let kept = self.kept(&id, at, reading)?;
        let limits = self.limits;
        Some(KvNamespace { id, kept, limits })
    }
}

/// A KV namespace, and where it is kept.
#[derive(Clone, Debug)]
pub struct KvNamespace {
    /// Its id.
    pub id: String,
    /// The place where it is kept.
    pub kept: Kept,
    limits: Limits,
}

impl KvNamespace {
    /// Opens the namespace.
    pub fn store(&self) -> Arc<dyn KvStore> {
        match &self.kept {
            Kept::File(path) => Arc::new(
                SqliteKv::new(path)
                    .bytes_max(self.limits.bytes_max)
                    .readers_max(self.limits.readers_max)
                    .queue_len_max(self.limits.queue_len_max),
            ),
            Kept::Server(server) => Arc::new(PostgresKv::new(server, self.id.as_str())),
        }
    }

    /// Returns true if this and the other have the same entries.
    pub fn is_same(&self, other: &Self) -> bool {
        self.kept == other.kept && (self.kept.file().is_some() || self.id == other.id)
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
        Ok(Arc::new(KvBinding::new(self.store())))
    }

    fn withheld(&self) -> Vec<PathBuf> {
        self.kept.file().map(ToOwned::to_owned).into_iter().collect()
    }

    fn server(&self) -> Option<Server> {
        self.kept.server()
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
    /// `local`, a `postgres://` URL, or `$NAME`. Default: `storage.kv`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    storage: Option<StorageUrl>,
    #[serde(flatten)]
    limits: Limits,
}

impl Section {
    /// The place where the namespace is kept. A `path` is that of a file.
    fn kept(&self, id: &str, at: &KeyPath, reading: &mut Reading<'_>) -> Option<Kept> {
        let engine = match (&self.storage, &self.path) {
            (Some(url), _) => reading.engine(url.clone(), &at.key("storage"))?,
            (None, Some(_)) => Engine::Local,
            (None, None) => reading.engines.kv.clone(),
        };
        match (engine, &self.path) {
            (Engine::Local, path) => {
                let path = path.clone();
                let path = path.or_else(|| default_file("kv", id, &at.key("id"), reading))?;
                Some(Kept::File(reading.data_path(&path)))
            }
            (Engine::Server(server), None) => Some(Kept::Server(server)),
            (Engine::Server(_), Some(_)) => {
                let message = format!("`{at}` has a `path`, and is stored on a server");
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

impl WranglerRow for Written {
    const KEY: &'static str = "kv_namespaces";
    type Row = Section;

    fn translate(self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<Section> {
        is_local(
            self.remote,
            "KV binding",
            "namespace is a local SQLite file",
            at,
            reading,
        )
        .then(|| Section {
            binding: self.binding,
            id: self.id.or(self.preview_id),
            path: None,
            storage: None,
            limits: Limits::default(),
        })
    }
}
