//! The storage of the objects that live in sandboxes, in the pool's process.
//!
//! A sandbox can ask for its own objects alone: each has a [`Hosted`] that is lent to the process that the object was started in, for
//! as long as the object lives there. Nothing that a sandbox says is believed: what it asks is checked as that of a script would be.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_bytes::ByteBuf;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ObjectError;
use super::asked::{Asked, Told, add_entry};
use super::database::{LIST_BYTES_MAX, MEMORY_BYTES, ObjectDatabase, Ran, Range, SYNC_THREADS, VALUES_BYTES};
use super::id::ObjectId;
use super::stored::OnEnd;
use crate::bindings::{Parcel, ParcelFuture, SandboxLimits, pack, unpack};
use crate::event::{CpuAccount, CpuExceeded, CpuMeter, EventKey, thread_cpu};
use crate::sql::{Payer, SqlConfig, SqlError, StatementStack, WrittenResult};
use crate::storage::files::FileThreads;

/// The platform's limits, which the script's side of the sandbox checks first:
/// <https://developers.cloudflare.com/durable-objects/platform/limits/>
const KEY_BYTES_MAX: usize = 2048;
const VALUE_BYTES_MAX: usize = 2 << 20;
/// Maximum bytes of the entries of a list: with what is written between them, they fit into a message.
const LISTED_BYTES_MAX: usize = 40 << 20;
const _: () = assert!(LISTED_BYTES_MAX <= LIST_BYTES_MAX);

/// The threads and the limits of the objects of one sandbox.
pub(super) struct SandboxStorage {
    /// One thread, as the worker has: a statement delays the other objects of its sandbox alone.
    databases: FileThreads,
    syncs: FileThreads,
    stack: Mutex<StatementStack>,
    /// Files that may be open, as the memory of the worker permits.
    files: Arc<Semaphore>,
    cpu_max: Duration,
}

impl SandboxStorage {
    pub(super) fn new(limits: SandboxLimits) -> Self {
        Self {
            databases: FileThreads::new("isopod-object", 1),
            syncs: FileThreads::new("isopod-object", SYNC_THREADS),
            stack: Mutex::default(),
            files: Arc::new(Semaphore::new((limits.native_bytes / MEMORY_BYTES).max(1))),
            cpu_max: limits.cpu,
        }
    }
}

/// The storage of one object of a sandbox.
pub(super) struct Hosted {
    /// Closed before others may have it.
    state: Mutex<State>,
    on_end: Mutex<OnEnd>,
    folder: PathBuf,
    id: ObjectId,
    bytes_max: u64,
    storage: Arc<SandboxStorage>,
}

#[derive(Default)]
struct State {
    /// Present from the object's start on.
    database: Option<ObjectDatabase>,
    file: Option<OwnedSemaphorePermit>,
}

impl Hosted {
    pub(super) fn new(
        folder: PathBuf,
        id: ObjectId,
        bytes_max: u64,
        on_end: OnEnd,
        storage: Arc<SandboxStorage>,
    ) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            on_end: Mutex::new(on_end),
            folder,
            id,
            bytes_max,
            storage,
        })
    }

    /// Takes the storage back, unless something runs on it: its folder, the limit of its size, and the function for its end.
    pub(super) fn take_back(self: Arc<Self>) -> Result<(PathBuf, u64, OnEnd), Arc<Self>> {
        let Self {
            state,
            on_end,
            folder,
            bytes_max,
            ..
        } = Arc::try_unwrap(self)?;
        // Closed first.
        drop(state);
        let on_end = on_end.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((folder, bytes_max, on_end))
    }

    /// Gives the object up: its file is closed, off this thread, once nothing runs on it.
    pub(super) fn leave(self: Arc<Self>) {
        let storage = Arc::clone(&self.storage);
        // Without a thread, it is closed here.
        drop(storage.databases.run(move || drop(self)));
    }

    /// Answers a request, which may be any bytes. Dropping the future interrupts it.
    pub(super) fn serve(self: Arc<Self>, parcel: Parcel) -> ParcelFuture {
        let (is_sync, answer_bytes) = match unpack::<Asked<'_>>(&parcel.bytes) {
            Ok(asked) => (matches!(asked, Asked::Sync), answer_bytes(&asked)),
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        Box::pin(async move {
            let Parcel {
                bytes, held, transit, ..
            } = parcel;
            if is_sync {
                return Ok(Parcel::new(told(self.sync().await, Duration::ZERO)?));
            }
            let mut room = transit.awaited(answer_bytes).await;
            let running = Arc::new(Running::new(self.storage.cpu_max));
            let _leaves = Leaves(Arc::clone(&running));
            let storage = Arc::clone(&self.storage);
            let answer = storage.databases.run(move || {
                let answer = self.answer(&bytes, &running);
                // The question is not dropped before.
                drop((bytes, held));
                answer
            });
            let bytes = answer.await.map_err(|error| error.to_string())??;
            room.shrink(bytes.len());
            Ok(Parcel {
                bytes,
                held: room,
                ..Parcel::default()
            })
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn sync(self: Arc<Self>) -> Ran<()> {
        let storage = Arc::clone(&self.storage);
        let synced = async {
            let log = storage.databases.run(move || self.log()).await??;
            let synced = storage.syncs.run(move || log.sync_data()).await?;
            synced.map_err(|error| ObjectError::Failed(error.to_string()))
        };
        Ran::found(synced.await)
    }

    fn log(&self) -> Result<Arc<File>, ObjectError> {
        self.state().database()?.log()
    }

    /// Answers a request on the thread of the databases.
    fn answer(&self, asked: &[u8], running: &Arc<Running>) -> Result<Bytes, String> {
        if running.is_ending() {
            return Err("it is not waited for".to_owned());
        }
        let begun = thread_cpu();
        let used = || thread_cpu().saturating_sub(begun);
        let mut state = self.state();
        let database = match unpack::<Asked<'_>>(asked)? {
            Asked::Lock => return told(self.lock(&mut state), used()),
            Asked::Open => return told(self.open(&mut state), used()),
            Asked::Rest => {
                state.rest();
                return told(Ran::found(Ok(())), used());
            }
            Asked::Close { keeps } => {
                if let Some(database) = &mut state.database {
                    database.close(keeps);
                }
                state.file = None;
                return told(Ran::found(Ok(())), used());
            }
            other => state.database().map(|database| (database, other)),
        };
        let (database, asked) = match database {
            Ok(found) => found,
            Err(error) => return told::<()>(Ran::found(Err(error)), used()),
        };
        match asked {
            Asked::Get(keys) => {
                let values = database.get(&keys);
                let written = |values: Vec<Option<Vec<u8>>>| values.into_iter().map(|value| value.map(ByteBuf::from));
                told(values.map(|values| written(values).collect::<Vec<_>>()), used())
            }
            Asked::Put(entries) => {
                let entries = entries.into_iter().map(|(key, value)| (key, &**value));
                let is_large = |(key, value): (&str, &[u8])| key.len() > KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX;
                let put = match entries.clone().any(is_large) {
                    true => Ran::found(Err(ObjectError::Internal("an entry is too large".to_owned()))),
                    false => database.put(entries),
                };
                told(put, used())
            }
            Asked::Delete(keys) => told(database.delete(&keys), used()),
            Asked::List(range) => told(list(database, range), used()),
            Asked::Clear => told(database.clear(), used()),
            Asked::Alarm => told(database.alarm(), used()),
            Asked::SetAlarm(at_ms) => told(database.set_alarm(at_ms), used()),
            Asked::Sql { text, params } => {
                let payer = Payer {
                    cpu: CpuMeter::new(Some(Arc::clone(running) as Arc<dyn CpuAccount>), 0),
                    ..Payer::default()
                };
                let stack = self.storage.stack.lock().unwrap_or_else(PoisonError::into_inner);
                let mut results = database.sql(text, params, payer, &stack);
                if let Err(ObjectError::Sql(SqlError::Cpu(_))) = results.result {
                    results.result = Err(ObjectError::Internal(CpuExceeded.to_string()));
                }
                told(results.map(WrittenResult::new), used())
            }
            Asked::Size => told(database.size(), used()),
            Asked::Begin => told(database.begin(), used()),
            Asked::Finish { keeps } => told(database.finish(keeps), used()),
            Asked::Commit => told(Ran::found(database.commit()), used()),
            Asked::Alarms(_) | Asked::Lock | Asked::Open | Asked::Rest | Asked::Close { .. } | Asked::Sync => {
                Err("it is answered elsewhere".to_owned())
            }
        }
    }

    /// Locks the file. Returns whether it was never written.
    fn lock(&self, state: &mut State) -> Ran<bool> {
        if state.database.is_some() {
            return Ran::found(Err(ObjectError::Internal("it is locked already".to_owned())));
        }
        let locked = ObjectDatabase::lock(&self.folder, self.id.clone(), self.bytes_max);
        Ran::found(locked.map(|database| state.database.insert(database).is_empty()))
    }

    fn open(&self, state: &mut State) -> Ran<()> {
        if state.file.is_some() {
            return Ran::found(Ok(()));
        }
        let Ok(permit) = Arc::clone(&self.storage.files).try_acquire_owned() else {
            return Ran::found(Err(ObjectError::Internal(
                "too many files of objects are open".to_owned(),
            )));
        };
        let opened = state.database().and_then(ObjectDatabase::open);
        if opened.is_ok() {
            state.file = Some(permit);
        }
        Ran::found(opened)
    }
}

impl State {
    fn database(&mut self) -> Result<&mut ObjectDatabase, ObjectError> {
        self.database.as_mut().ok_or(ObjectError::NoStorage)
    }

    fn rest(&mut self) {
        if let Some(database) = &mut self.database {
            database.rest();
        }
        self.file = None;
    }
}

/// The entries of a range, as they are written.
fn list(database: &mut ObjectDatabase, mut range: Range) -> Ran<ByteBuf> {
    let is_shortened = range.bytes_max > LISTED_BYTES_MAX;
    range.bytes_max = range.bytes_max.min(LISTED_BYTES_MAX);
    let mut list = Vec::new();
    let mut written = Ok(());
    let listed = database.list(&range, |key, value| {
        if written.is_ok() {
            written = add_entry(&mut list, key, value);
        }
    });
    match (written, &listed.result) {
        (Ok(()), Err(ObjectError::Quota(_))) if is_shortened => Ran::found(Err(ObjectError::Internal(format!(
            "the entries of a list have more than {LISTED_BYTES_MAX} bytes, the limit in a sandbox: use `limit` and `startAfter`"
        )))),
        (Ok(()), _) => listed.map(|()| ByteBuf::from(list)),
        (Err(error), _) => Ran::found(Err(ObjectError::Internal(error))),
    }
}

/// The room for an answer.
fn answer_bytes(asked: &Asked<'_>) -> usize {
    match asked {
        Asked::Get(keys) => keys
            .len()
            .saturating_mul(VALUE_BYTES_MAX)
            .min(VALUES_BYTES + VALUE_BYTES_MAX),
        Asked::List(range) => range.bytes_max.min(LISTED_BYTES_MAX),
        Asked::Sql { .. } => SqlConfig::new("").result_bytes_max,
        _ => 0,
    }
}

fn told<T: Serialize>(ran: Ran<T>, cpu: Duration) -> Result<Bytes, String> {
    pack(&Told {
        result: ran.result.map_err(Into::into),
        effect: ran.effect,
        cpu,
    })
}

/// A request that is being answered. It ends early when it is not waited for, or when it has used the CPU time of an event.
struct Running {
    cpu_max: Duration,
    used_nanos: AtomicU64,
    is_left: AtomicBool,
    interrupt: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl Running {
    fn new(cpu_max: Duration) -> Self {
        Self {
            cpu_max,
            used_nanos: AtomicU64::new(0),
            is_left: AtomicBool::new(false),
            interrupt: Mutex::default(),
        }
    }

    fn interrupt(&self) -> MutexGuard<'_, Option<Box<dyn Fn() + Send>>> {
        self.interrupt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CpuAccount for Running {
    fn charge(&self, _event: EventKey, used: Duration) -> bool {
        let nanos = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
        let before = self.used_nanos.fetch_add(nanos, Ordering::Relaxed);
        Duration::from_nanos(before.saturating_add(nanos)) >= self.cpu_max
    }

    fn charge_elsewhere(&self, event: EventKey, used: Duration) -> bool {
        self.charge(event, used)
    }

    fn renew(&self, _event: EventKey) {}

    fn is_ending(&self) -> bool {
        self.is_left.load(Ordering::Relaxed)
    }

    fn interrupt_with(&self, interrupt: Option<Box<dyn Fn() + Send>>) {
        *self.interrupt() = interrupt;
    }
}

/// Interrupts a request when it is dropped.
struct Leaves(Arc<Running>);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.is_left.store(true, Ordering::Relaxed);
        // Under the lock: it is not called after the statement has ended.
        if let Some(interrupt) = &*self.0.interrupt() {
            interrupt();
        }
    }
}
