//! Stops a call early: its event has ended, or its deadline or its CPU limit has passed.
//!
//! SQLite's virtual machine polls for that. Its native code does so where it allocates memory, and in full-text search for each hit
//! ([`is_call_stopped`]).

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::InterruptHandle;

use crate::event::{CpuBudget, thread_cpu};
use crate::sql::call::SqlError;

/// Number of questions of native code for each look at the clocks.
const QUESTIONS_PER_LOOK: u32 = 16;

thread_local! {
    /// The call that runs on this thread.
    static RUNNING: RefCell<Option<Arc<Stop>>> = const { RefCell::new(None) };
    /// Number of questions since the last look.
    static QUESTIONS: Cell<u32> = const { Cell::new(0) };
    /// True while the connection's own statements run, which are short and must succeed.
    static IS_OWN: Cell<bool> = const { Cell::new(false) };
}

/// Returns true if the statement that runs on this thread has to stop. Native code of SQLite asks that in its loops. False outside
/// of calls of scripts.
#[must_use]
pub fn is_call_stopped() -> bool {
    let asked = (QUESTIONS.get() + 1).min(QUESTIONS_PER_LOOK);
    QUESTIONS.set(asked);
    if asked < QUESTIONS_PER_LOOK || IS_OWN.get() {
        return false;
    }
    // The thread may be ending, and the call may be beginning.
    let stopped = RUNNING.try_with(|running| match running.try_borrow().as_deref() {
        Ok(Some(stop)) => stop.reason().is_some() || stop.cpu.is_ending(),
        _ => false,
    });
    // Once it has to stop, each question is answered with yes.
    let is_stopped = stopped.unwrap_or(false);
    QUESTIONS.set(if is_stopped { QUESTIONS_PER_LOOK } else { 0 });
    is_stopped
}

/// Runs statements of the connection's own, which are not stopped.
pub(super) fn unstopped<T>(run: impl FnOnce() -> T) -> T {
    let before = IS_OWN.replace(true);
    let done = run();
    IS_OWN.set(before);
    done
}

/// The reason for stopping a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Abandoned,
    Timeout,
    Cpu,
}

/// The state of a running call: checked by its thread, and used to stop it.
pub(super) struct Stop {
    deadline: Instant,
    cpu: CpuBudget,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    abandoned: bool,
    /// Present while the call runs: a later interrupt would hit the next call.
    running: Option<InterruptHandle>,
    /// The thread's CPU time that has been charged.
    charged: Duration,
}

impl Stop {
    pub(super) fn new(deadline: Instant, cpu: CpuBudget) -> Self {
        Self {
            deadline,
            cpu,
            state: Mutex::default(),
        }
    }

    /// Begins the call on this thread.
    pub(super) fn begin(self: &Arc<Self>, interrupt: InterruptHandle) {
        QUESTIONS.set(0);
        RUNNING.set(Some(Arc::clone(self)));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running = Some(interrupt);
        state.charged = thread_cpu();
    }

    /// Ends the call on this thread.
    pub(super) fn end(&self) {
        RUNNING.take();
        self.charge();
        self.state.lock().unwrap_or_else(PoisonError::into_inner).running = None;
    }

    /// The reason for stopping now, if any. Called on the call's thread.
    pub(super) fn reason(&self) -> Option<Reason> {
        let (is_abandoned, is_used_up) = self.charge();
        if is_abandoned {
            Some(Reason::Abandoned)
        } else if Instant::now() >= self.deadline {
            Some(Reason::Timeout)
        } else if is_used_up {
            Some(Reason::Cpu)
        } else {
            None
        }
    }

    /// The error of a stopped call.
    pub(super) fn error(&self, reason: Reason, timeout: Duration) -> SqlError {
        match reason {
            Reason::Abandoned => SqlError::Abandoned,
            Reason::Timeout => SqlError::Timeout(timeout),
            Reason::Cpu => SqlError::Cpu(self.cpu.max()),
        }
    }

    /// Charges the CPU time since the last check. Returns whether the call is abandoned, and whether its CPU time is
    /// used up.
    fn charge(&self) -> (bool, bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = thread_cpu();
        let is_used_up = self.cpu.charge(now.saturating_sub(state.charged));
        state.charged = now;
        (state.abandoned, is_used_up)
    }
}

/// Stops a call when dropped.
pub(super) struct StopOnDrop(pub(super) Arc<Stop>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.abandoned = true;
        if let Some(interrupt) = &state.running {
            interrupt.interrupt();
        }
    }
}
