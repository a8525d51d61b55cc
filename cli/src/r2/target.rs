//! The bucket that a command works on.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use isopod::bindings::r2::R2Store;

use crate::config::{Config, R2Bucket};
use crate::project::ProjectArguments;

/// Arguments that name a bucket. None are needed if the configuration has one.
#[derive(Args)]
pub(super) struct Target {
    /// Name of the bucket in `env`
    #[arg(long, value_name = "NAME")]
    binding: Option<String>,
    /// Name of the bucket
    #[arg(long, value_name = "NAME", conflicts_with = "binding")]
    bucket: Option<String>,
    /// Worker that has the bucket
    #[arg(long, value_name = "NAME")]
    worker: Option<String>,
    #[command(flatten)]
    project: ProjectArguments,
}

impl Target {
    /// Finds the bucket.
    pub(super) fn find(self, environment: &BTreeMap<String, String>) -> Result<R2Bucket> {
        let Self {
            binding,
            bucket,
            worker,
            project,
        } = self;
        let config = project.read(environment)?;
        let all = buckets(&config);
        let found = all.iter().filter(|found| {
            worker.as_deref().is_none_or(|worker| worker == found.worker)
                && binding.as_deref().is_none_or(|binding| binding == found.name)
                && bucket.as_deref().is_none_or(|name| name == found.bucket.name)
        });
        let found: Vec<_> = found.map(|found| found.bucket).collect();
        let Some(first) = found.first() else {
            return Err(missing(&all));
        };
        // Workers may share a bucket.
        if let Some(other) = found.iter().find(|other| !other.is_same(first)) {
            let other = &other.name;
            bail!("there are several buckets, such as \"{other}\"; name one with --binding, --bucket or --worker");
        }
        Ok((*first).clone())
    }

    /// Opens the bucket.
    pub(super) fn open(self, environment: &BTreeMap<String, String>) -> Result<Arc<dyn R2Store>> {
        Ok(self.find(environment)?.store())
    }
}

/// A bucket of a worker.
pub(super) struct Found<'a> {
    pub(super) worker: &'a str,
    /// The name in `env`.
    pub(super) name: &'a str,
    pub(super) bucket: &'a R2Bucket,
}

/// The buckets of a configuration.
pub(super) fn buckets(config: &Config) -> Vec<Found<'_>> {
    let workers = config.workers.iter();
    let bound = workers.flat_map(|(worker, of)| of.bindings.iter().map(move |bound| (worker, bound)));
    bound
        .filter_map(|(worker, bound)| {
            let binding: &dyn Any = &*bound.binding;
            Some(Found {
                worker,
                name: &bound.name,
                bucket: binding.downcast_ref()?,
            })
        })
        .collect()
}

fn missing(all: &[Found<'_>]) -> anyhow::Error {
    match all {
        [] => anyhow!("the configuration has no R2 bucket; add one to `r2_buckets`"),
        all => {
            let names: Vec<_> = all
                .iter()
                .map(|found| format!("{}.{}", found.worker, found.name))
                .collect();
            anyhow!("there is no such R2 bucket; the configuration has {}", names.join(", "))
        }
    }
}
