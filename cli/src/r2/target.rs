//! The bucket that a command works on.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;
use isopod::bindings::r2::R2Store;

use crate::choice::choose;
use crate::config::R2Bucket;
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
        let all = config.bound::<R2Bucket>();
        let (first, others) = choose(&all, ("R2 bucket", "`r2_buckets`"), worker.as_deref(), |found| {
            binding.as_deref().is_none_or(|binding| binding == found.name)
                && bucket.as_deref().is_none_or(|name| name == found.binding.name)
        })?;
        let first = first.binding;
        // Workers may share a bucket.
        if let Some(other) = others.iter().find(|other| !other.is_same(first)) {
            let other = &other.name;
            bail!("there are several buckets, such as \"{other}\"; name one with --binding, --bucket or --worker");
        }
        Ok(first.clone())
    }

    /// Opens the bucket.
    pub(super) fn open(self, environment: &BTreeMap<String, String>) -> Result<Arc<dyn R2Store>> {
        Ok(self.find(environment)?.store())
    }
}
