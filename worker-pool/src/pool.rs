//! The handle of a pool.

use std::fmt;
use std::sync::{Arc, PoisonError, Weak};

use std::time::Duration;

use isopod_outcome::{Failure, Outcome};

use crate::engine::Engine;
use crate::health::Unhealthy;
use crate::native::{Code, NativeTask, Sessions, Task, WithNative, Work, default_options, returned};
use crate::options::{Meta, Options};
use crate::reject::{RejectReason, Rejected};
use crate::session::Session;
use crate::shared::Shared;
use crate::shutdown::ShutdownReport;
use crate::state::Accepted;
use crate::stats::PoolStats;
use crate::sync::thread::JoinHandle;
use crate::sync::{Mutex, channel, clock};
use crate::ticket::Ticket;
use crate::time::after;

/// A pool of worker threads. Cloning it creates another handle to the same pool.
///
/// Dropping the last handle returns at once: the pool accepts no more events, finishes accepted ones within
/// [`PoolBuilder::drop_drain`](crate::PoolBuilder::drop_drain) and ends its threads in the background. The futures of its
/// methods run on any executor.
pub struct Pool<E: Engine> {
    handle: Arc<Handle<E>>,
}

struct Handle<E: Engine> {
    shared: Arc<Shared<WithNative<E>>>,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

/// A deployed version of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deployment {
    /// Version number, unique in the pool and increasing.
    pub version: u64,
}

/// An error from deploying a script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// The pool is shutting down.
    #[error("the pool is shutting down")]
    ShuttingDown,
}

impl<E: Engine> Pool<E> {
    pub(crate) fn new(shared: Arc<Shared<WithNative<E>>>, supervisor: JoinHandle<()>) -> Self {
        Self {
            handle: Arc::new(Handle {
                shared,
                supervisor: Mutex::new(Some(supervisor)),
            }),
        }
    }

    /// Deploys `script` as `name`. Workers of a previous version finish their events; queued and new events go to the new
    /// version, and no event is dropped. Does not wait for a boot: see [`Pool::warm`].
    ///
    /// # Errors
    /// The pool is shutting down.
    pub fn deploy(
        &self,
        name: impl Into<Arc<str>>,
        script: Arc<E::Script>,
        options: &Options,
    ) -> Result<Deployment, DeployError> {
        self.put(name.into(), Code::Script(script), options)
    }

    /// Deploys `name` for native tasks with these options. [`Policy::PerRequest`](crate::Policy::PerRequest), the default of
    /// [`Pool::native`], gives each task its own `LocalSet`; [`Policy::PerWorker`](crate::Policy::PerWorker) interleaves
    /// several on one.
    ///
    /// # Errors
    /// The pool is shutting down.
    pub fn deploy_native(&self, name: impl Into<Arc<str>>, options: &Options) -> Result<Deployment, DeployError> {
        self.put(name.into(), Code::Native, options)
    }

    fn put(&self, name: Arc<str>, code: Code<E::Script>, options: &Options) -> Result<Deployment, DeployError> {
        self.shared().with(|state, fx| {
            if state.closing.is_some() {
                return Err(DeployError::ShuttingDown);
            }
            Ok(Deployment {
                version: state.deploy(name, Arc::new(code), options, clock::now(), fx),
            })
        })
    }

    /// Removes a script: new events are refused, accepted ones finish. Returns false if there was none.
    pub fn undeploy(&self, name: &str) -> bool {
        self.shared().with(|state, fx| state.undeploy(name, clock::now(), fx))
    }

    /// Waits until the script has a ready worker, and boots one if necessary.
    ///
    /// # Errors
    /// The worker failed to boot, or there is no such script.
    pub async fn warm(&self, name: &str) -> Result<(), Failure> {
        warmed(self.warming(name).into_recv_async().await.ok())
    }

    /// Blocking variant of [`Pool::warm`].
    ///
    /// # Errors
    /// As [`Pool::warm`].
    pub fn warm_blocking(&self, name: &str) -> Result<(), Failure> {
        warmed(self.warming(name).recv().ok())
    }

    fn warming(&self, name: &str) -> channel::Receiver<Result<(), Failure>> {
        let (to, answer) = channel::bounded(1);
        self.shared().with(|state, fx| state.warm(name, to, clock::now(), fx));
        answer
    }

    /// Dispatches an event to a script. Never blocks. The answer arrives through the event.
    ///
    /// # Errors
    /// The event was not accepted; it is returned with the reason.
    pub fn dispatch(&self, name: &str, event: E::Event, meta: Meta) -> Result<Ticket, Rejected<E::Event>> {
        dispatch(self.shared(), name, event, meta)
    }

    /// Creates a handle that does not keep the pool open.
    #[must_use]
    pub fn downgrade(&self) -> WeakPool<E> {
        WeakPool(Arc::downgrade(self.shared()))
    }

    /// Opens a session of a script: see [`Session`]. Never blocks, and does not boot a worker.
    ///
    /// # Errors
    /// [`RejectReason::UnknownScript`], [`RejectReason::SessionsFull`], [`RejectReason::ShuttingDown`].
    pub fn open_session(&self, name: &str) -> Result<Session<E::Event>, RejectReason> {
        self.open(name, None)
    }

    /// Opens the session of a script with this key, or another handle to it. At any time, the sessions of a script and a key
    /// are on at most one worker of the pool.
    ///
    /// # Errors
    /// As [`Pool::open_session`], and [`RejectReason::SessionGone`] until all events of an earlier session with this key have
    /// ended.
    pub fn open_keyed_session(&self, name: &str, key: &str) -> Result<Session<E::Event>, RejectReason> {
        self.open(name, Some(key))
    }

    fn open(&self, name: &str, key: Option<&str>) -> Result<Session<E::Event>, RejectReason> {
        open_session(self.shared(), name, key)
    }

    /// Runs a Rust task on a worker thread. `task` creates a future there, which need not be `Send` and may use the state of
    /// the thread. Tasks that it spawns by `spawn_local` end with its `LocalSet`.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # use isopod_pool::{Meta, Pool, fake::FakeEngine};
    /// use std::rc::Rc;
    /// # let pool = Pool::builder(FakeEngine::new()).threads(1).build().expect("threads");
    /// let task = pool.native("sums", Meta::default(), async |_thread| {
    ///     let local = Rc::new(40); // need not be `Send`
    ///     *local + 2
    /// });
    /// assert_eq!(task.wait(), Ok(42)); // or `.await`
    /// # }
    /// ```
    ///
    /// The task is an event: it is placed, limited, counted and drained like those of scripts. Dropping the future cancels
    /// it, and so does its deadline. A panic ends only this task, as [`Outcome::Exception`]; its return value is not
    /// interpreted, so an `Err` counts as [`Outcome::Ok`]. A task that never awaits cannot be cut: keep it short.
    ///
    /// A name without a deployment becomes one for native tasks, each with a fresh `LocalSet`, until it is undeployed;
    /// [`Pool::deploy_native`] sets other options. Statistics are kept per name: use few.
    pub fn native<R, F>(&self, name: &str, meta: Meta, task: F) -> NativeTask<R>
    where
        R: Send + 'static,
        F: AsyncFnOnce(&E::Thread) -> R + Send + 'static,
    {
        let (task, answer) = Task::new(task);
        let accepted = self.shared().with(|state, fx| {
            let now = clock::now();
            if state.closing.is_none() && !state.scripts.contains_key(name) {
                state.deploy(name.into(), Arc::new(Code::Native), &default_options(), now, fx);
            }
            state.accept(name, Work::Task(task), meta, now, fx)
        });
        match accepted {
            Ok(accepted) => NativeTask::accepted(answer, ticket(self.shared(), accepted)),
            Err(rejected) => NativeTask::refused(rejected.reason.into()),
        }
    }

    /// Returns whether the pool is ready, for readiness probes.
    ///
    /// # Errors
    /// The reason why it is not ready.
    pub fn health(&self) -> Result<(), Unhealthy> {
        self.shared().with(|state, _| state.health())
    }

    /// Returns the pool's statistics.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        self.shared().stats()
    }

    /// Stops accepting events and waits until accepted ones have ended. Cuts those that are still open after `limit`. The
    /// threads stay.
    pub async fn drain(&self, limit: Duration) -> ShutdownReport {
        self.close(limit, false).into_recv_async().await.unwrap_or_default()
    }

    /// Blocking variant of [`Pool::drain`].
    #[must_use]
    pub fn drain_blocking(&self, limit: Duration) -> ShutdownReport {
        self.close(limit, false).recv().unwrap_or_default()
    }

    /// Drains, then ends and joins all threads. A second call with a shorter limit shortens the first.
    ///
    /// Takes at most `limit`, plus the grace for cut events and threads.
    pub async fn shutdown(&self, limit: Duration) -> ShutdownReport {
        let report = self.close(limit, true).into_recv_async().await.unwrap_or_default();
        self.join_supervisor(&report);
        report
    }

    /// Blocking variant of [`Pool::shutdown`].
    #[must_use]
    pub fn shutdown_blocking(&self, limit: Duration) -> ShutdownReport {
        let report = self.close(limit, true).recv().unwrap_or_default();
        self.join_supervisor(&report);
        report
    }

    fn close(&self, limit: Duration, stop: bool) -> channel::Receiver<ShutdownReport> {
        let (to, report) = channel::bounded(1);
        self.shared()
            .with(|state, fx| state.close(after(clock::now(), limit), stop, Some(to), clock::now(), fx));
        report
    }

    /// Joins the supervisor, whose last action is its report, unless it keeps running for stuck threads.
    fn join_supervisor(&self, report: &ShutdownReport) {
        if report.threads_stuck == 0
            && let Some(supervisor) = self
                .handle
                .supervisor
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take()
        {
            let _ = supervisor.join();
        }
    }

    fn shared(&self) -> &Arc<Shared<WithNative<E>>> {
        &self.handle.shared
    }
}

/// A handle to a pool that does not keep it open. Created by [`Pool::downgrade`].
///
/// Workers of a pool must hold no other handles to it, because they would keep it open forever.
pub struct WeakPool<E: Engine>(Weak<Shared<WithNative<E>>>);

impl<E: Engine> WeakPool<E> {
    /// Dispatches an event, as [`Pool::dispatch`] does. After the last [`Pool`] is dropped, nested events are still accepted
    /// while there are events that may wait for them.
    ///
    /// # Errors
    /// The event was not accepted; it is returned with the reason.
    pub fn dispatch(&self, name: &str, event: E::Event, meta: Meta) -> Result<Ticket, Rejected<E::Event>> {
        let reason = RejectReason::ShuttingDown;
        match self.0.upgrade() {
            Some(shared) => dispatch(&shared, name, event, meta),
            None => Err(Rejected { event, reason }),
        }
    }

    /// Opens a session, as [`Pool::open_session`] does.
    ///
    /// # Errors
    /// As [`Pool::open_session`].
    pub fn open_session(&self, name: &str) -> Result<Session<E::Event>, RejectReason> {
        let shared = self.0.upgrade().ok_or(RejectReason::ShuttingDown)?;
        open_session(&shared, name, None)
    }

    /// Opens a session with a key, as [`Pool::open_keyed_session`] does.
    ///
    /// # Errors
    /// As [`Pool::open_keyed_session`].
    pub fn open_keyed_session(&self, name: &str, key: &str) -> Result<Session<E::Event>, RejectReason> {
        let shared = self.0.upgrade().ok_or(RejectReason::ShuttingDown)?;
        open_session(&shared, name, Some(key))
    }
}

impl<E: Engine> Clone for WeakPool<E> {
    fn clone(&self) -> Self {
        Self(Weak::clone(&self.0))
    }
}

impl<E: Engine> fmt::Debug for WeakPool<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakPool")
    }
}

fn open_session<E: Engine>(
    shared: &Arc<Shared<WithNative<E>>>,
    name: &str,
    key: Option<&str>,
) -> Result<Session<E::Event>, RejectReason> {
    let opened = shared.with(|state, _| state.open_session(name, key))?;
    let host = Sessions(Arc::clone(shared) as _);
    Ok(Session::new(opened, Arc::new(host)))
}

fn dispatch<E: Engine>(
    shared: &Arc<Shared<WithNative<E>>>,
    name: &str,
    event: E::Event,
    meta: Meta,
) -> Result<Ticket, Rejected<E::Event>> {
    let accepted = shared.with(|state, fx| state.accept(name, Work::Event(event), meta, clock::now(), fx));
    accepted.map(|accepted| ticket(shared, accepted)).map_err(returned)
}

fn ticket<E: Engine>(shared: &Arc<Shared<WithNative<E>>>, accepted: Accepted) -> Ticket {
    accepted.ticket(Arc::clone(shared) as _)
}

/// Converts the missing answer of a pool that has ended into a failure.
fn warmed(answer: Option<Result<(), Failure>>) -> Result<(), Failure> {
    answer.unwrap_or_else(|| Err(Failure::new(Outcome::Canceled, "the pool was shut down")))
}

impl<E: Engine> Clone for Pool<E> {
    fn clone(&self) -> Self {
        Self {
            handle: Arc::clone(&self.handle),
        }
    }
}

impl<E: Engine> fmt::Debug for Pool<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.shared().settings.name)
            .finish_non_exhaustive()
    }
}

impl<E: Engine> Drop for Handle<E> {
    fn drop(&mut self) {
        let now = clock::now();
        let cut_at = after(now, self.shared.settings.drop_drain);
        self.shared.with(|state, fx| state.close(cut_at, true, None, now, fx));
    }
}
