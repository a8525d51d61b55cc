//! `env.KV`: a key-value namespace with the interface of Workers KV.
//!
//! [`KvBinding`] is the binding, over a [`KvStore`]: [`SqliteKv`], `PostgresKv` or a program's own. `rules` has the platform's limits, which the
//! ops check before a store is asked.

#[cfg(feature = "postgres")]
mod postgres;
mod remote;
mod rules;
#[cfg(feature = "sql")]
mod sqlite;
mod store;

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use deno_core::convert::Uint8Array;
use deno_core::{OpState, ResourceId, ToV8, op2, v8};
use serde_json::Value;

use super::operation::operate;
use super::{Binding, EnvValue, Installed, NewWorker, Parcel, ParcelFuture, WrittenBinding};
use crate::context::{begin_operation, is_open};
use crate::event::{EventEnded, EventKey};
use crate::fetch::{FetchError, body_of};
use crate::quotas::{QuotaError, Usage};
use crate::storage::{ReadRoom, StorageError};
use crate::unwind;

#[cfg(feature = "postgres")]
pub use self::postgres::PostgresKv;
pub(crate) use self::remote::RemoteKv;
pub use self::rules::{KvFault, check_entry, check_key, expiration};
#[cfg(feature = "sql")]
pub use self::sqlite::SqliteKv;
pub use self::store::{KvEntry, KvKey, KvListing, KvPage, KvStore};

/// Values up to this size are passed to the script with the answer. It reads larger ones as a body.
const INLINE_BYTES: usize = 64 << 10;

/// A KV namespace in `env`, over any [`KvStore`].
#[derive(Clone)]
pub struct KvBinding {
    store: Arc<dyn KvStore>,
}

impl KvBinding {
    /// Creates a binding over this store.
    pub fn new(store: impl KvStore) -> Self {
        Self { store: Arc::new(store) }
    }
}

impl fmt::Debug for KvBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KvBinding(…)")
    }
}

impl Binding for KvBinding {
    fn kind(&self) -> &'static str {
        "KV"
    }

    fn install(&self, name: &str, _worker: &NewWorker<'_>, state: &mut OpState) -> EnvValue<'_> {
        Installed::put(state, name, self.store.clone());
        EnvValue::made("ext:isopod_kv/kv.js", &Value::Null)
    }

    fn written(&self) -> Option<WrittenBinding> {
        Some(WrittenBinding::Kv)
    }

    fn serve(&self, _script: &str, request: Parcel, bytes_max: usize) -> ParcelFuture {
        remote::serve(self.store.clone(), request, bytes_max)
    }

    fn withheld(&self) -> Vec<PathBuf> {
        self.store.files()
    }
}

/// The name of an operation in errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Get,
    GetBulk,
    Put,
    Delete,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "GET",
            Self::GetBulk => "GET_BULK",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        })
    }
}

/// An error of a KV op.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
enum KvError {
    #[class(type)]
    #[error("this worker has no KV namespace named '{0}'")]
    NoBinding(String),
    #[class(type)]
    #[error("Key name cannot be empty.")]
    EmptyKey,
    #[class(type)]
    #[error("\"{0}\" is not allowed as a key name.")]
    IllegalKey(String),
    #[class(generic)]
    #[error("KV {0} failed: {status} {1}", status = .1.status())]
    Refused(Verb, KvFault),
    #[class(generic)]
    #[error("KV {0} failed: 429 Too Many Requests: {1}")]
    Overloaded(Verb, StorageError),
    #[class(generic)]
    #[error("KV {0} failed: 500 Internal Server Error: {1}")]
    Failed(Verb, StorageError),
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    #[class(inherit)]
    #[error(transparent)]
    EventEnded(#[from] EventEnded),
    #[class(inherit)]
    #[error(transparent)]
    Body(#[from] FetchError),
    #[class(inherit)]
    #[error(transparent)]
    Panicked(#[from] unwind::Panicked),
}

impl KvError {
    fn of(verb: Verb, error: StorageError) -> Self {
        match error {
            StorageError::Memory(quota) => quota.into(),
            StorageError::Overloaded(_) => Self::Overloaded(verb, error),
            error => Self::Failed(verb, error),
        }
    }

    /// Checks a key. workerd itself refuses some keys of operations on one key.
    fn check_key(verb: Verb, key: &str) -> Result<(), Self> {
        check_key(key).map_err(|fault| match (verb, fault) {
            (Verb::Get | Verb::Put | Verb::Delete, KvFault::EmptyKey) => Self::EmptyKey,
            (Verb::Get | Verb::Put | Verb::Delete, KvFault::IllegalKey(key)) => Self::IllegalKey(key),
            (verb, fault) => Self::Refused(verb, fault),
        })
    }
}

/// Runs an operation on the store of a binding for an event. It is canceled when the event ends.
async fn call<T>(
    state: &RefCell<OpState>,
    binding: String,
    verb: Verb,
    event: EventKey,
    run: impl AsyncFnOnce(Arc<dyn KvStore>) -> Result<T, StorageError>,
) -> Result<T, KvError> {
    let run = async |store| run(store).await.map_err(|error| KvError::of(verb, error));
    operate(state, binding, event, KvError::NoBinding, run).await
}

/// An entry for the script.
#[derive(ToV8)]
struct Found {
    /// The value, unless it is read as a body.
    value: Option<Uint8Array>,
    body: Option<ResourceId>,
    metadata: Option<String>,
}

/// Returns the entries of the keys, `null` for those that have none. `bulk`: the values are passed with the answer, whatever
/// their size.
#[op2]
async fn op_isopod_kv_get(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    #[scoped] keys: Vec<String>,
    bulk: bool,
    cache_ttl: f64,
    #[smi] event: EventKey,
) -> Result<Vec<Option<Found>>, KvError> {
    unwind::catch_async(async {
        let verb = if bulk { Verb::GetBulk } else { Verb::Get };
        keys.iter().try_for_each(|key| KvError::check_key(verb, key))?;
        if cache_ttl < rules::CACHE_TTL_SECONDS {
            #[expect(clippy::cast_possible_truncation, reason = "a 32-bit integer of the script's")]
            return Err(KvError::Refused(verb, KvFault::CacheTtl(cache_ttl as i64)));
        }
        let room = {
            let usage = Usage::of(&state.borrow());
            ReadRoom::of(usage.ledger().clone(), usage.quotas.native_bytes)
        };
        let entries = call(&state, binding, verb, event, async |store| store.get(keys, room).await).await?;
        let total: usize = entries.iter().flatten().map(|entry| entry.value.len()).sum();
        if bulk && total > rules::VALUE_BYTES {
            return Err(KvError::Refused(verb, KvFault::BulkSize));
        }
        let state = &mut state.borrow_mut();
        let found = |entry: Option<KvEntry>| entry.map(|entry| found(state, event, entry, bulk)).transpose();
        entries.into_iter().map(found).collect()
    })
    .await?
}

/// Returns the value of a key if the store has it at hand: as text, if that is asked for. `undefined`: `op_isopod_kv_get` has to be asked,
/// which also reports errors.
#[op2]
fn op_isopod_kv_get_now<'s>(
    state: &mut OpState,
    scope: &mut v8::PinScope<'s, '_>,
    #[string] binding: &str,
    #[string] key: &str,
    cache_ttl: f64,
    is_text: bool,
    #[smi] event: EventKey,
) -> Result<v8::Local<'s, v8::Value>, KvError> {
    let value = unwind::catch(|| get_now(state, binding, key, cache_ttl, event))?;
    Ok(match value {
        Some(Some(value)) if is_text => {
            let text = v8::String::new_from_utf8(scope, &value, v8::NewStringType::Normal);
            text.map_or_else(|| v8::undefined(scope).into(), Into::into)
        }
        Some(Some(value)) => {
            let value = Uint8Array(value.to_vec().into()).to_v8(scope);
            value.unwrap_or_else(|_| v8::undefined(scope).into())
        }
        Some(None) => v8::null(scope).into(),
        None => v8::undefined(scope).into(),
    })
}

fn get_now(state: &OpState, binding: &str, key: &str, cache_ttl: f64, event: EventKey) -> Option<Option<Bytes>> {
    if check_key(key).is_err() || cache_ttl < rules::CACHE_TTL_SECONDS || !is_open(state, event) {
        return None;
    }
    let usage = Usage::of(state);
    let room = ReadRoom::of(usage.ledger().clone(), usage.quotas.native_bytes);
    let entry = Installed::<Arc<dyn KvStore>>::get(state, binding)?.get_now(key, &room)?;
    begin_operation(state, event, &usage).ok()?;
    Some(entry.map(|entry| entry.value))
}

fn found(state: &mut OpState, event: EventKey, entry: KvEntry, inline: bool) -> Result<Found, KvError> {
    let (value, body) = match inline || entry.value.len() <= INLINE_BYTES {
        true => (Some(Uint8Array(entry.value.to_vec().into())), None),
        false => (None, Some(body_of(state, event, entry.value)?)),
    };
    Ok(Found {
        value,
        body,
        metadata: entry.metadata,
    })
}

/// Stores an entry. `ttl` and `expiration` are `NaN` if they are not given.
#[op2]
#[allow(clippy::too_many_arguments, reason = "the options of a put")]
async fn op_isopod_kv_put(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    #[string] key: String,
    value: Uint8Array,
    #[string] metadata: Option<String>,
    ttl: f64,
    expiration: f64,
    #[smi] event: EventKey,
) -> Result<(), KvError> {
    unwind::catch_async(async {
        let verb = Verb::Put;
        KvError::check_key(verb, &key)?;
        let refused = |fault| KvError::Refused(verb, fault);
        let value = Bytes::from(value.0);
        check_entry(&value, metadata.as_deref()).map_err(refused)?;
        #[expect(clippy::cast_possible_truncation, reason = "32-bit integers of the script's")]
        let given = |number: f64| (!number.is_nan()).then_some(number as i64);
        let expiration = rules::expiration(store::now(), given(ttl), given(expiration)).map_err(refused)?;
        let usage = Usage::of(&state.borrow());
        let value = usage.hold(value.len())?.attach(value);
        let entry = KvEntry::new(value).metadata(metadata).expiration(expiration);
        call(&state, binding, verb, event, async |store| store.put(key, entry).await).await
    })
    .await?
}

#[op2]
async fn op_isopod_kv_delete(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    #[string] key: String,
    #[smi] event: EventKey,
) -> Result<(), KvError> {
    unwind::catch_async(async {
        let verb = Verb::Delete;
        KvError::check_key(verb, &key)?;
        call(&state, binding, verb, event, async |store| store.delete(key).await).await
    })
    .await?
}

/// A page of keys for the script.
#[derive(ToV8)]
struct Page {
    keys: Vec<Key>,
    /// The cursor of the next page, if there is one.
    cursor: Option<String>,
}

#[derive(ToV8)]
struct Key {
    name: String,
    expiration: Option<f64>,
    metadata: Option<String>,
}

/// Lists keys. `limit` is 0 for the default.
#[op2]
async fn op_isopod_kv_list(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    #[string] prefix: String,
    #[smi] limit: i32,
    #[string] cursor: String,
    #[smi] event: EventKey,
) -> Result<Page, KvError> {
    unwind::catch_async(async {
        let verb = Verb::Get;
        let refused = |fault| KvError::Refused(verb, fault);
        if prefix.len() > rules::KEY_BYTES {
            return Err(refused(KvFault::KeyLength(prefix.len())));
        }
        let limit = match usize::try_from(limit) {
            Ok(0) | Err(_) => rules::LIST_LIMIT,
            Ok(limit) if limit > rules::LIST_LIMIT => return Err(refused(KvFault::ListLimit(limit as i64))),
            Ok(limit) => limit,
        };
        let after = after(&cursor).map_err(refused)?;
        let listing = KvListing::default().prefix(prefix).after(after).limit(limit);
        let page = call(&state, binding, verb, event, async |store| store.list(listing).await).await?;
        Ok(shown(page))
    })
    .await?
}

/// The key after which a cursor leads on.
fn after(cursor: &str) -> Result<Option<String>, KvFault> {
    if cursor.is_empty() {
        return Ok(None);
    }
    let key = URL_SAFE_NO_PAD.decode(cursor).ok();
    let key = key.and_then(|key| String::from_utf8(key).ok());
    key.map(Some).ok_or(KvFault::Cursor)
}

fn shown(page: KvPage) -> Page {
    let last = page.keys.last().filter(|_| !page.is_complete);
    let cursor = last.map(|key| URL_SAFE_NO_PAD.encode(&key.name));
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    let key = |key: KvKey| Key {
        name: key.name,
        expiration: key.expiration.map(|seconds| seconds as f64),
        metadata: key.metadata,
    };
    Page {
        keys: page.keys.into_iter().map(key).collect(),
        cursor,
    }
}

/// A module of its own, because the macro creates a public type.
pub(crate) mod extension {
    use super::{op_isopod_kv_delete, op_isopod_kv_get, op_isopod_kv_get_now, op_isopod_kv_list, op_isopod_kv_put};

    deno_core::extension!(
        isopod_kv,
        deps = [isopod_context, isopod_fetch],
        ops = [
            op_isopod_kv_delete,
            op_isopod_kv_get,
            op_isopod_kv_get_now,
            op_isopod_kv_list,
            op_isopod_kv_put
        ],
        lazy_loaded_js = [dir "src/bindings/kv", "kv.js"],
    );
}
