//! One task from its start to its only end. It runs as a Tokio task of its own, so that its panics affect no other, and is
//! watched by a second one, so that it times out even if it never yields.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::channel::oneshot;
use tokio::runtime::Handle;
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::error::{BoxError, Panicked, RunError};
use super::guard::{Attempt, Guards, Permit};
use super::stats::{Counters, Ended, Names};
use crate::bus::{Bus, SystemEvent};

/// State shared by all tasks of a supervisor.
pub(super) struct Shared {
    pub(super) handle: Handle,
    pub(super) names: Names,
    pub(super) guards: Guards,
    pub(super) bus: Option<Bus>,
    pub(super) task_id: AtomicU64,
    pub(super) tracker: TaskTracker,
    /// Fires when no more tasks are accepted and groups have to stop.
    pub(super) closing: CancellationToken,
    /// Cancels all running tasks.
    pub(super) cut: CancellationToken,
}

/// The record of a task. Its end is counted and published once, as canceled if it is dropped.
pub(super) struct Record {
    shared: Arc<Shared>,
    pub(super) id: u64,
    pub(super) name: Arc<str>,
    counters: Arc<Counters>,
    permit: Option<Permit>,
    open: bool,
}

impl Shared {
    /// Begins a task if the breaker of its name admits it.
    ///
    /// # Errors
    /// The time until the breaker admits a probe.
    pub(super) fn begin(self: &Arc<Self>, name: &str) -> Result<Record, RunError> {
        let (name, counters) = self.names.get(name);
        match self.guards.admit(&name) {
            Ok(permit) => Ok(self.record(name, counters, Some(permit))),
            Err(retry_after) => {
                counters.refused();
                Err(RunError::Refused { name, retry_after })
            }
        }
    }

    /// Begins a run of a child. Its group decides about restarts, not a breaker.
    pub(super) fn begin_child(self: &Arc<Self>, name: &str) -> Record {
        let (name, counters) = self.names.get(name);
        self.record(name, counters, None)
    }

    fn record(self: &Arc<Self>, name: Arc<str>, counters: Arc<Counters>, permit: Option<Permit>) -> Record {
        counters.begun();
        Record {
            shared: Arc::clone(self),
            id: match &self.bus {
                Some(bus) => bus.next_task(),
                None => self.task_id.fetch_add(1, Ordering::Relaxed),
            },
            name,
            counters,
            permit,
            open: true,
        }
    }
}

impl Record {
    pub(super) fn finish(mut self, error: Option<&RunError>) {
        self.end(error);
    }

    fn end(&mut self, error: Option<&RunError>) {
        if !std::mem::take(&mut self.open) {
            return;
        }
        let (ended, attempt) = match error {
            None => (Ended::Finished, Attempt::Succeeded),
            Some(RunError::TimedOut { .. }) => (Ended::TimedOut, Attempt::Failed),
            Some(RunError::Canceled { .. }) => (Ended::Canceled, Attempt::GivenUp),
            Some(_) => (Ended::Crashed, Attempt::Failed),
        };
        self.counters.ended(ended);
        if let Some(permit) = self.permit.take() {
            permit.end(attempt);
        }
        if let Some(bus) = &self.shared.bus {
            let (task, name) = (self.id, Arc::clone(&self.name));
            bus.publish_system(&match error {
                None => SystemEvent::TaskCompleted { task, name },
                Some(error) => SystemEvent::TaskFailed {
                    task,
                    name,
                    error: error.to_string(),
                },
            });
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let name = Arc::clone(&self.name);
        self.end(Some(&RunError::Canceled { name }));
    }
}

/// Runs a task and waits for it, on the supervisor's runtime. Dropping the future aborts the task.
pub(super) async fn watch<T, E>(
    record: Record,
    timeout: Option<Duration>,
    task: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, RunError>
where
    T: Send + 'static,
    E: Into<BoxError>,
{
    let (shared, name) = (Arc::clone(&record.shared), Arc::clone(&record.name));
    if timeout == Some(Duration::ZERO) {
        let error = RunError::TimedOut {
            name,
            after: Duration::ZERO,
        };
        record.finish(Some(&error));
        return Err(error);
    }
    let begun = Instant::now();
    // The error is boxed on the supervisor's runtime, so that it need not be `Send` itself.
    let task = shared.tracker.track_future(async { task.await.map_err(Into::into) });
    let mut task = AbortOnDropHandle::new(shared.handle.spawn(task));
    let late = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        biased;
        ended = &mut task => settle(&name, begun.elapsed(), ended),
        () = shared.cut.cancelled() => Err(RunError::Canceled { name }),
        () = late => Err(RunError::TimedOut { name, after: timeout.unwrap_or_default() }),
    };
    record.finish(result.as_ref().err());
    result
}

/// Converts the end of a Tokio task.
pub(super) fn settle<T>(
    name: &Arc<str>,
    ran: Duration,
    ended: Result<Result<T, BoxError>, JoinError>,
) -> Result<T, RunError> {
    match ended {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(cause)) => Err(RunError::of(name, cause, ran)),
        Err(error) => Err(match error.try_into_panic() {
            Ok(panic) => RunError::Crashed {
                name: Arc::clone(name),
                cause: Box::new(Panicked::new(panic)),
            },
            Err(_) => RunError::Canceled { name: Arc::clone(name) },
        }),
    }
}

/// A result from the supervisor's runtime, for any executor. `None`: that runtime has ended. Dropping it aborts the task.
#[derive(Debug)]
pub(super) struct Job<R> {
    result: oneshot::Receiver<R>,
    _watch: Option<AbortOnDropHandle<()>>,
}

impl<R: Send + 'static> Job<R> {
    pub(super) fn start(shared: &Shared, work: impl Future<Output = R> + Send + 'static) -> Self {
        let (to, result) = oneshot::channel();
        let work = async move {
            // If the receiver is gone, the task has been aborted as well.
            let _ = to.send(work.await);
        };
        let watch = shared.handle.spawn(shared.tracker.track_future(work));
        Self {
            result,
            _watch: Some(AbortOnDropHandle::new(watch)),
        }
    }

    pub(super) fn ready(result: R) -> Self {
        let (to, receiver) = oneshot::channel();
        let _ = to.send(result);
        Self {
            result: receiver,
            _watch: None,
        }
    }
}

impl<R> Future for Job<R> {
    type Output = Option<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<R>> {
        Pin::new(&mut self.result).poll(cx).map(Result::ok)
    }
}
