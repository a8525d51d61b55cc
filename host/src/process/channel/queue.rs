//! Tasks that wait for a module's process, and notes from their readers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use isopod_pool::{Failure, Outcome};
use tokio::sync::Notify;

use super::job::Job;

/// Number of read bytes after which a reader leaves a note; with fewer there would be a frame for each item.
pub(super) const READ_STEP: u64 = 4;

/// A note from a task's reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Note {
    /// The number of bytes that were read since the last note.
    pub(super) read: u64,
    /// True if the reader is gone.
    pub(super) gone: bool,
}

/// Admission of new tasks.
#[derive(Clone, Debug)]
enum Admission {
    Open,
    /// Accepted tasks are finished, and no more are accepted.
    Draining,
    /// No process will be started any more.
    Closed(Failure),
}

/// The waiting tasks of one module. Lives as long as its readers and its process.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    /// Wakes the session: there is work, or a note.
    changed: Notify,
    /// Wakes the task that watches deadlines.
    deadlines: Notify,
    /// Wakes the drain: a task has ended.
    idle: Notify,
    waiting_max: usize,
}

#[derive(Debug)]
struct Inner {
    waiting: VecDeque<Job>,
    notes: BTreeMap<u64, Note>,
    admission: Admission,
    /// Tasks that the process has. Notes are kept for these only, because others would never be read.
    running: BTreeSet<u64>,
}

impl Queue {
    pub(super) fn new(waiting_max: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                waiting: VecDeque::new(),
                notes: BTreeMap::new(),
                admission: Admission::Open,
                running: BTreeSet::new(),
            }),
            changed: Notify::new(),
            deadlines: Notify::new(),
            idle: Notify::new(),
            waiting_max,
        }
    }

    /// Accepts a job, or ends it with the reason for its refusal.
    pub(super) fn push(&self, job: Job) {
        let refused = {
            let mut inner = self.lock();
            match &inner.admission {
                Admission::Closed(failure) => Some((job, failure.clone())),
                Admission::Draining => Some((job, Failure::new(Outcome::LoadShed, "the host is stopping"))),
                Admission::Open if inner.waiting.len() >= self.waiting_max => {
                    let message = format!("{} tasks wait for this module; try again later", self.waiting_max);
                    let failure = Failure::new(Outcome::LoadShed, message).with_retry_after(Duration::from_secs(1));
                    Some((job, failure))
                }
                Admission::Open => {
                    inner.waiting.push_back(job);
                    None
                }
            }
        };
        match refused {
            Some((job, failure)) => job.finish(Err(failure)),
            None => self.wake(),
        }
    }

    /// Puts jobs whose process was lost back in front of the queue, in their order.
    pub(super) fn push_back(&self, jobs: Vec<Job>) {
        let refused = {
            let mut inner = self.lock();
            for job in &jobs {
                inner.ended(job.id);
            }
            if let Admission::Closed(failure) = &inner.admission {
                Some((failure.clone(), jobs))
            } else {
                for job in jobs.into_iter().rev() {
                    inner.waiting.push_front(job);
                }
                None
            }
        };
        if let Some((failure, jobs)) = refused {
            for job in jobs {
                job.finish(Err(failure.clone()));
            }
        }
        self.wake();
    }

    /// Takes the next job that has a reader and has not expired. It counts as running until [`Queue::ended`].
    pub(super) fn next(&self, now: Instant) -> Option<Job> {
        loop {
            let job = {
                let mut inner = self.lock();
                let job = inner.waiting.pop_front()?;
                inner.running.insert(job.id);
                job
            };
            match job.until {
                // Its reader is gone, so there is no one to answer.
                _ if job.items.is_closed() => self.ended(job.id),
                until if until <= now => {
                    self.ended(job.id);
                    job.overdue();
                }
                _ => return Some(job),
            }
        }
    }

    /// Records that the process has finished with a task.
    pub(super) fn ended(&self, task: u64) {
        self.lock().ended(task);
        self.idle.notify_waiters();
    }

    /// Ends waiting jobs that have expired. Returns the next deadline.
    fn expire(&self, now: Instant) -> Option<Instant> {
        let (overdue, next) = {
            let mut inner = self.lock();
            let waiting = std::mem::take(&mut inner.waiting);
            let is_over = |job: &Job| job.until <= now || job.items.is_closed();
            let (overdue, waiting): (VecDeque<_>, VecDeque<_>) = waiting.into_iter().partition(is_over);
            let next = waiting.iter().map(|job| job.until).min();
            inner.waiting = waiting;
            (overdue, next)
        };
        for job in overdue {
            job.overdue();
        }
        self.idle.notify_waiters();
        next
    }

    /// Ends waiting jobs at their deadlines as long as it is polled, even while there is no process.
    pub(super) async fn watch_deadlines(&self) {
        loop {
            let changed = self.deadlines.notified();
            match self.expire(Instant::now()) {
                Some(next) => tokio::select! {
                    () = tokio::time::sleep_until(next.into()) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    /// Leaves a reader's note for the session. A waiting task whose reader is gone is dropped.
    pub(super) fn note(&self, task: u64, word: Note) {
        {
            let mut inner = self.lock();
            if !inner.running.contains(&task) {
                let waits = inner.waiting.iter().position(|job| word.gone && job.id == task);
                let job = waits.and_then(|index| inner.waiting.remove(index));
                drop(inner);
                self.idle.notify_waiters();
                drop(job);
                return;
            }
            let note = inner.notes.entry(task).or_default();
            note.read += word.read;
            note.gone |= word.gone;
        }
        self.changed.notify_one();
    }

    pub(super) fn take_notes(&self) -> BTreeMap<u64, Note> {
        std::mem::take(&mut self.lock().notes)
    }

    /// Waits until no task waits or runs.
    pub(super) async fn idle(&self) {
        loop {
            let changed = self.idle.notified();
            let is_idle = {
                let inner = self.lock();
                inner.running.is_empty() && inner.waiting.is_empty()
            };
            if is_idle {
                return;
            }
            changed.await;
        }
    }

    /// Waits for work or notes.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(super) fn drain(&self) {
        let mut inner = self.lock();
        if matches!(inner.admission, Admission::Open) {
            inner.admission = Admission::Draining;
        }
    }

    /// Ends all waiting jobs, and every later one.
    pub(super) fn close(&self, failure: &Failure) {
        let waiting = {
            let mut inner = self.lock();
            inner.admission = Admission::Closed(failure.clone());
            std::mem::take(&mut inner.waiting)
        };
        for job in waiting {
            job.finish(Err(failure.clone()));
        }
        self.idle.notify_waiters();
    }

    fn wake(&self) {
        self.changed.notify_one();
        self.deadlines.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn ended(&mut self, task: u64) {
        self.running.remove(&task);
        self.notes.remove(&task);
    }
}
