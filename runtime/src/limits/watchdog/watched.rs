//! The state of an isolate shared by its thread and the watchdog. All atomics are in this file.
//!
//! A turn is armed with a new generation and the `BUSY` bit. A late termination cannot hit the next event: the watchdog
//! first has to replace `BUSY` of the generation it judged with `FIRED` in one compare-and-swap. If the turn ended
//! before, that fails and nothing happens. If it succeeds, the worker finds `FIRED` when it ends the turn, and its
//! isolate is condemned: an isolate that is terminated late is never used again.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use deno_core::v8::{IsolateHandle, UnsafeRawIsolatePtr};
use isopod_ext::event::{EventKey, FaultKind};

use super::super::cpu_clock::CpuClock;
use super::super::on_notice::{Noticed, OnNotice};
use super::super::os_priority::OsPriority;
use super::account::{Accounts, Answer, Entered, SoftCpu};
use super::native::Interrupt as NativeInterrupt;

const BUSY: u64 = 1;
const FIRED: u64 = 2;
/// The thread's priority was lowered.
const LOWERED: u64 = 4;
const GENERATION: u64 = 8;

const BOOT: u64 = 1 << 33;
const LOOP: u64 = 1 << 32;

/// Half a second: collecting a full heap takes time, and an earlier termination would wait for the same safe points.
const BLAME_LOOKS_MAX: u32 = 100;

/// CPU time of a turn after it was ended, until its thread's priority is lowered: that which a pool gives it by default before the
/// thread is lost. With a lower priority it might never return on a busy machine.
const END_CPU_MAX: Duration = Duration::from_secs(1);

/// Numbers of two requests: which event is to blame, and how much memory is in use.
pub(super) const BLAME: usize = usize::MAX;
pub(super) const MEMORY: usize = usize::MAX - 1;

/// A callback that V8 runs at a safe point, with the isolate and the number of the question.
pub(super) type Interrupt = unsafe extern "C" fn(UnsafeRawIsolatePtr, *mut c_void);

/// The limit for which a turn was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Limit {
    Cpu,
    Wall,
    Memory,
}

impl Limit {
    const ALL: [Self; 3] = [Self::Cpu, Self::Wall, Self::Memory];
}

/// The reason why a turn was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) limit: Limit,
    /// The event whose code was running, if known.
    pub(crate) event: Option<EventKey>,
}

/// A warning for a script that approaches a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Soft {
    Cpu(SoftCpu),
    Memory { used: usize, max: usize },
}

/// The end of a turn.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Well,
    /// Warnings for the script are posted: see [`Watch::soft`].
    Soft,
    /// The turn was terminated, and the isolate must not be used again.
    Breached(Breach),
}

/// The watchdog's view of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Idle,
    /// In a turn. The state is to be passed to [`Watched::fire`].
    Busy(u64),
    /// To be terminated repeatedly until acknowledged: code that catches a termination can make one ineffective.
    Fired,
}

/// A watched isolate.
pub(crate) struct Watched {
    state: AtomicU64,
    /// The reason for entering the isolate.
    entered: AtomicU64,
    /// The number of the last answered question, and the answer, which is written before the number.
    answered: AtomicU64,
    answer_turn: AtomicU64,
    answer_event: AtomicU64,
    answer_is_leftover: AtomicBool,
    /// An event that exceeded its limit, plus one.
    over: AtomicU64,
    /// The isolate has been asked to look at its memory.
    memory_asked: AtomicBool,
    breach_event: AtomicU64,
    breach_limit: AtomicU8,
    /// Number of samples for which the isolate may still name the event to blame, before it is terminated from outside.
    blame_looks: AtomicU32,
    soft: Mutex<Vec<Soft>>,
    /// `soft` may not be empty. Not part of the turn's state: a warning may be posted between two turns.
    soft_posted: AtomicBool,
    pub(super) accounts: Mutex<Accounts>,
    pub(super) isolate: IsolateHandle,
    interrupt: Interrupt,
    pub(super) clock: CpuClock,
    pub(super) native: NativeInterrupt,
    on_notice: Option<OnNotice>,
    priority: OsPriority,
    /// CPU time of the thread at the first sample after the turn was ended.
    end_cpu: OnceLock<Duration>,
    /// The turn at the last sample. Used by the watchdog only.
    last_turn: AtomicU64,
    /// The isolate's thread.
    thread: ThreadId,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn packed(event: Option<EventKey>) -> u64 {
    event.map_or(0, |key| u64::from(key) + 1)
}

fn unpacked(event: u64) -> Option<EventKey> {
    event.checked_sub(1).and_then(|key| EventKey::try_from(key).ok())
}

impl Watched {
    pub(super) fn new(
        isolate: IsolateHandle,
        interrupt: Interrupt,
        clock: CpuClock,
        accounts: Accounts,
        on_notice: Option<OnNotice>,
        priority: OsPriority,
    ) -> Self {
        Self {
            state: AtomicU64::new(0),
            entered: AtomicU64::new(BOOT),
            answered: AtomicU64::new(0),
            answer_turn: AtomicU64::new(0),
            answer_event: AtomicU64::new(0),
            answer_is_leftover: AtomicBool::new(false),
            over: AtomicU64::new(0),
            memory_asked: AtomicBool::new(false),
            breach_event: AtomicU64::new(0),
            breach_limit: AtomicU8::new(Limit::Cpu as u8),
            blame_looks: AtomicU32::new(0),
            soft: Mutex::new(Vec::new()),
            soft_posted: AtomicBool::new(false),
            accounts: Mutex::new(accounts),
            isolate,
            interrupt,
            clock,
            native: NativeInterrupt::default(),
            on_notice,
            priority,
            end_cpu: OnceLock::new(),
            last_turn: AtomicU64::new(0),
            thread: thread::current().id(),
        }
    }

    /// Records that time of this thread is charged, so that it is not charged again if it is the worker's.
    pub(super) fn was_charged(&self, used: Duration) {
        if self.thread == thread::current().id() {
            self.accounts().was_charged(used);
        }
    }

    /// Charges an event for time spent for it outside of its code.
    pub(super) fn charge_event(&self, event: EventKey, used: Duration) -> bool {
        let mut accounts = self.accounts();
        if event == 0 {
            // The start of a worker, or a command, which has no events.
            return self.entered() == Entered::Boot && accounts.charge_boot(used);
        }
        let is_over = accounts.charge(event, used);
        drop(accounts);
        if is_over {
            self.post_over(event);
        }
        is_over
    }

    pub(crate) fn accounts(&self) -> MutexGuard<'_, Accounts> {
        locked(&self.accounts)
    }

    pub(super) fn notice(&self, noticed: Noticed) {
        if let Some(on_notice) = &self.on_notice {
            on_notice.call(noticed);
        }
    }

    pub(super) fn seen(&self) -> Seen {
        let state = self.state.load(Ordering::SeqCst);
        match (state & FIRED != 0, state & BUSY != 0) {
            (true, _) => Seen::Fired,
            (false, true) => Seen::Busy(state),
            (false, false) => Seen::Idle,
        }
    }

    /// The turn that a state belongs to.
    pub(super) const fn turn_of(state: u64) -> u64 {
        state / GENERATION
    }

    /// Returns true if it has begun a turn since the last call.
    pub(super) fn has_moved(&self) -> bool {
        let turn = Self::turn_of(self.state.load(Ordering::Relaxed));
        self.last_turn.swap(turn, Ordering::Relaxed) != turn
    }

    /// Lowers its thread's priority until, at most, the end of the turn seen in this state.
    pub(super) fn lower_priority(&self, state: u64) {
        // The turn's end finds the bit, and waits until lowering is done before it raises the priority.
        self.priority.lower_if(|| self.add(state, LOWERED));
    }

    /// Lowers the priority of a turn that continues long after it was ended: native code that cannot be interrupted.
    pub(super) fn lower_priority_of_the_lost(&self) {
        let Some(cpu) = self.clock.elapsed() else { return };
        let since = self.end_cpu.get_or_init(|| cpu);
        if cpu.saturating_sub(*since) >= END_CPU_MAX {
            self.priority.lower_if(|| true);
        }
    }

    /// Raises the priority again.
    pub(super) fn raise_priority(&self) {
        self.priority.raise();
    }

    /// Adds a bit to the state of a turn seen in this state. Returns `false` if that turn has ended, or was ended.
    fn add(&self, state: u64, bit: u64) -> bool {
        let turn = Self::turn_of(state);
        let add = |now| (now & BUSY != 0 && Self::turn_of(now) == turn).then_some(now | bit);
        self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add).is_ok()
    }

    pub(super) fn entered(&self) -> Entered {
        let entered = self.entered.load(Ordering::SeqCst);
        let key = EventKey::try_from(entered & u64::from(EventKey::MAX)).unwrap_or(0);
        match (entered & BOOT != 0, entered & LOOP != 0) {
            (true, _) => Entered::Boot,
            (false, true) => Entered::Loop(key),
            (false, false) => Entered::Event(key),
        }
    }

    /// Ends the turn seen in this state. Returns `false` if it has ended by itself.
    pub(super) fn fire(&self, state: u64, breach: Breach) -> bool {
        self.breach_limit.store(breach.limit as u8, Ordering::Relaxed);
        self.breach_event.store(packed(breach.event), Ordering::Relaxed);
        let turn = Self::turn_of(state);
        let fire = |now| (now & BUSY != 0 && Self::turn_of(now) == turn).then_some((now & !BUSY) | FIRED);
        self.state
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, fire)
            .is_ok()
    }

    /// Ends the running turn from the isolate's own thread, without terminating it yet.
    pub(super) fn fire_from_inside(&self, breach: Breach) {
        let state = self.state.load(Ordering::SeqCst);
        if state & BUSY != 0 {
            self.fire(state, breach);
        }
    }

    /// Defers to the isolate, which is in the middle of a collection, and will terminate itself and name the event to
    /// blame at its next safe point.
    pub(super) fn await_blame(&self) {
        self.blame_looks.store(BLAME_LOOKS_MAX, Ordering::Relaxed);
    }

    /// Returns true if an ended turn has to be terminated from outside.
    pub(super) fn blame_is_overdue(&self) -> bool {
        let left = self.blame_looks.load(Ordering::Relaxed);
        self.blame_looks.store(left.saturating_sub(1), Ordering::Relaxed);
        left == 0
    }

    /// Records the event to blame, once it is known.
    pub(super) fn blame(&self, event: Option<EventKey>) {
        self.blame_looks.store(0, Ordering::Relaxed);
        self.breach_event.store(packed(event), Ordering::Relaxed);
    }

    /// Posts a warning for the script at the end of the running turn, or of the next one. Callable from any thread.
    pub(crate) fn post_soft(&self, soft: Soft) {
        let mut posted = locked(&self.soft);
        posted.push(soft);
        self.soft_posted.store(true, Ordering::Relaxed);
    }

    /// Marks an event to be ended when it next runs.
    pub(super) fn post_over(&self, event: EventKey) {
        self.over.store(packed(Some(event)), Ordering::Relaxed);
    }

    pub(super) fn is_over(&self, event: EventKey) -> bool {
        self.over.load(Ordering::Relaxed) == packed(Some(event))
    }

    /// Asks whose code is running. The isolate's thread answers at its next safe point.
    pub(super) fn ask(&self, number: u64) {
        self.request_interrupt(number as usize);
    }

    /// Asks for a look at the memory, once until it happens.
    pub(super) fn ask_memory(&self) {
        if !self.memory_asked.swap(true, Ordering::Relaxed) {
            self.request_interrupt(MEMORY);
        }
    }

    pub(super) fn memory_looked_at(&self) {
        self.memory_asked.store(false, Ordering::Relaxed);
    }

    fn request_interrupt(&self, number: usize) {
        // The number is the callback's data itself, so nothing leaks if it is never called.
        self.isolate.request_interrupt(self.interrupt, number as *mut c_void);
    }

    /// Ends the running turn for exceeding memory, at the next safe point, where the event to blame is known.
    pub(crate) fn end_for_memory(&self) {
        self.await_blame();
        self.fire_from_inside(Breach {
            limit: Limit::Memory,
            event: None,
        });
        self.request_interrupt(BLAME);
    }

    /// Blocks the isolate's thread forever, in the middle of uninterruptible native code whose next allocation would
    /// abort the process. The host detects the stuck thread and replaces it. Returns if there is no host that would.
    pub(crate) fn lose_for_memory(&self) {
        if self.on_notice.is_none() {
            return;
        }
        self.notice(Noticed::Stopping(FaultKind::ExceededMemory));
        loop {
            thread::park();
        }
    }

    /// Answers a question, on the isolate's thread.
    pub(super) fn answer(&self, number: u64, event: Option<EventKey>, is_leftover: bool) {
        let turn = Self::turn_of(self.state.load(Ordering::Relaxed));
        self.answer_turn.store(turn, Ordering::Relaxed);
        self.answer_event.store(packed(event), Ordering::Relaxed);
        self.answer_is_leftover.store(is_leftover, Ordering::Relaxed);
        self.answered.store(number, Ordering::Release);
    }

    /// The answer to the question with this number, if any. There is one question at a time.
    pub(super) fn answer_to(&self, number: u64) -> Option<Answer> {
        (self.answered.load(Ordering::Acquire) == number).then(|| Answer {
            turn: self.answer_turn.load(Ordering::Relaxed),
            event: unpacked(self.answer_event.load(Ordering::Relaxed)),
            is_leftover: self.answer_is_leftover.load(Ordering::Relaxed),
        })
    }

    /// The reason for ending the turn that was found fired.
    fn breach(&self) -> Breach {
        let limit = usize::from(self.breach_limit.load(Ordering::Relaxed));
        let limit = Limit::ALL.get(limit).copied().unwrap_or(Limit::Cpu);
        let known = unpacked(self.breach_event.load(Ordering::Relaxed));
        let event = known.or(match self.entered() {
            Entered::Event(key) => Some(key),
            Entered::Loop(_) | Entered::Boot => None,
        });
        Breach { limit, event }
    }
}

/// Wakes the watchdog from a worker's side.
pub(super) struct Bell {
    pub(super) asleep: AtomicBool,
}

/// A worker's side: arms and disarms the watchdog around each turn.
pub(crate) struct Watch {
    watched: Arc<Watched>,
    bell: Arc<Bell>,
    thread: Option<thread::Thread>,
    generation: u64,
    newest: EventKey,
    blind: bool,
}

impl Watch {
    pub(super) fn new(watched: Arc<Watched>, bell: Arc<Bell>, thread: Option<thread::Thread>) -> Self {
        Self {
            watched,
            bell,
            thread,
            generation: 0,
            newest: 0,
            blind: false,
        }
    }

    /// Disables watching from now on, to measure its cost.
    pub(crate) const fn look_away(&mut self) {
        self.blind = true;
    }

    /// Begins a turn of the worker's start.
    pub(crate) fn arm_for_boot(&mut self) {
        self.arm(BOOT);
    }

    /// Begins a turn that enters the isolate for an event. Each new event has a higher key than all before.
    pub(crate) fn arm_for(&mut self, event: EventKey) {
        self.newest = self.newest.max(event);
        self.arm(u64::from(event));
    }

    /// Begins a turn of the event loop.
    pub(crate) fn arm_for_loop(&mut self) {
        self.arm(LOOP | u64::from(self.newest));
    }

    fn arm(&mut self, entered: u64) {
        if self.blind {
            return;
        }
        self.generation = self.generation.wrapping_add(GENERATION);
        self.watched.entered.store(entered, Ordering::Relaxed);
        self.watched.state.store(self.generation | BUSY, Ordering::SeqCst);
        // Sequentially consistent: either this thread sees that the watchdog sleeps, or that sees a busy worker.
        if self.bell.asleep.load(Ordering::SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.unpark();
        }
    }

    /// Ends the turn.
    pub(crate) fn disarm(&mut self) -> Ended {
        if self.blind {
            return Ended::Well;
        }
        let state = self.watched.state.swap(self.generation, Ordering::SeqCst);
        if state & LOWERED != 0 {
            self.watched.priority.restore();
        }
        if state & FIRED != 0 {
            return Ended::Breached(self.watched.breach());
        }
        if self.watched.soft_posted.load(Ordering::Relaxed) {
            return Ended::Soft;
        }
        Ended::Well
    }

    /// Takes the soft limits to warn the script of.
    pub(crate) fn soft(&self) -> Vec<Soft> {
        let mut soft = locked(&self.watched.soft);
        // Under the lock: a warning posted later sets it again.
        self.watched.soft_posted.store(false, Ordering::Relaxed);
        std::mem::take(&mut soft)
    }

    pub(crate) fn watched(&self) -> &Arc<Watched> {
        &self.watched
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The watchdog may hold this for a little longer than the thread lives.
        self.watched.priority.release();
    }
}
