//! `isopod kv bulk`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt as _, TryStreamExt as _};
use isopod::bindings::kv::{KvEntry, KvStore, check_key};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json, json};

use super::{entries, entry, json_of};
use crate::output::{print, print_json};

/// Operations that wait for the disk at the same time: one sync acknowledges them all.
const CONCURRENT: usize = 256;

/// An entry in a file, as wrangler's `kv bulk put` reads it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    key: String,
    value: String,
    #[serde(default)]
    expiration: Option<i64>,
    #[serde(default)]
    expiration_ttl: Option<i64>,
    #[serde(default)]
    metadata: Option<Json>,
    /// The value is written in Base64.
    #[serde(default)]
    base64: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Key {
    Name(String),
    Entry { name: String },
}

/// Reads a JSON array.
fn read<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>> {
    let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} does not have the expected form", file.display()))
}

fn keys(file: &Path) -> Result<Vec<String>> {
    let keys = read::<Key>(file)?.into_iter().map(|key| match key {
        Key::Name(name) | Key::Entry { name } => name,
    });
    let keys: Vec<_> = keys.collect();
    for key in &keys {
        check_key(key).with_context(|| format!("the key {key:?}"))?;
    }
    Ok(keys)
}

pub(super) fn get(store: &dyn KvStore, file: &Path) -> Result<ExitCode> {
    let mut found = Map::new();
    for key in keys(file)? {
        let entry = entries(store, std::slice::from_ref(&key))?.pop().flatten();
        let shown = entry.map_or(Json::Null, |entry| shown(&entry));
        found.insert(key, shown);
    }
    print_json(&found.into())?;
    Ok(ExitCode::SUCCESS)
}

fn shown(entry: &KvEntry) -> Json {
    let mut shown = match std::str::from_utf8(&entry.value) {
        Ok(text) => json!({ "value": text }),
        Err(_) => json!({ "value": STANDARD.encode(&entry.value), "base64": true }),
    };
    if let Some(metadata) = json_of(entry.metadata.as_deref()) {
        shown["metadata"] = metadata;
    }
    shown
}

pub(super) fn put(store: &dyn KvStore, file: &Path, json: bool) -> Result<ExitCode> {
    // All entries are checked before the first one is stored.
    let checked = read::<Written>(file)?.into_iter().map(|written| {
        let key = written.key.clone();
        checked(written).with_context(|| format!("the key {key:?}"))
    });
    let checked: Vec<_> = checked.collect::<Result<_>>()?;
    let count = checked.len();
    let puts = futures::stream::iter(checked).map(|(key, entry)| Ok(store.put(key, entry)));
    futures::executor::block_on(puts.try_buffer_unordered(CONCURRENT).try_collect::<()>())?;
    done("stored", count, json)
}

fn checked(written: Written) -> Result<(String, KvEntry)> {
    check_key(&written.key)?;
    let value = match written.base64 {
        true => STANDARD.decode(written.value).context("its value is not Base64")?,
        false => written.value.into_bytes(),
    };
    let metadata = written.metadata.map(|metadata| metadata.to_string());
    let entry = entry(value, written.expiration_ttl, written.expiration, metadata)?;
    Ok((written.key, entry))
}

pub(super) fn delete(store: &dyn KvStore, file: &Path, json: bool) -> Result<ExitCode> {
    let keys = keys(file)?;
    let count = keys.len();
    let deletes = futures::stream::iter(keys).map(|key| Ok(store.delete(key)));
    futures::executor::block_on(deletes.try_buffer_unordered(CONCURRENT).try_collect::<()>())?;
    done("removed", count, json)
}

/// Prints how many entries were stored or removed.
fn done(what: &str, count: usize, json: bool) -> Result<ExitCode> {
    match json {
        true => print_json(&json!({ what: count }))?,
        false => print(format!("{count} {what}\n").as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}
