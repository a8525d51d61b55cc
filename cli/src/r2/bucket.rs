//! `isopod r2 bucket`.

use anyhow::Result;
use futures::executor::block_on;
use serde_json::{Value as Json, json};

use super::shown::size;
use crate::config::{BoundAs, Config, R2Bucket};
use crate::output::{one_line, print, print_json};

pub(super) fn list(config: &Config, json: bool) -> Result<()> {
    let all: Vec<BoundAs<'_, R2Bucket>> = config.bound();
    if json {
        let all = all.iter().map(|found| {
            let mut bucket = measured(found.binding)?;
            bucket["worker"] = found.worker.into();
            bucket["binding"] = found.name.into();
            Ok(bucket)
        });
        return print_json(&all.collect::<Result<Vec<_>>>()?.into());
    }
    for found in &all {
        let (bytes, objects) = total(found.binding)?;
        let (name, worker, binding) = (one_line(&found.binding.name), found.worker, found.name);
        print(format!("{name}  {worker}.{binding}  {objects} objects, {}\n", size(bytes)).as_bytes())?;
    }
    Ok(())
}

pub(super) fn info(bucket: &R2Bucket, json: bool) -> Result<()> {
    if json {
        return print_json(&measured(bucket)?);
    }
    let (bytes, objects) = total(bucket)?;
    let lines = format!(
        "name     {}\nfolder   {}\nobjects  {objects}\nsize     {}{}\n",
        one_line(&bucket.name),
        bucket.address(),
        size(bytes),
        bucket
            .bytes_max()
            .map(|max| format!(" of {}", size(max)))
            .unwrap_or_default(),
    );
    print(lines.as_bytes())
}

fn total(bucket: &R2Bucket) -> Result<(u64, u64)> {
    Ok(block_on(bucket.store().total())?)
}

fn measured(bucket: &R2Bucket) -> Result<Json> {
    let (bytes, objects) = total(bucket)?;
    Ok(json!({
        "name": bucket.name,
        "path": bucket.path(),
        "storage": bucket.address(),
        "objects": objects,
        "bytes": bytes,
        "bytesMax": bucket.bytes_max(),
    }))
}
