//! `isopod kv`: reads and writes the KV namespaces of a configuration, also while a server runs on them.

mod bulk;
mod key;
mod target;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::{Args, Subcommand};
use isopod::bindings::kv::{KvEntry, KvKey, KvListing, KvStore, check_entry, check_key, expiration};
use isopod::storage::ReadRoom;

use self::target::Target;

/// Arguments of `isopod kv`.
#[derive(Args)]
pub(crate) struct KvArguments {
    #[command(subcommand)]
    group: Group,
}

#[derive(Subcommand)]
enum Group {
    /// Read and write single keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Read and write many keys, from a JSON file
    #[command(subcommand)]
    Bulk(BulkCommand),
}

#[derive(Subcommand)]
enum KeyCommand {
    /// Print the value of a key
    Get {
        key: String,
        /// Print an object with the value, its metadata and its expiration as JSON; a value that is not UTF-8 in Base64
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Store a value
    Put {
        key: String,
        /// The value; without it, standard input
        #[arg(conflicts_with = "file")]
        value: Option<String>,
        /// Read the value from a file
        #[arg(long = "path", value_name = "FILE")]
        file: Option<PathBuf>,
        /// Seconds until the entry expires, at least 60
        #[arg(long, value_name = "SECONDS", conflicts_with = "expiration")]
        ttl: Option<i64>,
        /// Time at which the entry expires, in seconds since 1970
        #[arg(long, value_name = "SECONDS")]
        expiration: Option<i64>,
        /// JSON to keep with the value, at most 1,024 bytes
        #[arg(long, value_name = "JSON")]
        metadata: Option<String>,
        /// Print an object with the key, the bytes of its value, its metadata and its expiration as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
    /// List keys in the order of their bytes
    List {
        /// Beginning of the keys
        #[arg(long, default_value = "")]
        prefix: String,
        /// Print a JSON array, with expirations and metadata
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Remove a key
    Delete {
        key: String,
        /// Print an object with the key as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Subcommand)]
enum BulkCommand {
    /// Print the values of the keys in a file: a JSON array of keys, or of objects with a "name"
    Get {
        file: PathBuf,
        #[command(flatten)]
        target: Target,
    },
    /// Store the entries in a file: a JSON array of objects with "key", "value" and optionally "expiration",
    /// "expiration_ttl", "metadata" and "base64"
    Put {
        file: PathBuf,
        /// Print an object with the number of entries as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Remove the keys in a file: a JSON array of keys, or of objects with a "name"
    Delete {
        file: PathBuf,
        /// Print an object with the number of keys as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
}

/// Runs `isopod kv`.
pub(crate) fn kv(arguments: KvArguments, environment: &BTreeMap<String, String>) -> Result<ExitCode> {
    match arguments.group {
        Group::Key(KeyCommand::Get { key, json, target }) => key::get(&*target.open(environment)?, key, json),
        Group::Key(KeyCommand::Put {
            key,
            value,
            file,
            ttl,
            expiration,
            metadata,
            json,
            target,
        }) => {
            let value = key::value(value, file)?;
            let entry = entry(value, ttl, expiration, metadata)?;
            key::put(&*target.open(environment)?, key, entry, json)
        }
        Group::Key(KeyCommand::List { prefix, json, target }) => key::list(&*target.open(environment)?, &prefix, json),
        Group::Key(KeyCommand::Delete { key, json, target }) => key::delete(&*target.open(environment)?, key, json),
        Group::Bulk(BulkCommand::Get { file, target }) => bulk::get(&*target.open(environment)?, &file),
        Group::Bulk(BulkCommand::Put { file, json, target }) => bulk::put(&*target.open(environment)?, &file, json),
        Group::Bulk(BulkCommand::Delete { file, json, target }) => {
            bulk::delete(&*target.open(environment)?, &file, json)
        }
    }
}

/// Creates an entry, if it follows the rules of KV.
fn entry(value: Vec<u8>, ttl: Option<i64>, at: Option<i64>, metadata: Option<String>) -> Result<KvEntry> {
    check_entry(&value, metadata.as_deref())?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let expiration = expiration(now, ttl, at)?;
    Ok(KvEntry::new(value).metadata(metadata).expiration(expiration))
}

/// Returns the entries of keys, in their order.
fn entries(store: &dyn KvStore, keys: &[String]) -> Result<Vec<Option<KvEntry>>> {
    keys.iter().try_for_each(|key| check_key(key))?;
    // The process runs only this command.
    let room = ReadRoom::new(usize::MAX);
    Ok(futures::executor::block_on(store.get(keys.to_vec(), room))?)
}

/// Calls `each` with every key, page by page.
fn each_key(store: &dyn KvStore, prefix: &str, mut each: impl FnMut(KvKey) -> Result<()>) -> Result<()> {
    let mut after = None;
    loop {
        let listing = KvListing::default().prefix(prefix).after(after.take());
        let page = futures::executor::block_on(store.list(listing))?;
        after = page.keys.last().map(|key| key.name.clone());
        page.keys.into_iter().try_for_each(&mut each)?;
        if page.is_complete {
            return Ok(());
        }
    }
}

/// The metadata of an entry as a JSON value.
fn json_of(metadata: Option<&str>) -> Option<serde_json::Value> {
    metadata.and_then(|metadata| serde_json::from_str(metadata).ok())
}
