//! The watchdog: one thread that ends JavaScript which burns CPU beyond its limit.
//!
//! The hot path takes two atomic operations a turn and no system call. A worker's turn is armed by storing a fresh
//! generation with the `BUSY` bit; the watchdog looks every [`TICK`] while anything is busy, and sleeps without a timer
//! when nothing is. CPU time is read from the thread's own clock, from outside: waiting costs nothing.
//!
//! A late termination cannot hit the next event. The watchdog must first turn `BUSY` of the generation it judged into
//! `FIRED` in one compare-and-swap; if the turn ended before, that fails and nothing happens; if it succeeds, the worker
//! finds `FIRED` when it ends the turn, and its isolate is condemned: whatever is terminated late is never used again.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, mem, thread};

use deno_core::v8::IsolateHandle;

use crate::cpu_clock::CpuClock;

/// How often busy workers are looked at: a limit holds to within this.
const TICK: Duration = Duration::from_millis(5);

/// How long after the last busy worker the watchdog goes to sleep; below it, arming would pay for a wake-up each time.
const LINGER: Duration = Duration::from_millis(100);

const BUSY: u64 = 1;
const FIRED: u64 = 2;
const GENERATION: u64 = 4;

/// Why a turn was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breach {
    Cpu,
    Memory,
}

/// What a worker's thread and the watchdog share about one isolate.
pub(crate) struct Watched {
    state: AtomicU64,
    /// The limit of the turn in nanoseconds of CPU time.
    limit_ns: AtomicU64,
    breach: AtomicU8,
    isolate: IsolateHandle,
    clock: CpuClock,
}

impl Watched {
    fn fire(&self, state: u64, breach: Breach) -> bool {
        let fired = (state & !BUSY) | FIRED;
        self.breach.store(breach as u8 + 1, Ordering::Release);
        self.state
            .compare_exchange(state, fired, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// Ends the running turn from inside it, for a breach that V8 itself reports.
    pub(crate) fn breach_from_inside(&self, breach: Breach) {
        let state = self.state.load(Ordering::SeqCst);
        if state & BUSY != 0 {
            self.fire(state, breach);
        }
        self.isolate.terminate_execution();
    }
}

struct Shared {
    watched: Mutex<Vec<Weak<Watched>>>,
    asleep: AtomicBool,
    stop: AtomicBool,
}

/// The owner of the watchdog's thread. Dropping it stops and joins the thread.
pub struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Starts the thread.
    ///
    /// # Errors
    /// What the operating system says when it has no thread to give.
    pub fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared {
            watched: Mutex::new(Vec::new()),
            asleep: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let seen = shared.clone();
        let thread = thread::Builder::new()
            .name("isopod-watchdog".into())
            .spawn(move || watch(&seen))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Puts the isolate that runs on this thread under watch. Must be called on the isolate's thread: the clock is this
    /// thread's.
    pub(crate) fn watch(&self, isolate: IsolateHandle) -> io::Result<Watch> {
        let watched = Arc::new(Watched {
            state: AtomicU64::new(0),
            limit_ns: AtomicU64::new(u64::MAX),
            breach: AtomicU8::new(0),
            isolate,
            clock: CpuClock::of_this_thread()?,
        });
        let mut all = self.shared.watched.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&watched));
        drop(all);
        let thread = self.thread.as_ref().map(|thread| thread.thread().clone());
        Ok(Watch {
            watched,
            shared: self.shared.clone(),
            thread,
            generation: 0,
        })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It never runs user code and never blocks: this is a matter of one tick.
            drop(thread.join());
        }
    }
}

/// The worker's side: arms and disarms the watchdog around each turn.
pub(crate) struct Watch {
    watched: Arc<Watched>,
    shared: Arc<Shared>,
    thread: Option<thread::Thread>,
    generation: u64,
}

impl Watch {
    /// Begins a turn that may take `limit` of CPU time.
    pub(crate) fn arm(&mut self, limit: Duration) {
        self.generation = self.generation.wrapping_add(GENERATION);
        let limit = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        self.watched.limit_ns.store(limit, Ordering::Relaxed);
        self.watched.state.store(self.generation | BUSY, Ordering::SeqCst);
        // Sequentially consistent on both sides: either this sees it asleep, or it sees this busy before it sleeps.
        if self.shared.asleep.load(Ordering::SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.unpark();
        }
    }

    /// Ends the turn. `Some`: it was terminated, and the isolate must not be used again.
    #[must_use]
    pub(crate) fn disarm(&mut self) -> Option<Breach> {
        let state = self.watched.state.swap(self.generation, Ordering::SeqCst);
        (state & FIRED != 0).then(|| match self.watched.breach.load(Ordering::Acquire) {
            2 => Breach::Memory,
            _ => Breach::Cpu,
        })
    }

    pub(crate) fn watched(&self) -> &Arc<Watched> {
        &self.watched
    }
}

/// A turn as the watchdog saw it first.
struct Seen {
    watched: Arc<Watched>,
    state: u64,
    cpu_at: Duration,
}

fn watch(shared: &Shared) {
    let mut seen: Vec<Seen> = Vec::new();
    let mut last_busy = Instant::now();
    while !shared.stop.load(Ordering::SeqCst) {
        let busy = look(shared, &mut seen);
        let now = Instant::now();
        if busy {
            last_busy = now;
        }
        if busy || now.duration_since(last_busy) < LINGER {
            thread::park_timeout(TICK);
            continue;
        }
        shared.asleep.store(true, Ordering::SeqCst);
        if !look(shared, &mut seen) && !shared.stop.load(Ordering::SeqCst) {
            seen.clear();
            thread::park();
        }
        shared.asleep.store(false, Ordering::SeqCst);
        last_busy = Instant::now();
    }
}

/// Judges every worker once. `true` when any is busy.
fn look(shared: &Shared, seen: &mut Vec<Seen>) -> bool {
    let all = shared.watched.lock().unwrap_or_else(PoisonError::into_inner);
    let before = mem::take(seen);
    let mut busy = false;
    for watched in all.iter().filter_map(Weak::upgrade) {
        let state = watched.state.load(Ordering::SeqCst);
        if state & FIRED != 0 {
            // Until the worker has acknowledged: one termination can be lost to code that catches it in between.
            watched.isolate.terminate_execution();
            busy = true;
        } else if state & BUSY != 0 {
            busy = true;
            judge(watched, state, &before, seen);
        }
    }
    busy
}

fn judge(watched: Arc<Watched>, state: u64, before: &[Seen], seen: &mut Vec<Seen>) {
    let Some(cpu) = watched.clock.elapsed() else { return };
    let known = before
        .iter()
        .find(|other| Arc::ptr_eq(&other.watched, &watched) && other.state == state);
    let cpu_at = known.map_or(cpu, |known| known.cpu_at);
    let limit = Duration::from_nanos(watched.limit_ns.load(Ordering::Relaxed));
    if cpu.saturating_sub(cpu_at) >= limit && watched.fire(state, Breach::Cpu) {
        watched.isolate.terminate_execution();
        return;
    }
    seen.push(Seen { watched, state, cpu_at });
}
