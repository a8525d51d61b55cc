//! Rust tasks on worker threads. A task is an event of a native worker, so the pool's placement, limits, deadlines,
//! cancellation, statistics and drain apply.
//!
//! [`engine`] combines native workers with those of the pool's engine, [`worker`] runs the tasks, and [`NativeTask`] is the
//! caller's handle.

mod engine;
mod worker;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures::channel::oneshot;
use futures::future::LocalBoxFuture;
use isopod_outcome::{Failure, Outcome};

pub(crate) use engine::{Code, Sessions, WithNative, Work, returned};

use crate::options::{Options, Policy};
use crate::ticket::Ticket;

/// Returns the default options: each task in its own `LocalSet`.
pub(crate) fn default_options() -> Options {
    Options {
        policy: Policy::PerRequest,
        ..Options::default()
    }
}

/// Creates a future on a worker thread; the future need not be `Send`.
type Start<T> = Box<dyn FnOnce(Rc<T>) -> LocalBoxFuture<'static, ()> + Send>;

/// A task on its way to a worker. Its return value has its own channel; `failed` reports any other end.
pub(crate) struct Task<T> {
    start: Start<T>,
    failed: oneshot::Sender<Failure>,
}

/// Receiver of the result of a task.
pub(crate) struct Answer<R> {
    value: oneshot::Receiver<R>,
    failed: oneshot::Receiver<Failure>,
}

impl<T: 'static> Task<T> {
    pub(crate) fn new<R, F>(task: F) -> (Self, Answer<R>)
    where
        R: Send + 'static,
        F: AsyncFnOnce(&T) -> R + Send + 'static,
    {
        let (to, value) = oneshot::channel();
        let (failed, failure) = oneshot::channel();
        let start: Start<T> = Box::new(move |thread| {
            Box::pin(async move {
                let value = task(&thread).await;
                // The caller may have stopped waiting.
                let _ = to.send(value);
            })
        });
        let answer = Answer { value, failed: failure };
        (Self { start, failed }, answer)
    }
}

/// A native task in a pool: a future of its return value, for any executor.
///
/// Dropping it cancels the task; [`NativeTask::detach`] lets it continue.
#[must_use = "dropping a task cancels it"]
pub struct NativeTask<R> {
    state: State<R>,
}

enum State<R> {
    Refused(Failure),
    Accepted { answer: Answer<R>, ticket: Option<Ticket> },
}

impl<R> NativeTask<R> {
    pub(crate) const fn refused(failure: Failure) -> Self {
        Self {
            state: State::Refused(failure),
        }
    }

    pub(crate) const fn accepted(answer: Answer<R>, ticket: Ticket) -> Self {
        Self {
            state: State::Accepted {
                answer,
                ticket: Some(ticket),
            },
        }
    }

    /// Lets the task continue without this handle. Its outcome is counted.
    ///
    /// # Errors
    /// The reason why it was not accepted.
    pub fn detach(self) -> Result<(), Failure> {
        match self.state {
            State::Refused(failure) => Err(failure),
            State::Accepted { ticket, .. } => {
                if let Some(ticket) = ticket {
                    ticket.detach();
                }
                Ok(())
            }
        }
    }

    /// Blocks the thread until the task ends. Never call it on a thread that the task needs.
    ///
    /// # Errors
    /// As for the future.
    pub fn wait(self) -> Result<R, Failure> {
        pollster::block_on(self)
    }
}

impl<R> Future for NativeTask<R> {
    type Output = Result<R, Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (answer, ticket) = match &mut self.get_mut().state {
            State::Refused(failure) => return Poll::Ready(Err(failure.clone())),
            State::Accepted { answer, ticket } => (answer, ticket),
        };
        let result = match Pin::new(&mut answer.value).poll(cx) {
            Poll::Ready(Ok(value)) => Ok(value),
            Poll::Pending => match ticket.as_ref().map(|ticket| ticket.poll_lost(cx)) {
                Some(Poll::Ready(failure)) => Err(failure),
                _ => return Poll::Pending,
            },
            // The task will not return; its worker reports the reason.
            Poll::Ready(Err(oneshot::Canceled)) => match Pin::new(&mut answer.failed).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(failure)) => Err(failure),
                Poll::Ready(Err(oneshot::Canceled)) => Err(Failure::new(
                    Outcome::WorkerLost,
                    "the worker was lost while it ran the task",
                )),
            },
        };
        let Some(ticket) = ticket.take() else {
            return Poll::Ready(result);
        };
        // A worker that was given up may report, but too late.
        let result = result.map_err(|failure| ticket.lost().unwrap_or(failure));
        ticket.detach();
        Poll::Ready(result)
    }
}

impl<R> Unpin for NativeTask<R> {}

impl<R> fmt::Debug for NativeTask<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accepted = matches!(self.state, State::Accepted { .. });
        f.debug_struct("NativeTask")
            .field("accepted", &accepted)
            .finish_non_exhaustive()
    }
}
