//! The namespace that a command works on.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;
use isopod::bindings::kv::KvStore;

use crate::choice::choose;
use crate::config::KvNamespace;
use crate::project::ProjectArguments;

/// Arguments that name a namespace. None are needed if the configuration has one.
#[derive(Args)]
pub(super) struct Target {
    /// Name of the namespace in `env`
    #[arg(long, value_name = "NAME")]
    binding: Option<String>,
    /// Id of the namespace
    #[arg(long, value_name = "ID", conflicts_with = "binding")]
    namespace_id: Option<String>,
    /// Worker that has the namespace
    #[arg(long, value_name = "NAME")]
    worker: Option<String>,
    #[command(flatten)]
    project: ProjectArguments,
}

impl Target {
    /// Opens the namespace.
    pub(super) fn open(self, environment: &BTreeMap<String, String>) -> Result<Arc<dyn KvStore>> {
        let Self {
            binding,
            namespace_id,
            worker,
            project,
        } = self;
        let config = project.read(environment)?;
        let all = config.bound::<KvNamespace>();
        let (first, others) = choose(&all, ("KV namespace", "`kv_namespaces`"), worker.as_deref(), |found| {
            binding.as_deref().is_none_or(|binding| binding == found.name)
                && namespace_id.as_deref().is_none_or(|id| id == found.binding.id)
        })?;
        let first = first.binding;
        // Workers may share a namespace.
        if let Some(other) = others.iter().find(|other| !other.is_same(first)) {
            let other = &other.id;
            bail!(
                "there are several namespaces, such as \"{other}\"; name one with --binding, --namespace-id or --worker"
            );
        }
        Ok(first.store())
    }
}
