//! The namespace that a command works on.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;
use isopod::bindings::kv::KvStore;

use crate::config::{Config, KvNamespace};
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
        let all = namespaces(&config);
        let is_asked_for = |(of, name, namespace): &&(&str, &str, &KvNamespace)| {
            worker.as_deref().is_none_or(|worker| worker == *of)
                && binding.as_deref().is_none_or(|binding| binding == *name)
                && namespace_id.as_deref().is_none_or(|id| id == namespace.id)
        };
        let found: Vec<_> = all.iter().filter(is_asked_for).collect();
        let Some((_, _, first)) = found.first() else {
            bail!("{}", missing(&all));
        };
        // Workers may share a namespace.
        if let Some((_, _, other)) = found.iter().find(|(_, _, other)| !other.is_same(first)) {
            let other = &other.id;
            bail!(
                "there are several namespaces, such as \"{other}\"; name one with --binding, --namespace-id or --worker"
            );
        }
        Ok(first.store())
    }
}

/// The namespaces of a configuration: worker, name in `env`, and namespace.
fn namespaces(config: &Config) -> Vec<(&str, &str, &KvNamespace)> {
    let workers = config.workers.iter();
    let bound = workers.flat_map(|(worker, of)| of.bindings.iter().map(move |bound| (worker, bound)));
    bound
        .filter_map(|(worker, bound)| {
            let binding: &dyn Any = &*bound.binding;
            Some((worker.as_str(), bound.name.as_str(), binding.downcast_ref()?))
        })
        .collect()
}

fn missing(all: &[(&str, &str, &KvNamespace)]) -> String {
    match all {
        [] => "the configuration has no KV namespace; add one to `kv_namespaces`".to_owned(),
        all => {
            let names: Vec<_> = all.iter().map(|(worker, name, _)| format!("{worker}.{name}")).collect();
            format!(
                "there is no such KV namespace; the configuration has {}",
                names.join(", ")
            )
        }
    }
}
