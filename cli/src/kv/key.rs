//! `isopod kv key`.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use isopod::bindings::kv::{KvEntry, KvKey, KvStore, check_key};
use serde_json::{Value as Json, json};

use super::{each_key, entries, json_of};
use crate::output::{print, print_json};

/// The value to store: an argument, a file, or standard input.
pub(super) fn value(value: Option<String>, file: Option<PathBuf>) -> Result<Vec<u8>> {
    match (value, file) {
        (Some(value), _) => Ok(value.into_bytes()),
        (None, Some(file)) => std::fs::read(&file).with_context(|| format!("cannot read {}", file.display())),
        (None, None) => {
            let mut value = Vec::new();
            std::io::stdin().lock().read_to_end(&mut value)?;
            Ok(value)
        }
    }
}

pub(super) fn get(store: &dyn KvStore, key: String, json: bool) -> Result<ExitCode> {
    let keys = [key];
    let Some(entry) = entries(store, &keys)?.pop().flatten() else {
        bail!("the key {:?} has no value", keys[0]);
    };
    match json {
        true => print_json(&shown(&keys[0], &entry))?,
        false => print(&entry.value)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// An entry as JSON.
fn shown(key: &str, entry: &KvEntry) -> Json {
    let mut shown = about(key, entry);
    match std::str::from_utf8(&entry.value) {
        Ok(text) => shown["value"] = text.into(),
        Err(_) => {
            shown["value"] = STANDARD.encode(&entry.value).into();
            shown["base64"] = true.into();
        }
    }
    shown
}

/// An entry without its value as JSON.
fn about(key: &str, entry: &KvEntry) -> Json {
    let mut about = json!({ "key": key });
    if let Some(metadata) = json_of(entry.metadata.as_deref()) {
        about["metadata"] = metadata;
    }
    if let Some(expiration) = entry.expiration {
        about["expiration"] = expiration.into();
    }
    about
}

pub(super) fn put(store: &dyn KvStore, key: String, entry: KvEntry, json: bool) -> Result<ExitCode> {
    check_key(&key)?;
    let mut stored = about(&key, &entry);
    stored["bytes"] = entry.value.len().into();
    futures::executor::block_on(store.put(key, entry))?;
    if json {
        print_json(&stored)?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn delete(store: &dyn KvStore, key: String, json: bool) -> Result<ExitCode> {
    check_key(&key)?;
    let removed = json!({ "key": key });
    futures::executor::block_on(store.delete(key))?;
    if json {
        print_json(&removed)?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn list(store: &dyn KvStore, prefix: &str, json: bool) -> Result<ExitCode> {
    if !json {
        each_key(store, prefix, |key| print(line(&key).as_bytes()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut keys = Vec::new();
    each_key(store, prefix, |key| {
        let mut shown = json!({ "name": key.name });
        if let Some(expiration) = key.expiration {
            shown["expiration"] = expiration.into();
        }
        if let Some(metadata) = json_of(key.metadata.as_deref()) {
            shown["metadata"] = metadata;
        }
        keys.push(shown);
        Ok(())
    })?;
    print_json(&keys.into())?;
    Ok(ExitCode::SUCCESS)
}

/// A key for output: control characters are escaped.
fn line(key: &KvKey) -> String {
    let mut line = String::new();
    for c in key.name.chars() {
        match c.is_control() {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    if let Some(expiration) = key.expiration {
        let _ = write!(line, "  expires {expiration}");
    }
    if let Some(metadata) = &key.metadata {
        let _ = write!(line, "  {metadata}");
    }
    line.push('\n');
    line
}
