//! Modules that are processes of their own.

mod backend;
mod channel;
mod local;
mod logs;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::context::Context;
use crate::hub::{Hub, HubError};
use crate::module::{Module, Phase, PhaseResult};

pub use backend::{ChannelEnd, Process, ProcessBackend, ProcessSpec};
use channel::Connected;
#[cfg(feature = "shared-memory")]
pub use channel::SharedMemory;
pub use channel::{Channel, ModuleRequest, ModuleTask, ModuleTasks};
pub use local::LocalProcesses;

/// The environment variables of a process: its configuration as JSON, the module's name, the host's
/// [`InstanceId`](crate::InstanceId), and the version of the module protocol if it has a [`Channel`].
#[doc(inline)]
pub use isopod_module::protocol::{CONFIG_VARIABLE, INSTANCE_VARIABLE, NAME_VARIABLE, PROTOCOL_VARIABLE};
/// The environment variable with the [`Endpoint`], if the host has one.
pub const ENDPOINT_VARIABLE: &str = "ISOPOD_HOST_ENDPOINT";

/// Percentage of a drain's limit for a process to exit by itself; the rest is for killing it.
const TERMINATE_SHARE: u32 = 80;

/// Address for processes to call the host, such as `http://127.0.0.1:4001`. A listening module registers it in the hub
/// during `start`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(pub String);

/// A module that is a process of its own. It is spawned in [`Phase::Ready`], when all modules have started and the host's
/// [`Endpoint`] is known. In [`Phase::Drain`] it gets SIGTERM, and is killed if it does not end.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// use isopod::host::process::ProcessModule;
/// use serde_json::json;
///
/// let resizer = ProcessModule::new("resizer", "/usr/bin/resizer")
///     .arg("--workers=2")
///     .env("RUST_LOG", "info")
///     .config(json!({ "quality": 80 }));
/// # drop(resizer);
/// ```
///
/// Its environment consists of the given variables, those of this module ([`CONFIG_VARIABLE`] and others), and those that
/// the backend adds. If it ends without being asked to, even with success, the module has failed and the host stops.
///
/// With a [`Channel`], [`Phase::Ready`] waits until the process has registered itself, a process that ends is restarted, and
/// its tasks are in the hub.
pub struct ProcessModule {
    name: String,
    depends_on: Vec<String>,
    binary: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<String, OsString>,
    working_dir: Option<PathBuf>,
    config: Option<Value>,
    backend: Arc<dyn ProcessBackend>,
    /// Asks the watching task to end the process, and receives the result.
    running: Option<oneshot::Sender<EndIt>>,
    channel: Option<Channel>,
    clients: Vec<Client>,
    /// Set from [`Phase::Build`] on, if there is a channel.
    connected: Option<Connected>,
}

type Client = Box<dyn FnOnce(&Hub, &ModuleTasks) -> Result<(), HubError> + Send>;

/// An error of a process module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// It could not be spawned.
    #[error("cannot spawn `{binary}`: {source}; does it exist, and is it executable?")]
    Spawn {
        /// The binary.
        binary: String,
        /// The reason.
        source: std::io::Error,
    },
    /// It cannot be waited for.
    #[error("cannot wait for the process: {0}")]
    Wait(std::io::Error),
    /// It exited unexpectedly.
    #[error("the process exited unexpectedly: {0}; its output is in the log")]
    Exited(ExitStatus),
    /// The channel, or the first start of the process, failed.
    #[error("{0}")]
    Channel(String),
    /// It had to be killed.
    #[error("the process did not exit within {0:?} after SIGTERM and was killed")]
    Killed(Duration),
}

struct EndIt {
    within: Duration,
    done: oneshot::Sender<Result<(), ProcessError>>,
}

impl ProcessModule {
    /// Creates a module that runs this binary on this machine.
    pub fn new(name: impl Into<String>, binary: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            depends_on: Vec::new(),
            binary: binary.into(),
            args: Vec::new(),
            env: BTreeMap::new(),
            working_dir: None,
            config: None,
            backend: Arc::new(LocalProcesses::default()),
            running: None,
            channel: None,
            clients: Vec::new(),
            connected: None,
        }
    }

    /// Adds a dependency: this module comes after that one.
    #[must_use]
    pub fn depends_on(mut self, module: impl Into<String>) -> Self {
        self.depends_on.push(module.into());
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets its working directory. Default: the host's.
    #[must_use]
    pub fn working_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.working_dir = Some(folder.into());
        self
    }

    /// Sets its configuration. Default: the module's section.
    #[must_use]
    pub fn config(mut self, config: Value) -> Self {
        self.config = Some(config);
        self
    }

    /// Sets the backend. Default: [`LocalProcesses`].
    #[must_use]
    pub fn backend(mut self, backend: Arc<dyn ProcessBackend>) -> Self {
        self.backend = backend;
        self
    }

    /// Gives the process a channel to the host: descriptor 0 is a socket, over which the process speaks the module protocol,
    /// with the crate `isopod-module` (`isopod::module`) or in any other language. Its tasks are in the hub as
    /// [`ModuleTasks`] under the module's name.
    #[must_use]
    pub fn channel(mut self, channel: Channel) -> Self {
        self.channel = Some(channel);
        self
    }

    /// Registers a client of its own type in the hub, usually a trait object, which is created from the module's tasks. Needs
    /// a [channel](ProcessModule::channel).
    ///
    /// ```
    /// # mod isopod { pub use isopod_host as host; }
    /// use std::sync::Arc;
    ///
    /// use isopod::host::process::{Channel, ModuleRequest, ModuleTask, ModuleTasks, ProcessModule};
    ///
    /// trait Scanner: Send + Sync {
    ///     fn scan(&self, path: &str) -> ModuleTask;
    /// }
    ///
    /// impl Scanner for ModuleTasks {
    ///     fn scan(&self, path: &str) -> ModuleTask {
    ///         self.run(ModuleRequest::new("scan").payload(serde_json::json!(path)))
    ///     }
    /// }
    ///
    /// let scan = ProcessModule::new("scan", "/usr/lib/analysis/scan")
    ///     .channel(Channel::default())
    ///     .client::<dyn Scanner>(|tasks| Arc::new(tasks));
    /// // Others find it by `ctx.hub().get::<dyn Scanner>()`.
    /// # drop(scan);
    /// ```
    #[must_use]
    pub fn client<T: ?Sized + Send + Sync + 'static>(
        mut self,
        make: impl FnOnce(ModuleTasks) -> Arc<T> + Send + 'static,
    ) -> Self {
        self.clients
            .push(Box::new(move |hub, tasks| hub.register::<T>(make(tasks.clone()))));
        self
    }

    fn section(&self, ctx: &Context) -> Value {
        let config = self.config.as_ref().or_else(|| ctx.section());
        config.cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()))
    }

    fn spec(&self, ctx: &Context) -> ProcessSpec {
        let mut env = self.env.clone();
        env.insert(CONFIG_VARIABLE.to_owned(), self.section(ctx).to_string().into());
        env.insert(NAME_VARIABLE.to_owned(), ctx.module().into());
        env.insert(INSTANCE_VARIABLE.to_owned(), ctx.instance().as_str().into());
        if let Some(endpoint) = ctx.hub().try_get::<Endpoint>() {
            env.insert(ENDPOINT_VARIABLE.to_owned(), endpoint.0.clone().into());
        }
        ProcessSpec {
            name: ctx.module().to_owned(),
            binary: self.binary.clone(),
            args: self.args.clone(),
            env,
            working_dir: self.working_dir.clone(),
            channel: None,
        }
    }
}

#[async_trait]
impl Module for ProcessModule {
    fn name(&self) -> &str {
        &self.name
    }

    fn depends_on(&self) -> Vec<String> {
        self.depends_on.clone()
    }

    async fn build(&mut self, ctx: &Context) -> PhaseResult {
        let Some(channel) = self.channel.take() else {
            return Ok(());
        };
        let connected = Connected::new(ctx, channel);
        let tasks = connected.tasks();
        ctx.hub().register_scoped(&self.name, Arc::new(tasks.clone()))?;
        for client in self.clients.drain(..) {
            client(ctx.hub(), &tasks)?;
        }
        self.connected = Some(connected);
        Ok(())
    }

    async fn ready(&mut self, ctx: &Context) -> PhaseResult {
        let spec = self.spec(ctx);
        let section = self.section(ctx);
        if let Some(connected) = &mut self.connected {
            return Ok(connected.start(ctx, spec, section, Arc::clone(&self.backend)).await?);
        }
        let spawned = self.backend.spawn(&spec, ctx).await;
        let process = spawned.map_err(|source| ProcessError::Spawn {
            binary: spec.binary.display().to_string(),
            source,
        })?;
        let (running, told) = oneshot::channel();
        ctx.spawn(watch(process, told));
        self.running = Some(running);
        Ok(())
    }

    async fn drain(&mut self, ctx: &Context) -> PhaseResult {
        if let Some(connected) = &mut self.connected {
            return Ok(connected.drain(ctx).await?);
        }
        let (done, ended) = oneshot::channel();
        let within = ctx.limit(Phase::Drain) * TERMINATE_SHARE / 100;
        // If the watcher has ended, it has already reported the process's end.
        if let Some(running) = self.running.take()
            && running.send(EndIt { within, done }).is_ok()
            && let Ok(result) = ended.await
        {
            result?;
        }
        Ok(())
    }

    async fn close(&mut self, _ctx: &Context) -> PhaseResult {
        // Further tasks are refused at once.
        self.connected = None;
        Ok(())
    }
}

impl std::fmt::Debug for ProcessModule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Omits environment and configuration, which may contain secrets.
        f.debug_struct("ProcessModule")
            .field("name", &self.name)
            .field("binary", &self.binary)
            .finish_non_exhaustive()
    }
}

/// Watches the process. This task owns it: when the task is dropped, the process is killed.
async fn watch(mut process: Box<dyn Process>, told: oneshot::Receiver<EndIt>) -> Result<(), ProcessError> {
    let end = tokio::select! {
        status = process.wait() => return Err(ProcessError::Exited(status.map_err(ProcessError::Wait)?)),
        // The sender is gone only if the module was dropped in the middle of a phase.
        end = told => end.ok(),
    };
    let within = end.as_ref().map_or(Duration::ZERO, |end| end.within);
    let result = terminate(&mut *process, within).await;
    match end {
        // The phase that asked for the end reports it.
        Some(end) => drop(end.done.send(result)),
        None => result?,
    }
    Ok(())
}

async fn terminate(process: &mut dyn Process, within: Duration) -> Result<(), ProcessError> {
    process.terminate().map_err(ProcessError::Wait)?;
    match tokio::time::timeout(within, process.wait()).await {
        Ok(status) => {
            let status = status.map_err(ProcessError::Wait)?;
            tracing::info!(%status, "the process ended");
            Ok(())
        }
        Err(_) => {
            process.kill().await.map_err(ProcessError::Wait)?;
            Err(ProcessError::Killed(within))
        }
    }
}
