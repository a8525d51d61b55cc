//! The supervisor: runs tasks, one or many, awaited or in the background.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{StreamExt, stream};
use isopod_pool::BreakerOptions;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::child::ChildSpec;
use super::error::{BoxError, RunError, SpawnError};
use super::group::{Group, GroupOptions};
use super::guard::Guards;
use super::stats::{Names, SupervisorStats};
use super::task::{Job, Shared, watch};
use crate::bus::Bus;

/// Time limit for a shutdown to wait for cut tasks.
const CUT_GRACE: Duration = Duration::from_secs(1);

/// Options of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunOptions {
    /// Time limit; [`Duration::MAX`] means no limit. Default: 5 s.
    pub timeout: Duration,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
        }
    }
}

isopod_outcome::setters!(RunOptions { timeout: Duration });

/// Settings of a new supervisor; see [`Supervisor::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct SupervisorBuilder {
    handle: Handle,
    timeout: Duration,
    tasks_max: usize,
    concurrency: usize,
    names_max: usize,
    guarded: Vec<(Arc<str>, BreakerOptions)>,
    bus: Option<Bus>,
}

impl SupervisorBuilder {
    /// Sets the default time limit of tasks. Default: 5 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the maximum number of live spawned tasks. Default: 1024.
    pub const fn tasks_max(mut self, tasks_max: usize) -> Self {
        self.tasks_max = tasks_max;
        self
    }

    /// Sets the number of concurrent tasks of a [`Supervisor::run_all`], at least 1. Default: 64.
    pub const fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets the number of names that are counted separately. Default: 256.
    pub const fn names_max(mut self, names_max: usize) -> Self {
        self.names_max = names_max;
        self
    }

    /// Sets a breaker for a name: after repeated failures its tasks are refused for a while, and then one is admitted as a
    /// probe. Default: no name has one.
    pub fn guard(mut self, name: impl Into<Arc<str>>, options: BreakerOptions) -> Self {
        self.guarded.push((name.into(), options));
        self
    }

    /// Sets a bus on which the end of each task is published, as [`TaskCompleted`](crate::bus::SystemEvent::TaskCompleted)
    /// or [`TaskFailed`](crate::bus::SystemEvent::TaskFailed). Default: none.
    pub fn bus(mut self, bus: Bus) -> Self {
        self.bus = Some(bus);
        self
    }

    /// Creates the supervisor.
    #[must_use]
    pub fn build(self) -> Supervisor {
        Supervisor {
            spawned: Arc::new(Semaphore::new(self.tasks_max.min(Semaphore::MAX_PERMITS))),
            tasks_max: self.tasks_max,
            timeout: self.timeout,
            concurrency: self.concurrency.max(1),
            shared: Arc::new(Shared {
                handle: self.handle,
                names: Names::new(self.names_max),
                guards: Guards::new(self.guarded),
                bus: self.bus,
                task_id: AtomicU64::new(1),
                tracker: TaskTracker::new(),
                closing: CancellationToken::new(),
                cut: CancellationToken::new(),
            }),
        }
    }
}

/// Runs tasks that can fail. Cloning it creates another handle of the same supervisor. Dropping it cancels nothing;
/// [`Supervisor::shutdown`] does.
///
/// Tasks run on the given runtime, which needs its timer enabled. The futures here run on any executor.
#[derive(Clone)]
pub struct Supervisor {
    shared: Arc<Shared>,
    spawned: Arc<Semaphore>,
    tasks_max: usize,
    timeout: Duration,
    concurrency: usize,
}

/// Report of a shutdown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SupervisorReport {
    /// Canceled tasks.
    pub cut: u64,
    /// Canceled tasks that did not end: they block their thread.
    pub stuck: usize,
}

impl Supervisor {
    /// Starts building a supervisor whose tasks run on the runtime of this handle.
    pub const fn builder(handle: Handle) -> SupervisorBuilder {
        SupervisorBuilder {
            handle,
            timeout: Duration::from_secs(5),
            tasks_max: 1024,
            concurrency: 64,
            names_max: 256,
            guarded: Vec::new(),
            bus: None,
        }
    }

    /// Runs a task with the supervisor's timeout. It begins at once, and dropping the future cancels it.
    ///
    /// # Errors
    /// [`RunError`] comes out of the future.
    pub fn run<T, E>(&self, name: &str, task: impl Future<Output = Result<T, E>> + Send + 'static) -> Running<T>
    where
        T: Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let timeout = self.timeout;
        self.run_with(RunOptions { timeout }, name, task)
    }

    /// [`Supervisor::run`] with options of its own.
    ///
    /// # Errors
    /// [`RunError`] comes out of the future.
    pub fn run_with<T, E>(
        &self,
        options: RunOptions,
        name: &str,
        task: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> Running<T>
    where
        T: Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let job = match self.shared.begin(name) {
            _ if self.is_shut_down() => Job::ready(Err(RunError::Canceled { name: name.into() })),
            Ok(record) => Job::start(&self.shared, watch(record, Some(options.timeout), task)),
            Err(refused) => Job::ready(Err(refused)),
        };
        Running { name: name.into(), job }
    }

    /// Runs a task in the background without a time limit. A crash is logged and counted.
    ///
    /// # Errors
    /// The limit on live tasks is reached, the breaker is open, or the supervisor is shut down. The task is returned.
    pub fn spawn<F, E>(&self, name: &str, task: F) -> Result<(), SpawnError<F>>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        if self.is_shut_down() {
            return Err(SpawnError::ShutDown { task });
        }
        let Ok(alive) = Arc::clone(&self.spawned).try_acquire_owned() else {
            let tasks_max = self.tasks_max;
            return Err(SpawnError::Full { task, tasks_max });
        };
        let record = match self.shared.begin(name) {
            Ok(record) => record,
            Err(RunError::Refused { retry_after, .. }) => return Err(SpawnError::Refused { task, retry_after }),
            Err(_) => return Err(SpawnError::ShutDown { task }),
        };
        let (id, name) = (record.id, Arc::clone(&record.name));
        let task = async move {
            // It counts as alive until it has ended, not until it is asked to end.
            let _alive = alive;
            task.await
        };
        let watched = watch(record, None, task);
        self.shared.handle.spawn(self.shared.tracker.track_future(async move {
            match watched.await {
                Ok(()) | Err(RunError::Canceled { .. }) => {}
                Err(error) => {
                    let error: &dyn Error = &error;
                    tracing::error!(task = id, %name, error, "a spawned task crashed");
                }
            }
        }));
        Ok(())
    }

    /// Runs many tasks under one deadline, with the supervisor's concurrency. The results are in the order of the tasks, each
    /// failure in its own place. Tasks not begun by the deadline have timed out.
    pub fn run_all<T, E, F>(&self, name: &str, tasks: impl IntoIterator<Item = F>, deadline: Duration) -> RunningAll<T>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let tasks: Vec<_> = tasks.into_iter().collect();
        let (count, concurrency) = (tasks.len(), self.concurrency);
        let (shared, kept): (_, Arc<str>) = (Arc::clone(&self.shared), name.into());
        let name = Arc::clone(&kept);
        let shut_down = self.is_shut_down();
        let all = async move {
            let begun = Instant::now();
            let attempt = |(place, task)| {
                let (shared, name) = (&shared, &name);
                async move {
                    let left = deadline.saturating_sub(begun.elapsed());
                    let result = if shut_down || shared.cut.is_cancelled() {
                        Err(RunError::Canceled { name: Arc::clone(name) })
                    } else {
                        match shared.begin(name) {
                            Ok(record) => watch(record, Some(left), task).await,
                            Err(refused) => Err(refused),
                        }
                    };
                    (place, result.map_err(|error| whole_deadline(error, deadline)))
                }
            };
            let mut results: Vec<_> = stream::iter(tasks.into_iter().enumerate())
                .map(attempt)
                .buffer_unordered(concurrency)
                .collect()
                .await;
            results.sort_unstable_by_key(|(place, _)| *place);
            results.into_iter().map(|(_, result)| result).collect()
        };
        RunningAll {
            name: kept,
            count,
            job: Job::start(&self.shared, all),
        }
    }

    /// Keeps children alive until all of them are done, the group is stopped, or they crash too often; see [`Group`].
    pub fn supervise(&self, specs: Vec<ChildSpec>, options: GroupOptions) -> Group {
        Group::start(&self.shared, specs, options)
    }

    /// Returns its statistics.
    #[must_use]
    pub fn stats(&self) -> SupervisorStats {
        self.shared.names.stats(self.shared.guards.states())
    }

    /// Refuses new tasks, stops the groups, and waits until all tasks have ended. Tasks that have not ended within `limit` are
    /// canceled.
    pub async fn shutdown(&self, limit: Duration) -> SupervisorReport {
        self.shared.closing.cancel();
        self.shared.tracker.close();
        let shared = Arc::clone(&self.shared);
        let (to, report) = futures::channel::oneshot::channel();
        // On the supervisor's runtime, because the limit needs a timer.
        self.shared.handle.spawn(async move {
            let _ = to.send(shared.drain(limit).await);
        });
        report.await.unwrap_or_default()
    }

    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    fn is_shut_down(&self) -> bool {
        self.shared.closing.is_cancelled()
    }
}

impl Shared {
    async fn drain(&self, limit: Duration) -> SupervisorReport {
        if tokio::time::timeout(limit, self.tracker.wait()).await.is_ok() {
            return SupervisorReport::default();
        }
        let cut = self.names.stats(self.guards.states()).total.active;
        self.cut.cancel();
        let ended = tokio::time::timeout(CUT_GRACE, self.tracker.wait()).await;
        let stuck = if ended.is_ok() { 0 } else { self.tracker.len() };
        SupervisorReport { cut, stuck }
    }
}

/// Tasks under a common deadline have no timeout of their own.
fn whole_deadline(error: RunError, deadline: Duration) -> RunError {
    match error {
        RunError::TimedOut { name, .. } => RunError::TimedOut { name, after: deadline },
        error => error,
    }
}

/// A running task; see [`Supervisor::run`]. Dropping it cancels the task.
#[derive(Debug)]
#[must_use = "dropping it cancels the task; use `spawn` to run it in the background"]
pub struct Running<T> {
    name: Arc<str>,
    job: Job<Result<T, RunError>>,
}

impl<T> Future for Running<T> {
    type Output = Result<T, RunError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(Pin::new(&mut self.job).poll(cx));
        Poll::Ready(result.unwrap_or_else(|| {
            let name = Arc::clone(&self.name);
            Err(RunError::Canceled { name })
        }))
    }
}

/// Running tasks; see [`Supervisor::run_all`]. Dropping it cancels them.
#[derive(Debug)]
#[must_use = "dropping it cancels the tasks"]
pub struct RunningAll<T> {
    name: Arc<str>,
    count: usize,
    job: Job<Vec<Result<T, RunError>>>,
}

impl<T> Future for RunningAll<T> {
    type Output = Vec<Result<T, RunError>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let results = ready!(Pin::new(&mut self.job).poll(cx));
        Poll::Ready(results.unwrap_or_else(|| {
            let canceled = || {
                let name = Arc::clone(&self.name);
                Err(RunError::Canceled { name })
            };
            (0..self.count).map(|_| canceled()).collect()
        }))
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("stats", &self.stats().total)
            .finish_non_exhaustive()
    }
}
