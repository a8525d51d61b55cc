//! The storage of the objects that live in sandboxes, in the pool's process.
//!
//! A sandbox can ask for its own objects alone: each has a [`Hosted`] that is lent to the process that the object was started in, for
//! as long as the object lives there. Nothing that a sandbox says is believed: what it asks is checked as that of a script would be.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_bytes::ByteBuf;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ObjectError;
use super::database::{
    ENTRY_BYTES_MAX, KEY_BYTES_MAX, LIST_BYTES_MAX, MEMORY_BYTES, ObjectDatabase, Ran, Range, SYNC_THREADS,
    VALUES_BYTES,
};
use super::id::ObjectId;
use super::messages::{StorageReply, StorageRequest, add_entry};
use super::stored::OnEnd;
use crate::bindings::{Parcel, ParcelFuture, SandboxLimits, pack, unpack};
use crate::event::{CpuAccount, CpuExceeded, CpuMeter, EventKey, thread_cpu};
use crate::sql::{Payer, ResultSet, SqlConfig, SqlError, StatementStack, WrittenResult};
use crate::storage::files::FileThreads;
use crate::storage::owner_thread::{Owned, OwnerThread};

/// Maximum bytes of the entries of a list: with what is written between them, they fit into a message.
const LISTED_BYTES_MAX: usize = 40 << 20;
const _: () = assert!(LISTED_BYTES_MAX <= LIST_BYTES_MAX);

/// The threads and the limits of the objects of one sandbox.
pub(super) struct SandboxStorage {
    /// One thread, as the worker has: a statement delays the other objects of its sandbox alone.
    databases: OwnerThread<Databases>,
    syncs: FileThreads,
    /// Files that may be open, as the memory of the worker permits.
    files: Arc<Semaphore>,
    cpu_max: Duration,
    /// The number of the next object.
    next: AtomicU64,
}

impl SandboxStorage {
    pub(super) fn new(limits: SandboxLimits) -> Self {
        Self {
            databases: OwnerThread::new("isopod-object"),
            syncs: FileThreads::new("isopod-object", SYNC_THREADS),
            files: Arc::new(Semaphore::new((limits.native_bytes / MEMORY_BYTES).max(1))),
            cpu_max: limits.cpu,
            next: AtomicU64::new(0),
        }
    }
}

/// The databases of a sandbox, by the numbers of their objects, on the thread that uses them.
#[derive(Default)]
struct Databases {
    open: HashMap<u64, State>,
    stack: StatementStack,
}

impl Owned for Databases {
    fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

/// The database of an object, from the object's start on.
struct State {
    database: ObjectDatabase,
    file: Option<OwnedSemaphorePermit>,
}

/// The storage of one object of a sandbox.
pub(super) struct Hosted {
    /// The number of the object.
    number: u64,
    place: Place,
    storage: Arc<SandboxStorage>,
    /// True once the object has asked for something.
    is_begun: AtomicBool,
    /// Taken when this is dropped.
    on_end: Mutex<Option<OnEnd>>,
}

/// The place of an object's file, and the limit of its size.
#[derive(Clone)]
struct Place {
    folder: PathBuf,
    id: ObjectId,
    bytes_max: u64,
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
            number: storage.next.fetch_add(1, Ordering::Relaxed),
            place: Place { folder, id, bytes_max },
            storage,
            is_begun: AtomicBool::new(false),
            on_end: Mutex::new(Some(on_end)),
        })
    }

    /// Takes the storage of an object back that has not begun: its folder, the limit of its size, and the function for its end.
    pub(super) fn take_back(self: Arc<Self>) -> Result<(PathBuf, u64, OnEnd), Arc<Self>> {
        if self.is_begun.load(Ordering::Acquire) {
            return Err(self);
        }
        let mut hosted = Arc::try_unwrap(self)?;
        let Place { folder, bytes_max, .. } = hosted.place.clone();
        let on_end = hosted.take_end().unwrap_or_else(|| OnEnd::new(|| {}));
        Ok((folder, bytes_max, on_end))
    }

    fn take_end(&mut self) -> Option<OnEnd> {
        self.on_end.get_mut().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Answers a request, which may be any bytes. Dropping the future interrupts it.
    pub(super) fn serve(self: Arc<Self>, parcel: Parcel) -> ParcelFuture {
        self.is_begun.store(true, Ordering::Release);
        let (is_sync, answer_bytes) = match unpack::<StorageRequest<'_>>(&parcel.bytes) {
            Ok(request) => (matches!(request, StorageRequest::Sync), answer_bytes(&request)),
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        Box::pin(async move {
            let Parcel {
                bytes, held, transit, ..
            } = parcel;
            if is_sync {
                return Ok(Parcel::new(reply(self.sync().await, Duration::ZERO)?));
            }
            let mut room = transit.awaited(answer_bytes).await;
            let running = Arc::new(Running::new(self.storage.cpu_max));
            let _leaves = Leaves(Arc::clone(&running));
            let storage = Arc::clone(&self.storage);
            let answer = storage.databases.run(move |databases| {
                let answer = self.answer(&bytes, &running, databases);
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

    async fn sync(&self) -> Ran<()> {
        let number = self.number;
        let synced = async {
            let log = self.storage.databases.run(move |databases| {
                let state = databases.open.get_mut(&number).ok_or(ObjectError::NoStorage)?;
                state.database.log()
            });
            let log = log.await??;
            let synced = self.storage.syncs.run(move || log.sync_data()).await?;
            synced.map_err(|error| ObjectError::Failed(error.to_string()))
        };
        Ran::found(synced.await)
    }

    /// Answers a request on the thread of the databases.
    fn answer(&self, request: &[u8], running: &Arc<Running>, databases: &mut Databases) -> Result<Bytes, String> {
        if running.is_ending() {
            return Err("it is not waited for".to_owned());
        }
        let begun = thread_cpu();
        let used = || thread_cpu().saturating_sub(begun);
        let Databases { open, stack } = databases;
        let request = unpack::<StorageRequest<'_>>(request)?;
        if matches!(request, StorageRequest::Lock) {
            return reply(self.lock(open), used());
        }
        let Some(state) = open.get_mut(&self.number) else {
            return reply::<()>(Ran::found(Err(ObjectError::NoStorage)), used());
        };
        let payer = Payer {
            cpu: CpuMeter::new(Some(Arc::clone(running) as Arc<dyn CpuAccount>), 0),
            ..Payer::default()
        };
        let database = &mut state.database;
        match request {
            StorageRequest::Open => reply(self.open(state), used()),
            StorageRequest::Rest => {
                database.rest();
                state.file = None;
                reply(Ran::found(Ok(())), used())
            }
            StorageRequest::Close { keeps } => {
                database.close(keeps);
                state.file = None;
                reply(Ran::found(Ok(())), used())
            }
            StorageRequest::Get(keys) => {
                let values = database.get(&keys);
                let written = |values: Vec<Option<Vec<u8>>>| values.into_iter().map(|value| value.map(ByteBuf::from));
                reply(values.map(|values| written(values).collect::<Vec<_>>()), used())
            }
            StorageRequest::Put(entries) => {
                let entries = entries.into_iter().map(|(key, value)| (key, &**value));
                let is_large = |(key, value): (&str, &[u8])| {
                    key.len() > KEY_BYTES_MAX || key.len() + value.len() > ENTRY_BYTES_MAX
                };
                let put = match entries.clone().any(is_large) {
                    true => Ran::found(Err(ObjectError::Internal("an entry is too large".to_owned()))),
                    false => database.put(entries),
                };
                reply(put, used())
            }
            StorageRequest::Delete(keys) => reply(database.delete(&keys), used()),
            StorageRequest::List(range) => reply(list(database, range), used()),
            StorageRequest::Clear => reply(database.clear(), used()),
            StorageRequest::Alarm => reply(database.alarm(), used()),
            StorageRequest::SetAlarm(at_ms) => reply(database.set_alarm(at_ms), used()),
            StorageRequest::Sql { text, params } => reply(written(database.sql(text, params, payer, stack)), used()),
            StorageRequest::Rows { cursor, takes_all } => {
                reply(written(database.rows(cursor, takes_all, payer, stack)), used())
            }
            StorageRequest::CloseCursor(cursor) => {
                database.close_cursor(cursor);
                reply(Ran::found(Ok(())), used())
            }
            StorageRequest::Size => reply(database.size(), used()),
            StorageRequest::Begin => reply(database.begin(), used()),
            StorageRequest::Finish { keeps } => reply(database.finish(keeps), used()),
            StorageRequest::Commit => reply(Ran::found(database.commit()), used()),
            StorageRequest::Alarms(_) | StorageRequest::Lock | StorageRequest::Sync => {
                Err("it is answered elsewhere".to_owned())
            }
        }
    }

    /// Locks the file. Returns whether it was never written.
    fn lock(&self, open: &mut HashMap<u64, State>) -> Ran<bool> {
        let Entry::Vacant(entry) = open.entry(self.number) else {
            return Ran::found(Err(ObjectError::Internal("it is locked already".to_owned())));
        };
        let Place { folder, id, bytes_max } = &self.place;
        let locked = ObjectDatabase::lock(folder, id.clone(), *bytes_max);
        Ran::found(locked.map(|database| {
            let is_empty = database.is_empty();
            entry.insert(State { database, file: None });
            is_empty
        }))
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
        let opened = state.database.open();
        if opened.is_ok() {
            state.file = Some(permit);
        }
        Ran::found(opened)
    }
}

impl Drop for Hosted {
    /// The file is closed on its thread, and others may have it then.
    fn drop(&mut self) {
        if !self.is_begun.load(Ordering::Acquire) {
            return;
        }
        let (number, on_end) = (self.number, self.take_end());
        drop(self.storage.databases.run(move |databases| {
            databases.open.remove(&number);
            drop(on_end);
        }));
    }
}

/// A result as it is written.
fn written(mut results: Ran<ResultSet>) -> Ran<WrittenResult> {
    if let Err(ObjectError::Sql(SqlError::Cpu(_))) = results.result {
        results.result = Err(ObjectError::Internal(CpuExceeded.to_string()));
    }
    results.map(WrittenResult::new)
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
fn answer_bytes(request: &StorageRequest<'_>) -> usize {
    match request {
        StorageRequest::Get(keys) => keys
            .len()
            .saturating_mul(ENTRY_BYTES_MAX)
            .min(VALUES_BYTES + ENTRY_BYTES_MAX),
        StorageRequest::List(range) => range.bytes_max.min(LISTED_BYTES_MAX),
        StorageRequest::Sql { .. } | StorageRequest::Rows { .. } => SqlConfig::new("").result_bytes_max,
        _ => 0,
    }
}

fn reply<T: Serialize>(ran: Ran<T>, cpu: Duration) -> Result<Bytes, String> {
    pack(&StorageReply {
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
