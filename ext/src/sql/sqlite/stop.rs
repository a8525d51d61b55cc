//! When a call must end before it is done: its event is over, its time is, or it has used its CPU time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::InterruptHandle;

use crate::event::{CpuBudget, thread_cpu};
use crate::sql::call::SqlError;

/// Why a call ends before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Abandoned,
    Timeout,
    Cpu,
}

/// What a call's thread asks while SQLite works, and how it is told to stop.
pub(super) struct Stop {
    deadline: Instant,
    cpu: CpuBudget,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    abandoned: bool,
    /// There while the call runs: an interrupt after its end would meet the next call.
    running: Option<InterruptHandle>,
    /// CPU time of the thread that is charged.
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

    /// Whether and why the call must end now. Called on its thread.
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

    /// What a call ends with that was stopped.
    pub(super) fn error(&self, reason: Reason, timeout: Duration) -> SqlError {
        match reason {
            Reason::Abandoned => SqlError::Abandoned,
            Reason::Timeout => SqlError::Timeout(timeout),
            Reason::Cpu => SqlError::Cpu(self.cpu.max()),
        }
    }

    /// Charges the CPU time since the last look. Whether the call is abandoned, and whether there is no time left.
    fn charge(&self) -> (bool, bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = thread_cpu();
        let is_used_up = self.cpu.charge(now.saturating_sub(state.charged));
        state.charged = now;
        (state.abandoned, is_used_up)
    }
}

/// Stops a call when it is dropped.
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
