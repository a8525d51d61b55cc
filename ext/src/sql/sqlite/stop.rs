//! Stops a call early: its event has ended, its time is over, or its CPU time is used up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::InterruptHandle;

use crate::event::{CpuBudget, thread_cpu};
use crate::sql::call::SqlError;

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
    pub(super) fn begin(&self, interrupt: InterruptHandle) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running = Some(interrupt);
        state.charged = thread_cpu();
    }

    /// Ends the call on this thread.
    pub(super) fn end(&self) {
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
