//! A module's tasks: counted, asked to end, awaited, and dropped if they do not end.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use crate::lifecycle::{Reason, panic_message};
use crate::module::BoxError;

/// Time for a dropped task to end; only a task that blocks its thread needs it.
const DROP_GRACE: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    /// Asks tasks to end.
    token: CancellationToken,
    /// Drops tasks that have not ended.
    abort: CancellationToken,
    spawned: AtomicUsize,
}

/// Result of a module's tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// All ended by themselves.
    Finished,
    /// Some were dropped.
    Cut,
}

impl Tasks {
    /// Creates a set of tasks. Their token fires at the latest when `cut` does.
    pub(crate) fn new(cut: &CancellationToken) -> Self {
        Self {
            tracker: TaskTracker::new(),
            token: cut.child_token(),
            abort: CancellationToken::new(),
            spawned: AtomicUsize::new(0),
        }
    }

    pub(crate) const fn token(&self) -> &CancellationToken {
        &self.token
    }

    pub(crate) fn any(&self) -> bool {
        self.spawned.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn spawn<F, E>(
        &self,
        runtime: &Handle,
        span: tracing::Span,
        future: F,
        fail: impl FnOnce(Reason) + Send + 'static,
    ) where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.spawned.fetch_add(1, Ordering::Relaxed);
        let abort = self.abort.clone();
        let body = async move {
            let reason = match abort.run_until_cancelled(AssertUnwindSafe(future).catch_unwind()).await {
                None | Some(Ok(Ok(()))) => return,
                Some(Ok(Err(error))) => Reason::Error(error.into()),
                Some(Err(panic)) => Reason::Panicked(panic_message(&*panic)),
            };
            fail(reason);
        };
        self.tracker.spawn_on(body.instrument(span), runtime);
    }

    /// Asks the tasks to end, waits for them until the deadline, and drops the rest. A task that is spawned afterwards never
    /// runs.
    pub(crate) async fn settle(&self, until: Instant, cut_is_over: impl Future<Output = ()>) -> Settled {
        self.token.cancel();
        self.tracker.close();
        let settled = tokio::select! {
            biased;
            () = self.tracker.wait() => Settled::Finished,
            () = tokio::time::sleep_until(until.into()) => Settled::Cut,
            () = cut_is_over => Settled::Cut,
        };
        self.abort.cancel();
        if settled == Settled::Cut && tokio::time::timeout(DROP_GRACE, self.tracker.wait()).await.is_err() {
            tracing::error!(
                tasks = self.tracker.len(),
                "tasks block their threads and are abandoned"
            );
        }
        settled
    }
}
