//! The namespace that a command works on.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;
use isopod::bindings::kv::KvStore;

use crate::config::{BoundAs, KvNamespace};
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
        let all = config.bound();
        let found = all.iter().filter(|found: &&BoundAs<'_, KvNamespace>| {
            worker.as_deref().is_none_or(|worker| worker == found.worker)
                && binding.as_deref().is_none_or(|binding| binding == found.name)
                && namespace_id.as_deref().is_none_or(|id| id == found.binding.id)
        });
        let found: Vec<_> = found.map(|found| found.binding).collect();
        let Some(first) = found.first() else {
            bail!("{}", missing(&all));
        };
        // Workers may share a namespace.
        if let Some(other) = found.iter().find(|other| !other.is_same(first)) {
            let other = &other.id;
            bail!(
                "there are several namespaces, such as \"{other}\"; name one with --binding, --namespace-id or --worker"
            );
        }
        Ok(first.store())
    }
}

fn missing(all: &[BoundAs<'_, KvNamespace>]) -> String {
    match all {
        [] => "the configuration has no KV namespace; add one to `kv_namespaces`".to_owned(),
        all => {
            let names: Vec<_> = all
                .iter()
                .map(|found| format!("{}.{}", found.worker, found.name))
                .collect();
            format!(
                "there is no such KV namespace; the configuration has {}",
                names.join(", ")
            )
        }
    }
}
