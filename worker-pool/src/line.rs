//! A channel to an event's caller that does not depend on its worker, in case the worker is lost.

use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use isopod_outcome::Failure;

use crate::sync::{Mutex, MutexGuard};

/// A cell shared by the caller of an event and the pool, which writes it at most once, if the event gets no other answer.
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
    /// Records that there will be no answer. Returns the waker of the caller.
    pub(crate) fn give_up(&self, failure: Failure) -> Option<Waker> {
        let mut state = self.lock();
        state.lost = Some(failure);
        state.waiting.take()
    }

    /// Returns the failure, if it was written.
    pub(crate) fn lost(&self) -> Option<Failure> {
        self.lock().lost.clone()
    }

    /// Ready, from then on, once there will be no answer.
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
        // Nothing in here panics, so a poisoned line is still consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
