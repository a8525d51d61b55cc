//! The ops of an object in its worker. Storage ops are synchronous: they run on the worker's thread, and their time counts
//! for the event.

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::convert::Uint8Array;
use deno_core::{OpState, ResourceId, ToV8, op2};

use super::ObjectError;
use super::arrival::arrived;
use super::events::StoredObject;
use super::store::{ObjectStore, OpenStores};
use crate::bindings::Crossed;
use crate::context::cpu_of;
use crate::event::{EventKey, Stage};
use crate::quotas::{QuotaError, Usage};
use crate::sql::{Param, Payer, ResultSet, StatementStack};
use crate::storage::files::FileThreads;
use crate::unwind;
use crate::values::events;

/// Number of threads of a worker that sync files.
const SYNC_THREADS: usize = 4;
/// Maximum size of the result of one `list()`.
const LIST_BYTES_MAX: usize = 64 << 20;

/// Opens the storage of the object that begins with this event.
#[op2(fast)]
#[smi]
pub(super) fn op_isopod_object_open(state: &mut OpState, #[smi] key: EventKey) -> Result<ResourceId, ObjectError> {
    unwind::catch(|| {
        let attached = events(state).borrow_mut().take_attachment(key);
        let attached = attached.ok_or(ObjectError::NoStorage)?;
        let stored = match attached.downcast::<StoredObject>() {
            Ok(stored) => *stored,
            Err(attached) => match attached.downcast::<Crossed>() {
                Ok(crossed) => arrived(*crossed)?,
                Err(_) => return Err(ObjectError::NoStorage),
            },
        };
        let usage = Usage::of(state);
        usage.room_for_handle(state)?;
        if !state.has::<Rc<FileThreads>>() {
            state.put(Rc::new(FileThreads::new("isopod-object", SYNC_THREADS)));
            state.put(Rc::new(StatementStack::default()));
            state.put(OpenStores::default());
        }
        let threads = state.borrow::<Rc<FileThreads>>().clone();
        let store = ObjectStore::open(stored, threads, usage, state.borrow::<OpenStores>().clone())?;
        Ok(state.resource_table.add(store))
    })?
}

/// Records that the event of an object lasts as long as its session.
#[op2(fast)]
pub(super) fn op_isopod_object_stands(state: &mut OpState, #[smi] key: EventKey) {
    events(state).borrow_mut().goes_on(key, Stage::Session);
}

/// Records that an object's code is about to run for another event, which resets its quotas and CPU time. `alone` says that
/// it runs for no other event.
#[op2(fast)]
pub(super) fn op_isopod_object_enter(
    state: &mut OpState,
    #[smi] object: EventKey,
    #[smi] event: EventKey,
    alone: bool,
) {
    events(state).borrow_mut().enter_object(object, event, alone);
}

/// Closes the storage.
#[op2(fast)]
pub(super) fn op_isopod_object_close(state: &mut OpState, #[smi] rid: ResourceId, keeps: bool) {
    let _ = unwind::catch(|| {
        if let Ok(store) = state.resource_table.take::<ObjectStore>(rid) {
            store.close(keeps);
        }
    });
}

/// Closes the file and keeps its lock, for hibernation.
#[op2(fast)]
pub(super) fn op_isopod_object_rest(state: &mut OpState, #[smi] rid: ResourceId) -> Result<(), ObjectError> {
    with(state, rid, |store| {
        store.rest();
        Ok(())
    })
}

#[op2(fast)]
pub(super) fn op_isopod_object_is_dirty(state: &mut OpState, #[smi] rid: ResourceId) -> bool {
    store(state, rid).is_ok_and(|store| store.is_dirty())
}

/// Resolves once all writes are on disk.
#[op2]
pub(super) async fn op_isopod_object_durable(
    state: Rc<RefCell<OpState>>,
    #[smi] rid: ResourceId,
) -> Result<(), ObjectError> {
    unwind::catch_async(async {
        let store = store(&state.borrow(), rid)?;
        store.durable().await
    })
    .await?
}

#[op2]
pub(super) fn op_isopod_object_get(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[string] key: &str,
) -> Result<Option<Uint8Array>, ObjectError> {
    use rusqlite::OptionalExtension;
    with(state, rid, |store| {
        let value = store.read(|db| {
            let mut statement = db.prepare_cached("SELECT value FROM _cf_KV WHERE key = ?1")?;
            statement.query_row([key], |row| row.get::<_, Vec<u8>>(0)).optional()
        })?;
        Ok(value.flatten().map(|value| Uint8Array(value.into())))
    })
}

#[op2(fast)]
pub(super) fn op_isopod_object_put(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[string] key: &str,
    #[buffer] value: &[u8],
) -> Result<(), ObjectError> {
    with(state, rid, |store| {
        store.write(|db| {
            let mut statement = db.prepare_cached("INSERT OR REPLACE INTO _cf_KV VALUES (?1, ?2)")?;
            statement.execute(rusqlite::params![key, value]).map(drop)
        })
    })
}

/// Deletes an entry. Returns whether there was one.
#[op2(fast)]
pub(super) fn op_isopod_object_delete(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[string] key: &str,
) -> Result<bool, ObjectError> {
    with(state, rid, |store| {
        let exists = store.read(|db| db.prepare_cached("SELECT 1 FROM _cf_KV WHERE key = ?1")?.exists([key]))?;
        if exists != Some(true) {
            return Ok(false);
        }
        store.write(|db| db.prepare_cached("DELETE FROM _cf_KV WHERE key = ?1")?.execute([key]))?;
        Ok(true)
    })
}

/// An entry for the script.
#[derive(ToV8)]
struct Entry {
    key: String,
    value: Uint8Array,
}

/// Lists entries with keys of at least `start`, greater than `after`, less than `end`, and with this `prefix`.
#[op2]
#[allow(clippy::too_many_arguments, reason = "the options of a list")]
pub(super) fn op_isopod_object_list(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[string] start: Option<String>,
    #[string] after: Option<String>,
    #[string] end: Option<String>,
    #[string] prefix: Option<String>,
    reverse: bool,
    limit: f64,
) -> Result<Vec<Entry>, ObjectError> {
    let room = {
        let usage = Usage::of(state);
        usage.quotas.native_bytes.saturating_sub(usage.ledger().held())
    };
    with(state, rid, |store| {
        let order = if reverse { "DESC" } else { "ASC" };
        // A prefix is a range up to the first key without it.
        let sql = format!(
            "SELECT key, value FROM _cf_KV WHERE (?1 IS NULL OR key >= ?1) AND (?2 IS NULL OR key > ?2) AND (?3 IS NULL OR \
             key < ?3) AND (?4 IS NULL OR substr(key, 1, length(?4)) = ?4) AND key >= coalesce(?4, '') ORDER BY key {order}"
        );
        let bytes_max = room.min(LIST_BYTES_MAX);
        let found = store.read(|db| {
            let mut statement = db.prepare_cached(&sql)?;
            let mut rows = statement.query(rusqlite::params![start, after, end, prefix])?;
            let (mut entries, mut bytes) = (Vec::new(), 0);
            #[expect(clippy::cast_precision_loss, reason = "compared with what a script gives")]
            while (entries.len() as f64) < limit
                && let Some(row) = rows.next()?
            {
                let (key, value) = (row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?);
                bytes += key.len() + value.len();
                if bytes > bytes_max {
                    return Ok(Err(QuotaError::NativeBytes(bytes_max)));
                }
                entries.push(Entry {
                    key,
                    value: Uint8Array(value.into()),
                });
            }
            Ok(Ok(entries))
        })?;
        Ok(found.transpose()?.unwrap_or_default())
    })
}

/// Deletes everything except the alarm.
#[op2(fast)]
pub(super) fn op_isopod_object_clear(state: &mut OpState, #[smi] rid: ResourceId) -> Result<(), ObjectError> {
    with(state, rid, |store| {
        let tables = store.read(|db| {
            const ALL: &str = "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE \
                 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'";
            let mut statement = db.prepare(ALL)?;
            let named = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
            named.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let Some(tables) = tables else { return Ok(()) };
        store.write(|db| {
            db.execute_batch("PRAGMA defer_foreign_keys = 1; DELETE FROM _cf_KV")?;
            for (kind, name) in tables {
                // Tables of a virtual table are dropped with it.
                db.execute_batch(&format!("DROP {kind} IF EXISTS \"{}\"", name.replace('"', "\"\"")))?;
            }
            Ok(())
        })
    })
}

/// Begins a transaction.
#[op2(fast)]
pub(super) fn op_isopod_object_begin(state: &mut OpState, #[smi] rid: ResourceId) -> Result<(), ObjectError> {
    with(state, rid, |store| store.begin())
}

/// Ends the innermost transaction.
#[op2(fast)]
pub(super) fn op_isopod_object_finish(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    keeps: bool,
) -> Result<(), ObjectError> {
    with(state, rid, |store| store.finish(keeps))
}

/// Returns the time of the alarm; `NaN` without one.
#[op2(fast)]
pub(super) fn op_isopod_object_alarm(state: &mut OpState, #[smi] rid: ResourceId) -> Result<f64, ObjectError> {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds")]
    with(state, rid, |store| Ok(store.alarm()?.map_or(f64::NAN, |at| at as f64)))
}

/// Sets the alarm; `NaN` removes it.
#[op2(fast)]
pub(super) fn op_isopod_object_set_alarm(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    at_ms: f64,
) -> Result<(), ObjectError> {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds")]
    let at = (!at_ms.is_nan()).then_some(at_ms as i64);
    with(state, rid, |store| store.set_alarm(at))
}

/// Runs statements, and returns the result of the last.
#[op2]
#[serde]
pub(super) fn op_isopod_object_sql(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[string] sql: &str,
    #[scoped] params: Vec<Param>,
    #[smi] event: EventKey,
) -> Result<ResultSet, ObjectError> {
    let payer = Payer {
        memory: Usage::of(state).ledger().clone(),
        cpu: cpu_of(state, event),
    };
    let stack = state.borrow::<Rc<StatementStack>>().clone();
    with(state, rid, |store| {
        let checked = store.query(|db| db.check(sql, params))?;
        match checked.writes() {
            true => store.change(|db| db.run(checked, payer, &stack)),
            false => store.query(|db| db.run(checked, payer, &stack)),
        }
    })
}

/// Returns the size of the storage, in bytes.
#[op2(fast)]
pub(super) fn op_isopod_object_size(state: &mut OpState, #[smi] rid: ResourceId) -> Result<f64, ObjectError> {
    #[expect(clippy::cast_precision_loss, reason = "bytes of a file")]
    with(state, rid, |store| Ok(store.query(|db| db.size())? as f64))
}

fn store(state: &OpState, rid: ResourceId) -> Result<Rc<ObjectStore>, ObjectError> {
    state
        .resource_table
        .get::<ObjectStore>(rid)
        .map_err(|_| ObjectError::Ended)
}

fn with<T>(
    state: &OpState,
    rid: ResourceId,
    body: impl FnOnce(&Rc<ObjectStore>) -> Result<T, ObjectError>,
) -> Result<T, ObjectError> {
    unwind::catch(|| body(&store(state, rid)?))?
}
