//! The pool's state behind one lock: scripts with their queues, and threads with their workers.
//!
//! The files follow an event: `accept` accepts or refuses it, `grow` finds a thread for another worker of its script,
//! `serve` handles the reports of running workers, `depart` the end of a worker or a thread, and `close` the shutdown.
//! `sessions` has the sessions and their events. `slots` has the running events of one worker, behind its own lock. No code
//! here waits or calls foreign code: work for after the release of the lock is recorded in [`Effects`].

mod accept;
mod boots;
#[cfg(all(test, not(feature = "shuttle")))]
mod check;
mod close;
mod depart;
mod effects;
mod grow;
mod long_turn;
mod lost;
mod memory;
mod queue;
mod serve;
mod sessions;
mod settle;
mod share;
pub(crate) mod slots;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

pub(crate) use accept::Accepted;
pub(crate) use close::{Closing, Spawn, Todo};
pub(crate) use depart::Departure;
pub(crate) use effects::{Effects, Mail};
pub(crate) use long_turn::{Unbegun, Unwanted};
pub(crate) use serve::Next;
pub(crate) use sessions::{Pins, Sessions};

use isopod_outcome::Failure;

use crate::attached::AttachedTasks;
use crate::breaker::Breaker;
use crate::engine::{Engine, Stop, WorkerId};
use crate::job::{EventId, Job};
use crate::machine::OsThread;
use crate::mailbox::Mailbox;
use crate::observe::RetireReason;
use crate::options::{Limits, Settings};
use crate::overload::Crowd;
use crate::placement::{Near, ThreadView};
use crate::recorder::Recorder;
use crate::state::boots::Boots;
use crate::state::lost::Overdue;
use crate::state::memory::Gauge;
use crate::state::queue::Queue;
use crate::state::slots::Table;
use crate::stats::Counters;
use crate::sync::Mutex;
use crate::sync::channel;
use crate::sync::thread::JoinHandle;

/// State protected by the lock.
pub(crate) struct State<E: Engine> {
    pub(crate) scripts: HashMap<Arc<str>, Script<E>, foldhash::fast::RandomState>,
    pub(crate) threads: Vec<Thread<E>>,
    /// Scripts that lack a worker, the longest waiting first.
    waiting: VecDeque<Arc<str>>,
    /// Number of queued events in all queues.
    queued: Arc<AtomicUsize>,
    crowd: Crowd,
    pub(crate) sessions: Sessions,
    boots: Boots,
    /// Memory of all workers in bytes, as last reported.
    memory: Arc<AtomicUsize>,
    /// True if there may be yielding workers; see [`Hosted::yields`].
    yielding: bool,
    /// Accepted events that have not ended.
    pub(crate) open: usize,
    pub(crate) closing: Option<Closing>,
    pub(crate) threads_lost: u64,
    pub(crate) threads_respawned: u64,
    /// Time of the supervisor's next check.
    looks_at: Option<Instant>,
    events: u64,
    workers: u64,
    versions: u64,
    settings: Arc<Settings>,
    totals: Arc<Counters>,
    /// A buffer, kept for its capacity.
    views: Vec<ThreadView>,
}

/// One version of one script. `number` is unique in the pool, so it identifies script and version.
pub(crate) struct Version<E: Engine> {
    pub(crate) name: Arc<str>,
    pub(crate) number: u64,
    pub(crate) script: Arc<E::Script>,
    pub(crate) limits: Limits,
    pub(crate) counters: Arc<Counters>,
}

pub(crate) struct Script<E: Engine> {
    pub(crate) current: Arc<Version<E>>,
    pub(crate) queue: Queue<E::Event>,
    breaker: Breaker,
    last_boot_failure: Option<Failure>,
    /// Time since which the script has waited for a thread.
    waits_since: Option<Instant>,
    /// Callers of `warm` that wait for a first worker.
    warming: Vec<channel::Sender<Result<(), Failure>>>,
    /// True if it is in `State::waiting`.
    enlisted: bool,
    /// True if the script takes no new events, and is removed after its last one.
    leaving: bool,
    /// True if it was undeployed, which also ends its sessions.
    undeployed: bool,
    /// The threads that host a worker of any of its versions, or are reserved for one.
    homes: Vec<usize>,
    pub(crate) in_flight: usize,
}

pub(crate) struct Thread<E: Engine> {
    pub(crate) name: String,
    /// Channel for its next assignment; `None` if the thread must end.
    mailbox: Option<channel::Sender<Assignment<E>>>,
    /// Receiver of the assignments, until the thread is spawned.
    unspawned: Option<channel::Receiver<Assignment<E>>>,
    pub(crate) handle: Option<JoinHandle<()>>,
    pub(crate) life: Life,
    /// The version of the script that displaced a worker to get this thread.
    reserved: Option<(Arc<str>, u64)>,
    pub(crate) hosted: Option<Hosted<E>>,
    pub(crate) recorder: Arc<Mutex<Recorder>>,
    os: OsThread,
    /// Number of consecutive failures to start.
    start_failures: u32,
    /// True if this is an extra thread above the maximum. Only nested events boot workers on it.
    is_extra: bool,
}

/// The state of an OS thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It runs or is about to run.
    Alive,
    /// It has ended and can be joined at once. It is replaced at the time `again`.
    Ended { again: Option<Instant> },
    /// Stuck in native code. Another thread may have replaced it; it ends when that code returns.
    Lost,
    /// It ended on request, and was joined.
    Joined,
}

/// The pool's record of the worker on a thread.
pub(crate) struct Hosted<E: Engine> {
    pub(crate) id: WorkerId,
    pub(crate) version: Arc<Version<E>>,
    pub(crate) phase: Phase,
    /// The events it holds, in its mailbox or running.
    pub(crate) held: Vec<EventId>,
    /// Held events that another worker waits for, with their depths.
    nested: Vec<(EventId, u32)>,
    mailbox: Arc<Mailbox<Mail<E::Event>>>,
    /// Number of events given to it so far.
    given: u64,
    idle_since: Instant,
    ready_at: Instant,
    /// Time since which it yields to waiting scripts. If they find other threads first, it continues.
    yields: Option<Instant>,
    /// True if a [`Mail::Pull`] is pending.
    nudged: bool,
    /// True if it is in a long turn, and takes no events until it reads its mailbox.
    in_long_turn: bool,
    /// The events it has begun.
    table: Arc<Table>,
    /// Number of events it may hold: its script's limit, or fewer with adaptive concurrency.
    room: Arc<AtomicUsize>,
    memory: Arc<Gauge>,
    /// Deadline of its boot.
    boot_ends: Instant,
    /// The time at which the engine told it to stop, and the stop.
    told: Option<(Instant, Stop)>,
    /// Set while its thread should have returned, but has not.
    overdue: Option<Overdue>,
    /// The sessions that pin it.
    pub(crate) pins: Pins,
    /// The tasks attached to it.
    pub(crate) attached: Arc<AttachedTasks>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Booting,
    Ready {
        since: Instant,
    },
    /// It gets no new events, and ends after its last one.
    Retiring(RetireReason),
}

/// Order for a thread to host a worker.
pub(crate) struct Assignment<E: Engine> {
    pub(crate) worker: WorkerId,
    pub(crate) version: Arc<Version<E>>,
    pub(crate) mail: Arc<Mailbox<Mail<E::Event>>>,
    pub(crate) table: Arc<Table>,
    pub(crate) memory: Arc<Gauge>,
    pub(crate) room: Arc<AtomicUsize>,
    pub(crate) attached: Arc<AttachedTasks>,
}

impl<E: Engine> State<E> {
    pub(crate) fn new(settings: Arc<Settings>, totals: Arc<Counters>, now: Instant) -> Self {
        let mut state = Self {
            scripts: HashMap::default(),
            threads: Vec::new(),
            waiting: VecDeque::new(),
            queued: Arc::default(),
            crowd: Crowd::default(),
            sessions: Sessions::default(),
            boots: Boots::default(),
            memory: Arc::default(),
            yielding: false,
            open: 0,
            closing: None,
            threads_lost: 0,
            threads_respawned: 0,
            looks_at: None,
            events: 0,
            workers: 0,
            versions: 0,
            settings,
            totals,
            views: Vec::new(),
        };
        for _ in 0..state.settings.size.threads {
            state.add_thread(now);
        }
        state
    }

    /// Adds a thread that is not yet spawned. Its mailbox already accepts an assignment.
    fn add_thread(&mut self, now: Instant) -> usize {
        let is_extra = self.serving() >= self.settings.size.threads_max;
        // The entry of a lost thread that returned is free.
        if let Some(free) = self.threads.iter().position(|thread| thread.life == Life::Joined) {
            self.threads[free].revive();
            self.threads[free].is_extra = is_extra;
            return free;
        }
        let (mailbox, unspawned) = channel::bounded(1);
        self.threads.push(Thread {
            name: format!("{}-{}", self.settings.name, self.threads.len()),
            mailbox: Some(mailbox),
            unspawned: Some(unspawned),
            handle: None,
            life: Life::Alive,
            reserved: None,
            hosted: None,
            recorder: Arc::new(Mutex::new(Recorder::new(now))),
            os: OsThread::default(),
            start_failures: 0,
            is_extra,
        });
        self.threads.len() - 1
    }

    /// Updates [`Script::homes`] for a thread that hosts a worker or is reserved for one.
    fn rehome(&mut self, thread: usize, name: &str) {
        let is_home = self.threads[thread].is_home_of(name);
        if let Some(script) = self.scripts.get_mut(name) {
            script.homes.retain(|home| *home != thread);
            if is_home {
                script.homes.push(thread);
            }
        }
    }

    /// Returns whether the threads must end.
    fn is_stopping(&self) -> bool {
        self.closing.as_ref().is_some_and(Closing::is_stopping)
    }

    fn next_version(&mut self) -> u64 {
        self.versions += 1;
        self.versions
    }
}

impl<E: Engine> Thread<E> {
    /// Marks the thread for respawning.
    fn revive(&mut self) {
        let (mailbox, unspawned) = channel::bounded(1);
        self.mailbox = Some(mailbox);
        self.unspawned = Some(unspawned);
        self.life = Life::Alive;
    }

    /// Returns whether the thread hosts a worker of this script, or is reserved for one.
    fn is_home_of(&self, name: &str) -> bool {
        let hosts = self.hosted.as_ref().is_some_and(|hosted| *hosted.version.name == *name);
        hosts || self.reserved.as_ref().is_some_and(|(reserved, _)| **reserved == *name)
    }

    /// Returns whether the thread runs or is about to run.
    pub(crate) fn is_alive(&self) -> bool {
        self.life == Life::Alive
    }

    /// Returns whether a worker can be assigned to the thread now.
    fn is_vacant(&self) -> bool {
        self.life == Life::Alive && self.hosted.is_none() && self.reserved.is_none() && self.mailbox.is_some()
    }
}

impl<E: Engine> Hosted<E> {
    /// Puts an event into the worker's mailbox. Returns the time by which it should have ended.
    fn give(&mut self, mut job: Job<E::Event>, now: Instant, fx: &mut Effects<E>) -> Instant {
        job.given = now;
        let due = job.due(self.version.limits.wall_timeout);
        self.held.push(job.id);
        if job.depth > 0 {
            self.nested.push((job.id, job.depth));
        }
        fx.post(&self.mailbox, Mail::Event(job));
        self.given += 1;
        let limits = &self.version.limits;
        let (own, engine) = (
            limits.events_max.unwrap_or(u64::MAX),
            E::events_max(&self.version.script),
        );
        if self.given >= own.min(engine) {
            let reason = match limits.policy {
                crate::options::Policy::PerWorker => RetireReason::Events,
                _ if self.given >= engine && self.given > own => RetireReason::Events,
                _ => RetireReason::Policy,
            };
            self.finish(reason, fx);
        }
        due
    }

    /// Returns whether the worker has room for another event of this depth. A worker full of deeper events will have room,
    /// because they wait for no shallower one.
    fn has_room(&self, depth: u32) -> bool {
        let is_open = matches!(self.phase, Phase::Ready { .. }) && !self.in_long_turn;
        is_open && self.load(depth) < self.room.load(Ordering::Relaxed)
    }

    /// Returns a view of the worker for an event of an attached task.
    fn near(&self, depth: u32) -> Near {
        Near {
            in_flight: self.load(depth),
            turn: self.attached.turn(),
            attached: self.attached.len(),
        }
    }

    /// Returns the number of held events of at least this depth, without standing events. Shallower events do not count,
    /// because they may wait for one of this depth.
    fn load(&self, depth: u32) -> usize {
        match depth {
            0 => self.held.len() - self.pins.standing(),
            _ => self.nested.iter().filter(|(_, held)| *held >= depth).count(),
        }
    }

    /// Returns whether the worker takes its next event from the queue. It does while it holds fewer than `fill_to` events,
    /// and leaves the rest to booting workers. A nested event does not wait for those.
    fn takes_from(&self, queue: &Queue<E::Event>, fill_to: usize) -> bool {
        let first = queue.first_for(self.pins.has_room(&self.version.limits));
        first.is_some_and(|depth| self.has_room(depth) && (depth > 0 || self.load(0) < fill_to))
    }

    /// Removes events that have ended.
    fn forget(&mut self, ended: impl Fn(EventId) -> bool) {
        self.held.retain(|held| !ended(*held));
        self.nested.retain(|(held, _)| !ended(*held));
    }

    /// Returns whether the worker is ready, has neither events nor sessions, and is not in a long turn.
    fn is_idle(&self) -> bool {
        self.is_free() && matches!(self.phase, Phase::Ready { .. }) && !self.in_long_turn
    }

    /// Returns whether the worker has neither events nor sessions.
    fn is_free(&self) -> bool {
        self.held.is_empty() && self.pins.is_empty()
    }

    /// Makes the worker retire: it gets only events of its sessions. Returns false if it was retiring already.
    fn finish(&mut self, reason: RetireReason, fx: &mut Effects<E>) -> bool {
        // A worker for one event that is kept by its sessions may get another reason to retire.
        let goes_on = self.phase == Phase::Retiring(RetireReason::Policy) && !self.pins.is_empty();
        let was_final = matches!(self.phase, Phase::Retiring(_)) && self.yields.is_none() && !goes_on;
        if !was_final {
            self.yields = None;
            self.phase = Phase::Retiring(reason);
            fx.sessions_must_be_told();
        }
        !was_final
    }

    /// As [`finish`](Self::finish), and wakes a worker without events, so that it ends.
    fn retire(&mut self, reason: RetireReason, fx: &mut Effects<E>) {
        if self.finish(reason, fx) && self.is_free() {
            fx.post(&self.mailbox, Mail::Retire);
        }
    }
}
