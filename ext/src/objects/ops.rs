//! The ops of an object in its worker. Storage ops are synchronous: they run on the worker's thread, or are waited for there, and
//! their time counts for the event.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use deno_core::convert::Uint8Array;
use deno_core::{OpState, ResourceId, ToV8, op2};

use super::ObjectError;
use super::arrival::{Arrived, RemoteAlarms, arrived};
use super::backing::{Backing, Here};
use super::database::{LIST_BYTES_MAX, ObjectDatabase, Range, SYNC_THREADS};
use super::elsewhere::Elsewhere;
use super::store::{Beside, ObjectStore, OpenStores};
use super::stored::{OnEnd, StoredObject};
use crate::bindings::Crossed;
use crate::context::cpu_of;
use crate::event::{EventKey, Stage};
use crate::quotas::Usage;
use crate::sql::{Param, Payer, ResultSet, StatementStack};
use crate::storage::files::FileThreads;
use crate::unwind;
use crate::values::events;

/// Opens the storage of the object that begins with this event.
#[op2(fast)]
#[smi]
pub(super) fn op_isopod_object_open(state: &mut OpState, #[smi] key: EventKey) -> Result<ResourceId, ObjectError> {
    unwind::catch(|| {
        let attached = events(state).borrow_mut().take_attachment(key);
        let attached = attached.ok_or(ObjectError::NoStorage)?;
        let arrived = match attached.downcast::<StoredObject>() {
            Ok(stored) => Arrived::Here(*stored),
            Err(attached) => match attached.downcast::<Crossed>() {
                Ok(crossed) => arrived(*crossed)?,
                Err(_) => return Err(ObjectError::NoStorage),
            },
        };
        let usage = Usage::of(state);
        usage.room_for_handle(state)?;
        if !state.has::<OpenStores>() {
            state.put(OpenStores::default());
        }
        let (database, is_empty, beside) = match arrived {
            Arrived::Here(stored) => here(state, stored)?,
            Arrived::Elsewhere { id, lent } => {
                let (database, is_empty) = Elsewhere::lock(Arc::clone(&lent), cpu_of(state, key))?;
                let beside = Beside {
                    id,
                    alarms: Arc::new(RemoteAlarms(Arc::clone(&lent))),
                    on_end: OnEnd::new(move || drop(lent)),
                };
                (Backing::Elsewhere(database), is_empty, beside)
            }
        };
        let open = state.borrow::<OpenStores>().clone();
        let store = ObjectStore::new(database, is_empty, beside, usage, open);
        Ok(state.resource_table.add(store))
    })?
}

/// Locks a file that is opened by this worker. Returns whether it was never written, too.
fn here(state: &mut OpState, stored: StoredObject) -> Result<(Backing, bool, Beside), ObjectError> {
    let StoredObject {
        folder,
        id,
        bytes_max,
        alarms,
        on_end,
    } = stored;
    if !state.has::<Rc<FileThreads>>() {
        state.put(Rc::new(FileThreads::new("isopod-object", SYNC_THREADS)));
        state.put(Rc::new(StatementStack::default()));
    }
    let database = ObjectDatabase::lock(&folder, id.clone(), bytes_max)?;
    let is_empty = database.is_empty();
    let here = Here {
        database,
        threads: state.borrow::<Rc<FileThreads>>().clone(),
        stack: state.borrow::<Rc<StatementStack>>().clone(),
    };
    Ok((Backing::Here(Box::new(here)), is_empty, Beside { id, alarms, on_end }))
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
    let values = with(state, rid, |store| store.find(Vec::new(), |db| db.get(vec![key])))?;
    Ok(values.into_iter().next().flatten().map(Uint8Array::from))
}

/// Returns the values of the first of these keys: of all of them, unless they are large, and of at least one.
#[op2]
pub(super) fn op_isopod_object_get_all(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[scoped] keys: Vec<String>,
) -> Result<Vec<Option<Uint8Array>>, ObjectError> {
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let nothing = vec![None; keys.len()];
    let values = with(state, rid, |store| store.find(nothing, |db| db.get(keys)))?;
    Ok(values.into_iter().map(|value| value.map(Uint8Array::from)).collect())
}

#[op2(fast)]
pub(super) fn op_isopod_object_put(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[string] key: &str,
    #[buffer] value: &[u8],
) -> Result<(), ObjectError> {
    with(state, rid, |store| {
        store.run(|db| db.put(std::iter::once((key, value))))
    })
}

#[op2]
pub(super) fn op_isopod_object_put_all(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[scoped] keys: Vec<String>,
    #[scoped] values: Vec<Uint8Array>,
) -> Result<(), ObjectError> {
    let entries = keys.iter().map(String::as_str).zip(values.iter().map(|value| &**value));
    with(state, rid, |store| store.run(|db| db.put(entries)))
}

/// Deletes an entry. Returns whether there was one.
#[op2(fast)]
pub(super) fn op_isopod_object_delete(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[string] key: &str,
) -> Result<bool, ObjectError> {
    let deleted = with(state, rid, |store| store.find(0, |db| db.delete(vec![key])))?;
    Ok(deleted > 0)
}

/// Deletes entries. Returns the number of those that there were.
#[op2]
#[smi]
pub(super) fn op_isopod_object_delete_all(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[scoped] keys: Vec<String>,
) -> Result<u32, ObjectError> {
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let deleted = with(state, rid, |store| store.find(0, |db| db.delete(keys)))?;
    Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
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
    let range = Range {
        start,
        after,
        end,
        prefix,
        reverse,
        limit,
        bytes_max: room.min(LIST_BYTES_MAX),
    };
    let found = with(state, rid, |store| store.find(Vec::new(), |db| db.list(range)))?;
    let entry = |(key, value): (String, Vec<u8>)| Entry {
        key,
        value: Uint8Array(value.into()),
    };
    Ok(found.into_iter().map(entry).collect())
}

/// Deletes everything except the alarm.
#[op2(fast)]
pub(super) fn op_isopod_object_clear(state: &mut OpState, #[smi] rid: ResourceId) -> Result<(), ObjectError> {
    with(state, rid, ObjectStore::clear)
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

/// Runs statements, and returns the result of the last, of which a cursor may be left.
#[op2]
#[serde]
pub(super) fn op_isopod_object_sql(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[string] sql: &str,
    #[scoped] params: Vec<Param>,
    #[smi] event: EventKey,
) -> Result<ResultSet, ObjectError> {
    let payer = payer(state, event);
    with(state, rid, |store| store.sql(sql, params, payer))
}

/// Reads the next rows of a cursor: a few, or as many as fit, if the reader takes all.
#[op2]
#[serde]
pub(super) fn op_isopod_object_rows(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[smi] cursor: u32,
    takes_all: bool,
    #[smi] event: EventKey,
) -> Result<ResultSet, ObjectError> {
    let payer = payer(state, event);
    with(state, rid, |store| store.rows(cursor, takes_all, payer))
}

/// Closes a cursor, of an object that may have ended.
#[op2(fast)]
pub(super) fn op_isopod_object_close_cursor(state: &mut OpState, #[smi] rid: ResourceId, #[smi] cursor: u32) {
    let _ = with(state, rid, |store| {
        store.close_cursor(cursor);
        Ok(())
    });
}

fn payer(state: &mut OpState, event: EventKey) -> Payer {
    Payer {
        memory: Usage::of(state).ledger().clone(),
        cpu: cpu_of(state, event),
    }
}

/// Returns the size of the storage, in bytes.
#[op2(fast)]
pub(super) fn op_isopod_object_size(state: &mut OpState, #[smi] rid: ResourceId) -> Result<f64, ObjectError> {
    #[expect(clippy::cast_precision_loss, reason = "bytes of a file")]
    with(state, rid, |store| Ok(store.run(Backing::size)? as f64))
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
