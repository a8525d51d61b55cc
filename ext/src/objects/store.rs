//! The storage of one object: its transactions and their durability.
//!
//! The writes of one turn are one transaction, which is committed after the turn. A commit does not wait for the disk: the
//! log is synced on another thread, after which [`ObjectStore::durable`] resolves. The object's answers wait for that.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use deno_core::Resource;
use tokio::sync::Notify;

use super::ObjectError;
use super::events::{AlarmStore, OnEnd, StoredObject};
use super::id::ObjectId;
use super::place::ObjectFile;
use crate::ledger::Charge;
use crate::quotas::{QuotaError, Usage};
use crate::sql::{LocalDatabase, SqlError};
use crate::storage::files::FileThreads;

/// The tables of an object's own entries, named as on the platform.
const TABLES: &str = "CREATE TABLE IF NOT EXISTS _cf_KV (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID; \
     CREATE TABLE IF NOT EXISTS _cf_METADATA (key INTEGER PRIMARY KEY, value BLOB)";
/// Memory charged to a worker for each open file: the page cache, and SQLite's other memory.
const MEMORY_BYTES: usize = 768 << 10;
/// The row of the alarm in `_cf_METADATA`.
const ALARM: i64 = 1;

/// A worker's objects with open files, the least recently opened first.
#[derive(Clone, Default)]
pub(super) struct OpenStores(Rc<RefCell<VecDeque<Weak<ObjectStore>>>>);

impl OpenStores {
    /// Reserves memory for another file. If there is not enough, closes files that are not in use, which are reopened on demand.
    fn make_room(&self, usage: &Usage, store: &Rc<ObjectStore>) -> Result<Charge, QuotaError> {
        let mut tries = self.0.borrow().len();
        let charge = loop {
            match usage.hold(MEMORY_BYTES) {
                Ok(charge) => break charge,
                Err(error) if tries == 0 => return Err(error),
                Err(_) => tries -= 1,
            }
            let first = self.0.borrow_mut().pop_front();
            if let Some(other) = first.and_then(|other| other.upgrade())
                && !other.rest()
            {
                self.0.borrow_mut().push_back(Rc::downgrade(&other));
            }
        };
        let mut open = self.0.borrow_mut();
        open.retain(|other| other.strong_count() > 0 && !std::ptr::eq(other.as_ptr(), Rc::as_ptr(store)));
        open.push_back(Rc::downgrade(store));
        Ok(charge)
    }
}

/// The storage of an object, as a resource of its worker.
pub(super) struct ObjectStore {
    inner: RefCell<Inner>,
    /// The number of the last write that is on disk.
    durable: Cell<u64>,
    failed: OnceCell<String>,
    changed: Notify,
    id: ObjectId,
    alarms: Arc<dyn AlarmStore>,
    threads: Rc<FileThreads>,
    usage: Rc<Usage>,
    open: OpenStores,
    /// Dropped last.
    _on_end: OnEnd,
}

struct Inner {
    /// Dropped before the file, because it needs its lock.
    db: Option<LocalDatabase>,
    log: Option<Arc<File>>,
    memory: Option<Charge>,
    file: ObjectFile,
    bytes_max: u64,
    /// The number of writes so far.
    written: u64,
    /// True if a commit is scheduled.
    is_scheduled: bool,
    /// Number of the script's nested open transactions.
    level: u32,
    /// The alarm that was set since the last commit.
    alarm: Option<Option<i64>>,
    is_closed: bool,
}

impl Resource for ObjectStore {}

impl ObjectStore {
    /// Opens the storage, unless another owner has it.
    pub(super) fn open(
        stored: StoredObject,
        threads: Rc<FileThreads>,
        usage: Rc<Usage>,
        open: OpenStores,
    ) -> Result<Self, ObjectError> {
        let StoredObject {
            folder,
            id,
            bytes_max,
            alarms,
            on_end,
        } = stored;
        let file = ObjectFile::lock(&folder, id.as_hex())?;
        Ok(Self {
            inner: RefCell::new(Inner {
                db: None,
                log: None,
                memory: None,
                file,
                bytes_max,
                written: 0,
                is_scheduled: false,
                level: 0,
                alarm: None,
                is_closed: false,
            }),
            durable: Cell::new(0),
            failed: OnceCell::new(),
            changed: Notify::new(),
            id,
            alarms,
            threads,
            usage,
            open,
            _on_end: on_end,
        })
    }

    /// Reads from the database; `None` if it was never written.
    pub(super) fn read<T>(
        self: &Rc<Self>,
        body: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, ObjectError> {
        self.check()?;
        let mut inner = self.inner.borrow_mut();
        if inner.db.is_none() && inner.file.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.db(&mut inner)?.own(body)?))
    }

    /// Writes in the transaction that is committed after this turn.
    pub(super) fn write<T>(
        self: &Rc<Self>,
        body: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ObjectError> {
        self.change(|db| db.own(body))
    }

    /// Runs `body` as a part of the transaction that is committed after this turn.
    pub(super) fn change<T>(
        self: &Rc<Self>,
        body: impl FnOnce(&mut LocalDatabase) -> Result<T, SqlError>,
    ) -> Result<T, ObjectError> {
        self.check()?;
        let mut inner = self.inner.borrow_mut();
        let db = self.db(&mut inner)?;
        if db.is_autocommit() {
            db.own(|db| db.execute_batch("BEGIN"))?;
        }
        let result = body(db);
        let is_undone = db.is_autocommit();
        inner.written += 1;
        let schedules = !std::mem::replace(&mut inner.is_scheduled, true);
        drop(inner);
        if is_undone {
            // SQLite rolls back when the disk is full, and at a statement's request.
            let why = result.as_ref().err().map(ToString::to_string);
            self.fail(format!("its transaction was rolled back: {}", why.unwrap_or_default()));
        } else if schedules {
            self.schedule();
        }
        result.map_err(ObjectError::from)
    }

    /// Runs `body` on the database, as a part of the transaction, if any.
    pub(super) fn query<T>(
        self: &Rc<Self>,
        body: impl FnOnce(&mut LocalDatabase) -> Result<T, SqlError>,
    ) -> Result<T, ObjectError> {
        self.check()?;
        Ok(body(self.db(&mut self.inner.borrow_mut())?)?)
    }

    /// Begins a transaction of the script.
    pub(super) fn begin(self: &Rc<Self>) -> Result<(), ObjectError> {
        let level = self.inner.borrow().level;
        self.change(|db| db.own(|db| db.execute_batch(&format!("SAVEPOINT isopod_{level}"))))?;
        self.inner.borrow_mut().level += 1;
        Ok(())
    }

    /// Ends the innermost transaction of the script.
    pub(super) fn finish(self: &Rc<Self>, keeps: bool) -> Result<(), ObjectError> {
        let level = {
            let mut inner = self.inner.borrow_mut();
            inner.level = inner.level.saturating_sub(1);
            inner.level
        };
        let finished = self.change(|db| {
            db.own(|db| {
                if !keeps {
                    db.execute_batch(&format!("ROLLBACK TO isopod_{level}"))?;
                }
                db.execute_batch(&format!("RELEASE isopod_{level}"))
            })
        });
        if !keeps && self.inner.borrow().alarm.is_some() {
            let alarm = self.alarm()?;
            self.inner.borrow_mut().alarm = Some(alarm);
        }
        finished
    }

    /// Returns the time of the alarm.
    pub(super) fn alarm(self: &Rc<Self>) -> Result<Option<i64>, ObjectError> {
        use rusqlite::OptionalExtension;
        let read = |db: &rusqlite::Connection| {
            let mut statement = db.prepare_cached("SELECT value FROM _cf_METADATA WHERE key = ?1")?;
            statement.query_row([ALARM], |row| row.get(0)).optional()
        };
        Ok(self.read(read)?.flatten())
    }

    /// Sets or removes the alarm.
    pub(super) fn set_alarm(self: &Rc<Self>, at_ms: Option<i64>) -> Result<(), ObjectError> {
        if at_ms.is_none() && self.alarm()?.is_none() {
            return Ok(());
        }
        self.write(|db| {
            match at_ms {
                Some(at) => db
                    .prepare_cached("INSERT OR REPLACE INTO _cf_METADATA VALUES (?1, ?2)")?
                    .execute([ALARM, at]),
                None => db
                    .prepare_cached("DELETE FROM _cf_METADATA WHERE key = ?1")?
                    .execute([ALARM]),
            }?;
            Ok(())
        })?;
        self.inner.borrow_mut().alarm = Some(at_ms);
        Ok(())
    }

    /// Returns whether there are writes that are not on disk.
    pub(super) fn is_dirty(&self) -> bool {
        self.failed.get().is_some() || self.durable.get() < self.inner.borrow().written
    }

    /// Resolves once all earlier writes are on disk.
    pub(super) async fn durable(&self) -> Result<(), ObjectError> {
        let written = self.inner.borrow().written;
        loop {
            let changed = self.changed.notified();
            if let Some(why) = self.failed.get() {
                return Err(ObjectError::Failed(why.clone()));
            }
            if self.durable.get() >= written {
                return Ok(());
            }
            changed.await;
        }
    }

    /// Closes the file until its next use, unless there are pending writes. Returns whether it was closed.
    pub(super) fn rest(&self) -> bool {
        if self.is_dirty() {
            return false;
        }
        let Ok(mut inner) = self.inner.try_borrow_mut() else {
            return false;
        };
        inner.db = None;
        inner.log = None;
        inner.memory = None;
        true
    }

    /// Closes the storage. With `keeps`, pending writes are committed.
    pub(super) fn close(&self, keeps: bool) {
        let mut inner = self.inner.borrow_mut();
        if std::mem::replace(&mut inner.is_closed, true) {
            return;
        }
        let Some(db) = inner.db.take() else {
            if inner.file.is_empty() {
                inner.file.remove();
            }
            return;
        };
        if !db.is_autocommit() {
            let end = if keeps { "COMMIT" } else { "ROLLBACK" };
            if let Err(error) = db.own(|db| db.execute_batch(end)) {
                tracing::warn!(target: "isopod::storage", object = %self.id, "cannot end its transaction: {error}");
            }
        }
        let has_nothing = db.own(|db| {
            const COUNT: &str = "SELECT (SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND \
                 name NOT LIKE 'sqlite\\_%' ESCAPE '\\') + EXISTS (SELECT 1 FROM _cf_KV) + EXISTS (SELECT 1 FROM _cf_METADATA)";
            db.query_row(COUNT, [], |row| Ok(row.get::<_, i64>(0)? == 0))
        });
        drop(db);
        if has_nothing.is_ok_and(|nothing| nothing) {
            inner.file.remove();
        }
    }

    fn check(&self) -> Result<(), ObjectError> {
        if let Some(why) = self.failed.get() {
            return Err(ObjectError::Failed(why.clone()));
        }
        match self.inner.borrow().is_closed {
            true => Err(ObjectError::Ended),
            false => Ok(()),
        }
    }

    fn fail(&self, why: String) {
        let _ = self.failed.set(why);
        self.changed.notify_waiters();
    }

    /// Schedules a commit after the turn. The task ends with the worker, and uncommitted writes are lost.
    fn schedule(self: &Rc<Self>) {
        let store = self.clone();
        drop(deno_core::unsync::spawn(async move {
            if let Err(error) = store.commit().await {
                store.fail(error.to_string());
            }
        }));
    }

    /// Returns the database, opening it if necessary.
    fn db<'a>(self: &Rc<Self>, inner: &'a mut Inner) -> Result<&'a mut LocalDatabase, ObjectError> {
        if inner.db.is_none() {
            inner.memory = Some(self.open.make_room(&self.usage, self)?);
            let db = LocalDatabase::open(inner.file.path().to_owned(), inner.bytes_max)?;
            db.own(|db| db.execute_batch(TABLES))?;
            inner.db = Some(db);
        }
        inner.db.as_mut().ok_or(ObjectError::Ended)
    }

    async fn commit(self: &Rc<Self>) -> Result<(), ObjectError> {
        // An earlier alarm is stored before the commit, so that it is never missed: if the process dies in between, the
        // object is called needlessly.
        let mut updates_alarm = false;
        loop {
            let alarm = match &mut *self.inner.borrow_mut() {
                inner if inner.level > 0 => None,
                inner => inner.alarm.take(),
            };
            match alarm {
                Some(Some(at_ms)) => updates_alarm = !self.alarms.bring_forward(&self.id, at_ms).await?,
                Some(None) => updates_alarm = true,
                None => break,
            }
        }
        let (written, log) = {
            let mut inner = self.inner.borrow_mut();
            inner.is_scheduled = false;
            if inner.is_closed || inner.level > 0 {
                // An open transaction schedules another commit at its end.
                return Ok(());
            }
            let db = self.db(&mut inner)?;
            if !db.is_autocommit() {
                db.own(|db| db.prepare_cached("COMMIT")?.execute([]).map(drop))?;
            }
            (inner.written, inner.log()?)
        };
        let synced = self.threads.run(move || log.sync_data());
        synced.await?.map_err(|error| ObjectError::Failed(error.to_string()))?;
        if updates_alarm && !self.inner.borrow().is_closed {
            // The current value. Later values are stored after it, because calls take effect in order.
            self.alarms.set(&self.id, self.alarm()?).await?;
        }
        self.durable.set(self.durable.get().max(written));
        self.changed.notify_waiters();
        Ok(())
    }
}

impl Drop for ObjectStore {
    /// Dropped with its worker, which rolls uncommitted writes back.
    fn drop(&mut self) {
        self.close(false);
    }
}

impl Inner {
    /// Returns the log, to be synced. SQLite keeps it as long as the database is open.
    fn log(&mut self) -> Result<Arc<File>, ObjectError> {
        if let Some(log) = &self.log {
            return Ok(log.clone());
        }
        let log = File::options()
            .write(true)
            .open(self.file.log())
            .map_err(ObjectError::Open)?;
        // Syncs the files' names too.
        if let Some(folder) = self.file.path().parent() {
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(ObjectError::Open)?;
        }
        Ok(self.log.insert(Arc::new(log)).clone())
    }
}
