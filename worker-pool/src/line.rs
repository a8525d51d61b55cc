//! The way to an event's caller that does not lead through its worker: for the day when the worker does not come back.

use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use isopod_outcome::Failure;

use crate::sync::{Mutex, MutexGuard};

/// Held by whoever waits for an event and by the pool, which speaks into it once, and only where nobody else will answer.
#[derive(Debug, Default)]
pub(crate) struct Line {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    lost: Option<Failure>,
    waiting: Option<Waker>,
}

impl Line {
    /// Says that no answer will come. Gives who is to be woken for it.
    pub(crate) fn give_up(&self, failure: Failure) -> Option<Waker> {
        let mut state = self.lock();
        state.lost = Some(failure);
        state.waiting.take()
    }

    /// What was said.
    pub(crate) fn lost(&self) -> Option<Failure> {
        self.lock().lost.clone()
    }

    /// Ready, from then on, once no answer will come.
    pub(crate) fn poll_lost(&self, cx: &Context<'_>) -> Poll<Failure> {
        let mut state = self.lock();
        if let Some(failure) = &state.lost {
            return Poll::Ready(failure.clone());
        }
        match &mut state.waiting {
            Some(waiting) => waiting.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics, so a poisoned line is still a consistent one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
