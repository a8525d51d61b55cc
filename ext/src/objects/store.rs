//! The storage of one object: its transactions and their durability.
//!
//! The writes of one turn are one transaction, which is committed after the turn. A commit does not wait for the disk: the
//! log is synced on another thread, after which [`ObjectStore::durable`] resolves. The object's answers wait for that.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use deno_core::Resource;
use tokio::sync::Notify;

use super::ObjectError;
use super::backing::Backing;
use super::database::{Effect, MEMORY_BYTES, Ran};
use super::id::ObjectId;
use super::stored::{AlarmStore, OnEnd};
use crate::ledger::Charge;
use crate::quotas::{QuotaError, Usage};
use crate::sql::{Param, Payer, ResultSet, SqlError};

/// A worker's objects with open files, the least recently opened first.
#[derive(Clone, Default)]
pub(super) struct OpenStores(Rc<RefCell<VecDeque<Weak<ObjectStore>>>>);

impl OpenStores {
    /// Reserves memory for another file. If there is not enough, closes files that are not in use, which are reopened on demand:
    /// those with open cursors last, which are closed with them.
    fn make_room(&self, usage: &Usage, store: &Rc<ObjectStore>) -> Result<Charge, QuotaError> {
        let count = self.0.borrow().len();
        let mut tries = 2 * count;
        let charge = loop {
            match usage.hold(MEMORY_BYTES) {
                Ok(charge) => break charge,
                Err(error) if tries == 0 => return Err(error),
                Err(_) => tries -= 1,
            }
            let first = self.0.borrow_mut().pop_front();
            if let Some(other) = first.and_then(|other| other.upgrade())
                && (tries >= count && other.is_read() || !other.rest())
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
    usage: Rc<Usage>,
    open: OpenStores,
    /// Dropped last.
    _on_end: OnEnd,
}

struct Inner {
    database: Backing,
    /// Present while the database is open.
    memory: Option<Charge>,
    /// The database was never opened, and its file is empty.
    is_empty: bool,
    /// The number of writes so far.
    written: u64,
    /// True if a commit is scheduled.
    is_scheduled: bool,
    /// Number of the script's nested open transactions.
    level: u32,
    /// The alarm that was set since the last commit.
    alarm: Option<Option<i64>>,
    /// The cursors that are in use, of which the database may have closed the first. They need an open database.
    cursors: BTreeSet<u32>,
    is_closed: bool,
}

/// The parts of an object's storage besides its database.
pub(super) struct Beside {
    pub(super) id: ObjectId,
    pub(super) alarms: Arc<dyn AlarmStore>,
    pub(super) on_end: OnEnd,
}

impl Resource for ObjectStore {}

impl ObjectStore {
    /// Creates the storage with a locked database. `is_empty`: it was never written.
    pub(super) fn new(database: Backing, is_empty: bool, beside: Beside, usage: Rc<Usage>, open: OpenStores) -> Self {
        let Beside { id, alarms, on_end } = beside;
        Self {
            inner: RefCell::new(Inner {
                database,
                memory: None,
                is_empty,
                written: 0,
                is_scheduled: false,
                level: 0,
                alarm: None,
                cursors: BTreeSet::new(),
                is_closed: false,
            }),
            durable: Cell::new(0),
            failed: OnceCell::new(),
            changed: Notify::new(),
            id,
            alarms,
            usage,
            open,
            _on_end: on_end,
        }
    }

    /// Runs an operation. What it writes is committed after this turn.
    pub(super) fn run<T>(self: &Rc<Self>, run: impl FnOnce(&mut Backing) -> Ran<T>) -> Result<T, ObjectError> {
        self.check()?;
        let mut inner = self.inner.borrow_mut();
        self.open(&mut inner)?;
        let Ran { result, effect } = run(&mut inner.database);
        if effect == Effect::None {
            return result;
        }
        inner.written += 1;
        let schedules = !std::mem::replace(&mut inner.is_scheduled, true);
        drop(inner);
        if effect == Effect::Undone {
            // SQLite rolls back when the disk is full, and at a statement's request.
            let why = result.as_ref().err().map(ToString::to_string);
            self.fail(format!("its transaction was rolled back: {}", why.unwrap_or_default()));
        } else if schedules {
            self.schedule();
        }
        result
    }

    /// Runs an operation that finds `nothing` in a database that was never written.
    pub(super) fn find<T>(
        self: &Rc<Self>,
        nothing: T,
        run: impl FnOnce(&mut Backing) -> Ran<T>,
    ) -> Result<T, ObjectError> {
        self.check()?;
        if self.inner.borrow().is_empty {
            return Ok(nothing);
        }
        self.run(run)
    }

    /// Begins a transaction of the script.
    pub(super) fn begin(self: &Rc<Self>) -> Result<(), ObjectError> {
        self.run(Backing::begin)?;
        self.inner.borrow_mut().level += 1;
        Ok(())
    }

    /// Ends the innermost transaction of the script.
    pub(super) fn finish(self: &Rc<Self>, keeps: bool) -> Result<(), ObjectError> {
        {
            let mut inner = self.inner.borrow_mut();
            inner.level = inner.level.saturating_sub(1);
        }
        let finished = self.run(|db| db.finish(keeps));
        if !keeps && self.inner.borrow().alarm.is_some() {
            let alarm = self.alarm()?;
            self.inner.borrow_mut().alarm = Some(alarm);
        }
        finished
    }

    /// Runs statements.
    pub(super) fn sql(self: &Rc<Self>, text: &str, params: Vec<Param>, payer: Payer) -> Result<ResultSet, ObjectError> {
        let result = self.run(|db| db.sql(text, params, payer))?;
        if let Some(cursor) = result.cursor {
            self.inner.borrow_mut().cursors.insert(cursor);
        }
        Ok(result)
    }

    /// Reads the next rows of a cursor.
    pub(super) fn rows(self: &Rc<Self>, cursor: u32, takes_all: bool, payer: Payer) -> Result<ResultSet, ObjectError> {
        if !self.inner.borrow().cursors.contains(&cursor) {
            return Err(SqlError::CursorClosed.into());
        }
        let result = self.run(|db| db.rows(cursor, takes_all, payer));
        if !matches!(&result, Ok(result) if result.cursor.is_some()) {
            self.inner.borrow_mut().cursors.remove(&cursor);
        }
        result
    }

    pub(super) fn close_cursor(&self, cursor: u32) {
        let mut inner = self.inner.borrow_mut();
        if inner.cursors.remove(&cursor) && !inner.is_closed {
            inner.database.close_cursor(cursor);
        }
    }

    /// Deletes everything except the alarm, and closes all cursors.
    pub(super) fn clear(self: &Rc<Self>) -> Result<(), ObjectError> {
        self.inner.borrow_mut().cursors.clear();
        self.find((), Backing::clear)
    }

    /// Returns the time of the alarm.
    pub(super) fn alarm(self: &Rc<Self>) -> Result<Option<i64>, ObjectError> {
        self.find(None, Backing::alarm)
    }

    /// Sets or removes the alarm.
    pub(super) fn set_alarm(self: &Rc<Self>, at_ms: Option<i64>) -> Result<(), ObjectError> {
        let set = |db: &mut Backing| db.set_alarm(at_ms);
        let changes = match at_ms {
            Some(_) => self.run(set)?,
            None => self.find(false, set)?,
        };
        if changes {
            self.inner.borrow_mut().alarm = Some(at_ms);
        }
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

    /// Closes the file and all cursors until its next use, unless there are pending writes. Returns whether it was closed.
    pub(super) fn rest(&self) -> bool {
        if self.is_dirty() {
            return false;
        }
        let Ok(mut inner) = self.inner.try_borrow_mut() else {
            return false;
        };
        if inner.memory.is_some() {
            inner.database.rest();
            inner.memory = None;
            inner.cursors.clear();
        }
        true
    }

    /// Closes the storage. With `keeps`, pending writes are committed.
    pub(super) fn close(&self, keeps: bool) {
        let mut inner = self.inner.borrow_mut();
        if !std::mem::replace(&mut inner.is_closed, true) {
            inner.database.close(keeps);
        }
    }

    /// Returns whether a cursor is open.
    fn is_read(&self) -> bool {
        self.inner.try_borrow().is_ok_and(|inner| !inner.cursors.is_empty())
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

    /// Opens the database, unless it is open.
    fn open(self: &Rc<Self>, inner: &mut Inner) -> Result<(), ObjectError> {
        if inner.memory.is_none() {
            let memory = self.open.make_room(&self.usage, self)?;
            inner.database.open()?;
            inner.memory = Some(memory);
            inner.is_empty = false;
        }
        Ok(())
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
        let (written, synced) = {
            let mut inner = self.inner.borrow_mut();
            inner.is_scheduled = false;
            if inner.is_closed || inner.level > 0 {
                // An open transaction schedules another commit at its end.
                return Ok(());
            }
            self.open(&mut inner)?;
            (inner.written, inner.database.commit()?)
        };
        synced.await?;
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
