//! Groups of children that are kept alive together: one task starts them in order, watches them, carries out the
//! [plan](super::restart), and stops them in reverse.

use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::child::{ChildContext, ChildSpec};
use super::error::{BoxError, RunError};
use super::restart::{Decision, Intensity, Plan, Strategy};
use super::task::{Job, Record, Shared, settle};

/// Time limit for an aborted child to end: it ends at its next `await`, unless it blocks its thread.
const ABORT_GRACE: Duration = Duration::from_secs(1);

/// Options of a group of children.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GroupOptions {
    /// Name in logs and errors. Default: `group`.
    pub name: Arc<str>,
    /// The children that are restarted together with one of them. Default: [`Strategy::OneForOne`].
    pub strategy: Strategy,
    /// Maximum restart intensity. Default: 5 times within 60 s.
    pub intensity: Intensity,
    /// Token that stops the group, like [`Group::stop`]. Default: a new token.
    pub token: CancellationToken,
    /// Seed of the jitter. Default: random.
    pub seed: Option<u64>,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            name: "group".into(),
            strategy: Strategy::default(),
            intensity: Intensity::default(),
            token: CancellationToken::new(),
            seed: None,
        }
    }
}

isopod_outcome::setters!(GroupOptions {
    name: &str,
    strategy: Strategy,
    intensity: Intensity,
    token: CancellationToken,
    seed: u64,
});

/// A running group of children. As a future it ends when all of them are done, when the group was stopped, or when it gives
/// up. Dropping it aborts the children; [`Group::stop`] stops them in order.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// use isopod::host::supervise::{ChildSpec, GroupOptions, Restart, Supervisor};
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use std::sync::Arc;
///
/// let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
/// let supervisor = Supervisor::builder(runtime.handle().clone()).build();
/// let crawler = ChildSpec::new("crawler", |ctx| async move {
///     // The first two starts fail.
///     if ctx.restarts < 2 { Err("no network") } else { Ok(()) }
/// })
/// .restart(Restart::Transient);
/// let group = supervisor.supervise(vec![crawler], GroupOptions::default());
/// let report = futures::executor::block_on(group).expect("no more than 5 restarts");
/// assert_eq!(report.restarts, 2);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping a group aborts its children"]
pub struct Group {
    name: Arc<str>,
    token: CancellationToken,
    job: Job<Result<GroupReport, Escalated>>,
}

/// Report of a group that ended in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GroupReport {
    /// Number of restarts.
    pub restarts: u64,
    /// The stopped children, in the order in which they were stopped.
    pub stopped: Vec<ChildReport>,
}

/// Report of a stopped child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChildReport {
    /// Its name.
    pub name: Arc<str>,
    /// Its end.
    pub stop: ChildStop,
}

/// End of a child that was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildStop {
    /// In order.
    Finished,
    /// With an error or a panic, which has this message.
    Failed(String),
    /// Not within its time limit, so it was aborted.
    Aborted,
}

/// The error of a group that has given up, because its children crashed too often. All of them are stopped.
#[derive(Debug, thiserror::Error)]
#[error("the group `{group}` gave up: `{child}` ended after {} restarts within {:?}", intensity.restarts, intensity.within)]
#[non_exhaustive]
pub struct Escalated {
    /// The group.
    pub group: Arc<str>,
    /// The child whose restart would have exceeded the intensity.
    pub child: Arc<str>,
    /// Maximum restart intensity.
    pub intensity: Intensity,
    /// The error of that child; `None` if it ended with success although it is permanent.
    #[source]
    pub cause: Option<BoxError>,
    /// Report of the other children.
    pub report: GroupReport,
}

impl Group {
    pub(super) fn start(shared: &Arc<Shared>, specs: Vec<ChildSpec>, options: GroupOptions) -> Self {
        let token = options.token.child_token();
        let mut keeper = Keeper {
            name: Arc::clone(&options.name),
            intensity: options.intensity,
            shared: Arc::clone(shared),
            plan: Plan::new(
                options.strategy,
                options.intensity,
                specs.iter().map(|spec| (spec.restart, spec.backoff)),
                std::time::Instant::now(),
            ),
            children: specs.into_iter().map(Kept::new).collect(),
            random: options.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed),
            report: GroupReport::default(),
        };
        let stop = token.clone();
        Self {
            name: options.name,
            token,
            job: Job::start(shared, async move { keeper.keep(&stop).await }),
        }
    }

    /// Stops the children, the last one first, each within its time limit.
    ///
    /// # Errors
    /// The group had given up before.
    pub async fn stop(self) -> Result<GroupReport, Escalated> {
        self.token.cancel();
        self.await
    }

    /// Returns the token that stops the group.
    #[must_use]
    pub const fn token(&self) -> &CancellationToken {
        &self.token
    }
}

impl Future for Group {
    type Output = Result<GroupReport, Escalated>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let ended = ready!(Pin::new(&mut self.job).poll(cx));
        Poll::Ready(ended.unwrap_or_else(|| {
            tracing::warn!(group = %self.name, "the runtime of a group ended before the group");
            Ok(GroupReport::default())
        }))
    }
}

/// The task of a group.
struct Keeper {
    name: Arc<str>,
    intensity: Intensity,
    shared: Arc<Shared>,
    plan: Plan,
    children: Vec<Kept>,
    random: fastrand::Rng,
    report: GroupReport,
}

struct Kept {
    spec: ChildSpec,
    starts: u64,
    running: Option<Child>,
}

struct Child {
    task: AbortOnDropHandle<Result<(), BoxError>>,
    token: CancellationToken,
    since: Instant,
    record: Record,
}

enum Wake {
    Stop,
    Cut,
    Due,
    Ended(usize, Result<(), RunError>),
}

impl Keeper {
    async fn keep(&mut self, stop: &CancellationToken) -> Result<GroupReport, Escalated> {
        let shared = Arc::clone(&self.shared);
        loop {
            while let Some(index) = self.plan.start_due(Instant::now().into_std()) {
                self.children[index].start(&shared);
            }
            if self.plan.is_done() {
                return Ok(std::mem::take(&mut self.report));
            }
            let due = self.plan.next_due().map(Instant::from_std);
            let wake = tokio::select! {
                biased;
                () = shared.cut.cancelled() => Wake::Cut,
                () = stop.cancelled() => Wake::Stop,
                () = shared.closing.cancelled() => Wake::Stop,
                (index, result) = next_end(&mut self.children) => Wake::Ended(index, result),
                () = sleep_until(due) => Wake::Due,
            };
            match wake {
                Wake::Due => {}
                Wake::Cut => return Ok(std::mem::take(&mut self.report)),
                Wake::Stop => {
                    self.stop_all().await;
                    return Ok(std::mem::take(&mut self.report));
                }
                Wake::Ended(index, result) => self.ended(index, result).await?,
            }
        }
    }

    async fn ended(&mut self, index: usize, result: Result<(), RunError>) -> Result<(), Escalated> {
        let child = Arc::clone(&self.children[index].spec.name);
        if let Err(error) = &result {
            let error: &dyn std::error::Error = error;
            tracing::error!(group = %self.name, %child, error, "a child crashed");
        }
        let now = Instant::now().into_std();
        match self.plan.ended(index, result.is_ok(), now, self.random.f64()) {
            Decision::Done => Ok(()),
            Decision::Restart(affected) => {
                self.report.restarts += 1;
                self.shared.names.get(&child).1.restarted();
                self.stop_range(affected).await;
                Ok(())
            }
            Decision::Escalate => {
                self.stop_all().await;
                let cause = result.err().map(|error| match error {
                    RunError::Crashed { cause, .. } => cause,
                    error => error.into(),
                });
                Err(Escalated {
                    group: Arc::clone(&self.name),
                    child,
                    intensity: self.intensity,
                    cause,
                    report: std::mem::take(&mut self.report),
                })
            }
        }
    }

    async fn stop_all(&mut self) {
        let stopped = self.stop_range(0..self.children.len()).await;
        self.report.stopped = stopped;
    }

    /// Stops the running children, the last one first. If the supervisor is cut, it aborts them instead.
    async fn stop_range(&mut self, range: Range<usize>) -> Vec<ChildReport> {
        let mut reports = Vec::new();
        for kept in self.children[range].iter_mut().rev() {
            let Some(child) = kept.running.take() else { continue };
            let (name, within) = (Arc::clone(&kept.spec.name), kept.spec.stop_within);
            let stop = child.stop(within, &self.shared.cut).await;
            reports.push(ChildReport { name, stop });
        }
        reports
    }
}

impl Kept {
    const fn new(spec: ChildSpec) -> Self {
        Self {
            spec,
            starts: 0,
            running: None,
        }
    }

    fn start(&mut self, shared: &Arc<Shared>) {
        let (record, token) = (shared.begin_child(&self.spec.name), CancellationToken::new());
        let child = self.spec.make(ChildContext {
            name: Arc::clone(&record.name),
            restarts: self.starts,
            token: token.clone(),
        });
        self.starts += 1;
        self.running = Some(Child {
            task: AbortOnDropHandle::new(shared.handle.spawn(shared.tracker.track_future(child))),
            token,
            since: Instant::now(),
            record,
        });
    }
}

impl Child {
    async fn stop(mut self, within: Duration, cut: &CancellationToken) -> ChildStop {
        self.token.cancel();
        let ended = tokio::select! {
            biased;
            ended = &mut self.task => Some(ended),
            () = tokio::time::sleep(within) => None,
            () = cut.cancelled() => None,
        };
        match ended {
            Some(ended) => {
                let result = settle(&self.record.name, self.since.elapsed(), ended);
                self.record.finish(result.as_ref().err());
                result.map_or_else(|error| ChildStop::Failed(error.to_string()), |()| ChildStop::Finished)
            }
            None => {
                self.task.abort();
                let _ = tokio::time::timeout(ABORT_GRACE, &mut self.task).await;
                ChildStop::Aborted
            }
        }
    }
}

/// Waits for the next child that ends by itself.
async fn next_end(children: &mut [Kept]) -> (usize, Result<(), RunError>) {
    poll_fn(|cx| {
        for (index, kept) in children.iter_mut().enumerate() {
            if let Some(child) = &mut kept.running
                && let Poll::Ready(ended) = Pin::new(&mut child.task).poll(cx)
                && let Some(child) = kept.running.take()
            {
                let result = settle(&child.record.name, child.since.elapsed(), ended);
                child.record.finish(result.as_ref().err());
                return Poll::Ready((index, result));
            }
        }
        Poll::Pending
    })
    .await
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
