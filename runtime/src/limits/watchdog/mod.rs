//! The watchdog: a thread that ends JavaScript that exceeds its CPU limit or its deadline.
//!
//! The hot path takes two atomic operations per turn and no system call. A turn is armed by storing a new generation
//! with the `BUSY` bit; the watchdog takes a sample every [`TICK`] while any worker is busy, and sleeps without a timer
//! otherwise. CPU time is read from outside, from the thread's own clock, so waiting is free. `account.rs` decides
//! which event is charged, `sampler.rs` determines whose code is running, and `watched.rs` has the state shared by both
//! sides.
//!
//! The samples also serve to lower the priority of threads in long turns (`os_priority.rs`).

mod account;
mod native;
mod sampler;
mod watched;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use deno_core::v8::IsolateHandle;
use isopod_ext::event::{CpuAccount, EventKey};
use isopod_ext::handlers::FaultKind;

use self::account::{Accounts, Entered, Sample, Standing};
use self::watched::{Bell, Seen};
use super::cpu_clock::CpuClock;
use super::on_notice::{Noticed, OnNotice};
use super::os_priority::{self, OsPriority, OsScheduling};

pub(crate) use self::account::CpuLimits;
pub(crate) use self::sampler::Sampler;
pub(crate) use self::watched::{Breach, Ended, Limit, Soft, Watch, Watched};

/// Interval between samples of busy workers: a limit is enforced within two of these.
const TICK: Duration = Duration::from_millis(5);

/// Idle time after which the watchdog sleeps. Without this delay, arming would often pay for a wake-up.
const LINGER: Duration = Duration::from_millis(100);

impl CpuAccount for Watched {
    fn charge(&self, event: EventKey, used: Duration) -> bool {
        self.was_charged(used);
        self.charge_event(event, used)
    }

    fn charge_elsewhere(&self, event: EventKey, used: Duration) -> bool {
        self.charge_event(event, used)
    }

    fn renew(&self, event: EventKey) {
        self.accounts().renew(event);
    }

    fn is_ending(&self) -> bool {
        self.seen() == Seen::Fired
    }

    fn interrupt_with(&self, interrupt: Option<Box<dyn Fn() + Send>>) {
        self.native.set(interrupt);
    }
}

struct Shared {
    workers: Mutex<Vec<Weak<Watched>>>,
    bell: Arc<Bell>,
    stop: AtomicBool,
    lowers: bool,
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
    /// The operating system's error if it cannot create a thread.
    pub fn start(scheduling: OsScheduling) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            workers: Mutex::new(Vec::new()),
            bell: Arc::new(Bell {
                asleep: AtomicBool::new(false),
            }),
            stop: AtomicBool::new(false),
            lowers: scheduling == OsScheduling::Tuned && os_priority::can_restore(),
        });
        let seen = shared.clone();
        let thread = thread::Builder::new()
            .name("isopod-watchdog".into())
            .spawn(move || Rounds::new(&seen).run())?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Starts watching the isolate of this thread. Must be called on the isolate's thread, whose clock is used.
    pub(crate) fn watch(
        &self,
        isolate: IsolateHandle,
        limits: CpuLimits,
        on_notice: Option<OnNotice>,
    ) -> io::Result<Watch> {
        let clock = CpuClock::of_this_thread()?;
        let accounts = Accounts::new(limits, clock.elapsed().unwrap_or_default());
        let priority = match self.shared.lowers {
            true => OsPriority::of_this_thread(),
            false => OsPriority::left_alone(),
        };
        let watched = Arc::new(Watched::new(
            isolate,
            sampler::on_interrupt,
            clock,
            accounts,
            on_notice,
            priority,
        ));
        let mut workers = self.shared.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.retain(|other| other.strong_count() > 0);
        workers.push(Arc::downgrade(&watched));
        drop(workers);
        let thread = self.thread.as_ref().map(|thread| thread.thread().clone());
        Ok(Watch::new(watched, self.shared.bell.clone(), thread))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It never runs user code and never blocks, so this takes at most one tick.
            drop(thread.join());
        }
    }
}

/// The loop of the watchdog's thread.
struct Rounds<'a> {
    shared: &'a Shared,
    /// Number of wake-ups. CPU time used before the last one was not watched.
    awake: u64,
}

impl<'a> Rounds<'a> {
    const fn new(shared: &'a Shared) -> Self {
        Self { shared, awake: 1 }
    }

    fn run(mut self) {
        let mut last_busy = Instant::now();
        while !self.stopped() {
            let busy = self.look();
            let now = Instant::now();
            if busy {
                last_busy = now;
            }
            if busy || now.duration_since(last_busy) < LINGER {
                thread::park_timeout(TICK);
                continue;
            }
            let asleep = &self.shared.bell.asleep;
            asleep.store(true, Ordering::SeqCst);
            if !self.look() && !self.stopped() {
                thread::park();
                self.awake += 1;
            }
            asleep.store(false, Ordering::SeqCst);
            last_busy = Instant::now();
        }
    }

    fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::SeqCst)
    }

    /// Samples every worker. Returns `true` if any is busy.
    fn look(&self) -> bool {
        let workers = self.shared.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let workers = || workers.iter().filter_map(Weak::upgrade);
        let mut busy = false;
        // Counts all instead of stopping at the first, because each must be asked.
        let others_move = workers().filter(|watched| watched.has_moved()).count() > 0;
        for watched in workers() {
            match watched.seen() {
                Seen::Idle => watched.accounts().glance(Instant::now(), watched.entered()),
                Seen::Fired => {
                    watched.native.call();
                    if watched.blame_is_overdue() {
                        watched.isolate.terminate_execution();
                    }
                    watched.lower_priority_of_the_lost();
                    busy = true;
                }
                Seen::Busy(state) => {
                    self.judge(&watched, state, others_move);
                    busy = true;
                }
            }
        }
        busy
    }

    /// Decides about a busy worker. `others_move`: a worker has begun a turn since the last sample; a long turn began before.
    fn judge(&self, watched: &Watched, state: u64, others_move: bool) {
        let Some(cpu) = watched.clock.elapsed() else { return };
        let mut accounts = watched.accounts();
        accounts.wake(self.awake, cpu);
        let number = accounts.question();
        let entered = watched.entered();
        let judgement = accounts.judge(Sample {
            at: Instant::now(),
            cpu,
            turn: Watched::turn_of(state),
            entered,
            answer: watched.answer_to(number),
        });
        let number = accounts.question();
        drop(accounts);
        let cpu = judgement
            .breach
            .map(|event| (Limit::Cpu, FaultKind::ExceededCpu, event));
        let late = judgement
            .late
            .map(|event| (Limit::Wall, FaultKind::ExceededWall, event));
        if let Some((limit, kind, event)) = cpu.or(late) {
            if watched.fire(state, Breach { limit, event }) {
                // The thread is on its way to end the turn.
                watched.raise_priority();
                watched.isolate.terminate_execution();
                watched.notice(Noticed::Stopping(kind));
            }
            return;
        }
        if judgement.is_long {
            watched.notice(Noticed::LongTurn);
        }
        match judgement.standing {
            Standing::Lowered if others_move => watched.lower_priority(state),
            Standing::Lowered => {}
            Standing::Normal => watched.raise_priority(),
        }
        if let Some(soft) = judgement.soft {
            watched.post_soft(Soft::Cpu(soft));
        }
        if let Some(event) = judgement.over {
            watched.post_over(event);
        }
        if judgement.ask {
            watched.ask(number);
        }
        // The start of a worker belongs to no event, so no other question is asked.
        if entered == Entered::Boot {
            watched.ask_memory();
        }
    }
}
