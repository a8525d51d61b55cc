//! A host's thread and runtimes, and its handles.

use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::{Builder, Handle};

use super::drive::{Ended, Ground, drive};
use super::error::HostError;
use super::limits::PhaseLimits;
use super::report::Report;
use super::shutdown::Shutdown;
use super::step::Member;
use super::stop::{Cause, HostHandle};
use crate::bus::Bus;
use crate::context::{Context, Inner, InstanceId, Tasks};
use crate::hub::Hub;
use crate::module::{Module, Phase};
use crate::supervise::{Supervisor, SupervisorBuilder};

/// Time limit for the runtime's threads to end. Only tasks that block their thread need it.
const THREADS_GRACE: Duration = Duration::from_secs(1);

/// The modules of a process, checked, ordered and ready to run.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// use isopod::host::Host;
///
/// let running = Host::builder().build()?.start_blocking()?;
/// let report = running.stop_blocking()?;
/// assert!(report.is_clean());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A host has a thread and a runtime of its own. It can be created, run and dropped on any thread, inside or outside of a
/// runtime, and its futures run on any executor.
#[must_use = "a host does nothing until it is run"]
pub struct Host {
    pub(super) plan: Plan,
}

/// A module with its name at the time of ordering, and its section.
pub(super) struct Planned {
    pub(super) name: Arc<str>,
    pub(super) module: Box<dyn Module>,
    pub(super) section: Option<Value>,
}

/// The parts of a host.
pub(super) struct Plan {
    /// The modules in their order.
    pub(super) modules: Vec<Planned>,
    pub(super) hub: Hub,
    pub(super) shutdown: Shutdown,
    pub(super) limits: PhaseLimits,
    pub(super) instance: InstanceId,
    pub(super) name: String,
    pub(super) threads: usize,
    pub(super) bus: HostBus,
    pub(super) supervise: Supervise,
    #[cfg(feature = "sql")]
    pub(super) db: crate::db::DbOptions,
}

/// Ownership of the bus.
pub(super) enum HostBus {
    /// The bus ends with the host.
    Own(Bus),
    /// The bus is shared with others.
    Given(Bus),
}

impl HostBus {
    fn get(&self) -> &Bus {
        match self {
            Self::Own(bus) | Self::Given(bus) => bus,
        }
    }
}

/// Changes the settings of the supervisor.
pub(super) type Supervise = Box<dyn FnOnce(SupervisorBuilder) -> SupervisorBuilder + Send>;

impl Plan {
    fn member(&self, planned: Planned, host: &HostHandle, runtime: &Handle, supervisor: &Supervisor) -> Member {
        let Planned { name, module, section } = planned;
        let ctx = Context::new(Inner {
            instance: self.instance.clone(),
            section,
            hub: self.hub.owned_by(&name),
            runtime: runtime.clone(),
            span: tracing::info_span!("module", name = &*name, instance = %self.instance),
            host: host.clone(),
            bus: self.bus.get().clone(),
            supervisor: supervisor.clone(),
            limits: self.limits,
            tasks: Tasks::new(host.cut_token()),
            #[cfg(feature = "sql")]
            db: crate::db::Slot::new(self.db.clone()),
            module: name,
        });
        Member::new(module, ctx)
    }
}

type Outcome = Result<Report, HostError>;

impl Host {
    /// Runs the host until it is stopped. Dropping the future stops it too.
    ///
    /// # Errors
    /// A module failed, in any phase, or the host's thread could not be spawned.
    pub async fn run(self) -> Result<Report, HostError> {
        self.launch()?.0.wait().await
    }

    /// Blocking variant of [`Host::run`].
    ///
    /// # Errors
    /// See [`Host::run`].
    pub fn run_blocking(self) -> Result<Report, HostError> {
        self.launch()?.0.wait_blocking()
    }

    /// Starts the host and waits until all modules are ready. Dropping the future stops it.
    ///
    /// # Errors
    /// A module failed, or the host was stopped meanwhile. Every started module has been stopped by then.
    pub async fn start(self) -> Result<Running, HostError> {
        let (running, ready) = self.launch()?;
        match ready.recv_async().await {
            Ok(()) => Ok(running),
            Err(flume::RecvError::Disconnected) => Err(not_ready(running.wait().await)),
        }
    }

    /// Blocking variant of [`Host::start`].
    ///
    /// # Errors
    /// See [`Host::start`].
    pub fn start_blocking(self) -> Result<Running, HostError> {
        let (running, ready) = self.launch()?;
        match ready.recv() {
            Ok(()) => Ok(running),
            Err(flume::RecvError::Disconnected) => Err(not_ready(running.wait_blocking())),
        }
    }

    /// Starts running on a thread of its own. The receiver gets a value when all modules are ready; its sender is dropped if
    /// they never will be.
    fn launch(self) -> Result<(Running, flume::Receiver<()>), HostError> {
        let (ready, is_ready) = flume::bounded(1);
        let (end, ended) = flume::bounded(1);
        let plan = self.plan;
        let (hub, bus, name) = (plan.hub.clone(), plan.bus.get().clone(), plan.name.clone());
        let handle = HostHandle::new(bus.clone());
        let body = {
            let handle = handle.clone();
            move || {
                // The caller may have stopped waiting.
                let _ = end.send(run(plan, &handle, ready));
            }
        };
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(body)
            .map_err(HostError::Thread)?;
        let running = Running {
            handle,
            hub,
            bus,
            ended,
            thread: Some(thread),
        };
        Ok((running, is_ready))
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.plan.modules.iter().map(|module| &module.name).collect();
        f.debug_struct("Host").field("modules", &names).finish_non_exhaustive()
    }
}

fn not_ready(ended: Outcome) -> HostError {
    match ended {
        Ok(report) => HostError::Stopped {
            report: Box::new(report),
        },
        Err(error) => error,
    }
}

/// The main function of the host's thread. It has a small runtime of its own, so that a module that blocks cannot delay
/// deadlines and signals. The modules' runtime is dropped here, outside of any other.
fn run(mut plan: Plan, host: &HostHandle, ready: flume::Sender<()>) -> Outcome {
    let driver = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(HostError::Thread)?;
    let modules = Builder::new_multi_thread()
        .worker_threads(plan.threads)
        .thread_name(format!("{}-io", plan.name))
        .enable_all()
        .build()
        .map_err(HostError::Thread)?;
    std::mem::take(&mut plan.shutdown).watch(driver.handle(), modules.handle(), host);
    let supervise = std::mem::replace(&mut plan.supervise, Box::new(|builder| builder));
    let builder = Supervisor::builder(modules.handle().clone()).bus(plan.bus.get().clone());
    let ground = Ground {
        bus: plan.bus.get().clone(),
        supervisor: supervise(builder).build(),
        stop_limit: plan.limits.of(Phase::Stop),
    };
    let planned = std::mem::take(&mut plan.modules).into_iter();
    let mut members: Vec<_> = planned
        .map(|module| plan.member(module, host, modules.handle(), &ground.supervisor))
        .collect();
    // Dropped unused if the modules never become ready.
    let ready = move || {
        let _ = ready.send(());
    };
    let Ended { cause, stopped_in } = driver.block_on(drive(&mut members, host, &ground, ready));
    // Outside of any runtime: a module may own one, and a runtime must not be dropped inside another.
    let mut reports: Vec<_> = members.into_iter().rev().map(Member::end).collect();
    reports.reverse();
    modules.shutdown_timeout(THREADS_GRACE);
    if let HostBus::Own(bus) = &plan.bus {
        bus.close();
    }
    let report = Report {
        instance: plan.instance,
        cause,
        modules: reports,
        stopped_in,
    };
    match host.first_failure() {
        None => Ok(report),
        Some(failure) => Err(HostError::Module {
            failure,
            report: Box::new(report),
        }),
    }
}

/// A host whose modules are ready. Dropping it stops the host and returns at once.
#[must_use = "dropping it stops the host"]
pub struct Running {
    handle: HostHandle,
    hub: Hub,
    bus: Bus,
    ended: flume::Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Returns the clients that the modules have registered.
    #[must_use]
    pub const fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Returns the host's bus.
    #[must_use]
    pub const fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Returns a handle that stops the host.
    #[must_use]
    pub fn handle(&self) -> HostHandle {
        self.handle.clone()
    }

    /// Waits until the host has stopped.
    ///
    /// # Errors
    /// A module failed, while it ran or during the shutdown.
    pub async fn wait(mut self) -> Result<Report, HostError> {
        let ended = self.ended.recv_async().await;
        self.join(ended)
    }

    /// Blocking variant of [`Running::wait`].
    ///
    /// # Errors
    /// See [`Running::wait`].
    pub fn wait_blocking(mut self) -> Result<Report, HostError> {
        let ended = self.ended.recv();
        self.join(ended)
    }

    /// Stops the host and waits until it has stopped.
    ///
    /// # Errors
    /// See [`Running::wait`].
    pub async fn stop(self) -> Result<Report, HostError> {
        self.handle.stop();
        self.wait().await
    }

    /// Blocking variant of [`Running::stop`].
    ///
    /// # Errors
    /// See [`Running::wait`].
    pub fn stop_blocking(self) -> Result<Report, HostError> {
        self.handle.stop();
        self.wait_blocking()
    }

    /// The thread's last action is to send its result, so joining it takes no time.
    fn join(&mut self, ended: Result<Outcome, flume::RecvError>) -> Outcome {
        let joined = self.thread.take().map(JoinHandle::join);
        match (ended, joined) {
            (Ok(ended), _) => ended,
            (Err(flume::RecvError::Disconnected), _) => Err(HostError::Lost),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.stop_for(Cause::Dropped);
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}
