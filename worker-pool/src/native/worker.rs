//! A worker for native tasks. Each is a local task of the worker's `LocalSet`, which catches its panic.

use std::collections::HashMap;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures::channel::oneshot;
use isopod_outcome::{Failure, Outcome};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use crate::engine::{SlotId, Turn};
use crate::native::Task;
use crate::thread::panic_message;

pub(crate) struct NativeWorker<T> {
    thread: Rc<T>,
    tasks: JoinSet<()>,
    running: HashMap<Id, Running>,
}

struct Running {
    slot: SlotId,
    abort: AbortHandle,
    /// Outcome to report once its future is dropped.
    canceled: Option<Outcome>,
    failed: oneshot::Sender<Failure>,
}

impl<T> Task<T> {
    pub(super) fn fail(self, failure: Failure) {
        // Sent before the result's channel closes, because the waiting caller then reads it.
        let _ = self.failed.send(failure);
        drop(self.start);
    }
}

impl<T: 'static> NativeWorker<T> {
    pub(super) fn new(thread: Rc<T>) -> Self {
        Self {
            thread,
            tasks: JoinSet::new(),
            running: HashMap::new(),
        }
    }

    pub(super) fn begin(&mut self, slot: SlotId, Task { start, failed }: Task<T>) {
        let thread = Rc::clone(&self.thread);
        let abort = self.tasks.spawn_local(async move { start(thread).await });
        let running = Running {
            slot,
            abort: abort.clone(),
            canceled: None,
            failed,
        };
        self.running.insert(abort.id(), running);
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        loop {
            let (id, result) = match self.tasks.poll_join_next_with_id(cx) {
                Poll::Pending | Poll::Ready(None) => return Poll::Pending,
                Poll::Ready(Some(Ok((id, ())))) => (id, Ok(())),
                Poll::Ready(Some(Err(error))) => (error.id(), Err(error)),
            };
            let Some(Running {
                slot, canceled, failed, ..
            }) = self.running.remove(&id)
            else {
                continue;
            };
            let outcome = match result {
                Ok(()) => Outcome::Ok,
                Err(error) => {
                    let failure = failure(error, canceled);
                    let outcome = failure.outcome;
                    // The caller may have stopped waiting.
                    let _ = failed.send(failure);
                    outcome
                }
            };
            return Poll::Ready(Turn::Ended { slot, outcome });
        }
    }

    /// Cancels a task, whose future is dropped at the next turn of its `LocalSet` and then reported.
    pub(super) fn cancel(&mut self, slot: SlotId, outcome: Outcome) {
        if let Some(running) = self.running.values_mut().find(|running| running.slot == slot) {
            running.canceled = Some(outcome);
            running.abort.abort();
        }
    }

    pub(super) fn abandon(&mut self, failure: &Failure) {
        self.tasks.abort_all();
        for (_, running) in self.running.drain() {
            let _ = running.failed.send(failure.clone());
        }
    }
}

fn failure(error: JoinError, canceled: Option<Outcome>) -> Failure {
    match error.try_into_panic() {
        Ok(panic) => Failure::new(
            Outcome::Exception,
            format!("the task panicked: {}", panic_message(panic.as_ref())),
        ),
        Err(_) => match canceled {
            Some(Outcome::ExceededWall) => Failure::new(
                Outcome::ExceededWall,
                "the task did not return within its wall-clock limit",
            ),
            outcome => Failure::new(
                outcome.unwrap_or(Outcome::Canceled),
                "the caller disconnected, or the pool is shutting down",
            ),
        },
    }
}
