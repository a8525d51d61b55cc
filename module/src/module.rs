//! A module's builder and main loop.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::{BoxError, Error};
use crate::event::{Event, Listener};
use crate::io::{self, Plan};
use crate::link::Link;
use crate::payload::Payload;
use crate::protocol::{
    CONFIG_VARIABLE, ChainFrom, Hello, INSTANCE_VARIABLE, NAME_VARIABLE, PROTOCOL, PROTOCOL_VARIABLE,
};
use crate::shared::LIBRARY;
use crate::task::{self, Handler, TaskContext};

/// Maximum number of frames that wait for the socket; a task that sends more waits.
const OUT_MAX: usize = 32;
/// Time limit for threads that are still busy when the module ends.
const THREADS_GRACE: Duration = Duration::from_millis(200);

/// A module in a process of its own.
///
/// ```no_run
/// use isopod_module::{Event, Module, TaskContext};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Config {
///     depth: u32,
/// }
///
/// fn main() -> Result<(), isopod_module::Error> {
///     let module = Module::connect()?;
///     let Config { depth } = module.config()?;
///     module
///         .tasks_max(4)
///         .task("scan", move |ctx: TaskContext, sample: String| async move {
///             for level in 0..depth {
///                 ctx.progress(&(f64::from(level) / f64::from(depth))).await?;
///             }
///             ctx.emit("size", sample.len()).await
///         })
///         .on("samples.*", |event: Event| async move { event.publish("scan.seen", event.payload().clone()).await })
///         .run()
/// }
/// ```
#[must_use = "a module does nothing until it is run"]
pub struct Module {
    channel: UnixStream,
    name: String,
    instance: String,
    config: Value,
    program: String,
    tasks: BTreeMap<String, Handler>,
    listeners: Vec<Listener>,
    chains: Vec<ChainFrom>,
    tasks_max: u32,
    threads: usize,
    stop_within: Duration,
    token: CancellationToken,
}

impl Module {
    /// Takes the channel to the host from descriptor 0, and the module's name and configuration from the environment.
    /// Standard input is empty afterwards.
    ///
    /// # Errors
    /// The process was not started by a host that speaks this version of the protocol.
    pub fn connect() -> Result<Self, Error> {
        let host = variable(PROTOCOL_VARIABLE).ok_or(Error::NotAModule(PROTOCOL_VARIABLE))?;
        // A host that supports several versions lists all of them.
        if !host.split(',').any(|version| version.trim().parse() == Ok(PROTOCOL)) {
            return Err(Error::Version { host, own: PROTOCOL });
        }
        let channel = rustix::stdio::stdin().try_clone_to_owned()?;
        // Child processes inherit descriptor 0, and must not get the channel.
        let nothing = std::fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(&nothing).map_err(std::io::Error::from)?;
        let config = variable(CONFIG_VARIABLE).unwrap_or_else(|| "{}".to_owned());
        let module = Self::with(channel.into(), &variable(NAME_VARIABLE).unwrap_or_default());
        Ok(Self {
            instance: variable(INSTANCE_VARIABLE).unwrap_or_default(),
            config: serde_json::from_str(&config).map_err(Error::Config)?,
            ..module
        })
    }

    /// Creates a module with this name on an existing channel, for tests and for hosts with custom backends.
    pub fn with(channel: UnixStream, name: &str) -> Self {
        Self {
            channel,
            name: name.to_owned(),
            instance: String::new(),
            config: Value::Object(serde_json::Map::new()),
            program: String::new(),
            tasks: BTreeMap::new(),
            listeners: Vec::new(),
            chains: Vec::new(),
            tasks_max: 1,
            threads: 1,
            stop_within: Duration::from_secs(5),
            token: CancellationToken::new(),
        }
    }

    /// Returns the module's name in its host.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the id of the host's run.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Returns the module's configuration as a deserialized value.
    ///
    /// # Errors
    /// It does not fit the type.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(&self.config).map_err(Error::Config)
    }

    /// Returns the token that fires when the module must end: at the host's request, on a signal, or when the host is gone.
    /// Use it for work besides tasks; firing it ends the module.
    #[must_use]
    pub const fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Serves a task. A payload that cannot be decoded, an error and a panic of the function become the task's error.
    pub fn task<F, Fut, P, R, E>(mut self, name: impl Into<String>, function: F) -> Self
    where
        F: Fn(TaskContext, P) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, E>> + Send + 'static,
        P: DeserializeOwned + Send + 'static,
        R: Serialize,
        E: Into<BoxError>,
    {
        self.tasks.insert(name.into(), task::handler(function));
        self
    }

    /// Serves a task whose payload and returned value are [`Payload`]s: bytes, or JSON without conversion.
    pub fn task_payload<F, Fut, E>(mut self, name: impl Into<String>, function: F) -> Self
    where
        F: Fn(TaskContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Payload, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.tasks.insert(name.into(), task::payload_handler(function));
        self
    }

    /// Runs a task of this module for each result announced under a pattern, such as `results.scan`. The payload is the
    /// result's reference ([`TaskContext::result`]); [`TaskContext::read`] reads the data.
    pub fn chain(mut self, from: impl Into<String>, task: impl Into<String>) -> Self {
        let (from, task) = (from.into(), task.into());
        self.chains.push(ChainFrom { from, task });
        self
    }

    /// Handles messages that match a pattern, in order and one at a time. A message that matches several patterns is handled
    /// by each of their handlers. Errors and panics are logged and reported to the host, and the next message follows.
    pub fn on<F, Fut, E>(mut self, pattern: impl Into<String>, handler: F) -> Self
    where
        F: Fn(Event) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.listeners.push(Listener {
            pattern: pattern.into(),
            handler: Box::new(move |event| {
                let handled = handler(event);
                Box::pin(async move { handled.await.map_err(Into::into) })
            }),
        });
        self
    }

    /// Sets the maximum number of concurrent tasks. Default: 1.
    pub const fn tasks_max(mut self, tasks: u32) -> Self {
        self.tasks_max = if tasks == 0 { 1 } else { tasks };
        self
    }

    /// Sets the number of threads for tasks and handlers. Default: 1.
    pub const fn threads(mut self, threads: usize) -> Self {
        self.threads = if threads == 0 { 1 } else { threads };
        self
    }

    /// Sets the time for tasks to end after a signal. Default: 5 s. Threads that are still busy when [`Module::run`] has
    /// returned end with the process.
    pub const fn stop_within(mut self, within: Duration) -> Self {
        self.stop_within = within;
        self
    }

    /// Sets the name and version of the program, for the host's log.
    pub fn program(mut self, program: impl Into<String>) -> Self {
        self.program = program.into();
        self
    }

    /// Runs the module until the host or a signal asks it to end. Blocks the calling thread, which must not be one of a runtime.
    ///
    /// # Errors
    /// The host refuses the module, is gone, or sends an invalid frame.
    pub fn run(self) -> Result<(), Error> {
        let (out, frames) = mpsc::channel(OUT_MAX);
        let hello = Hello {
            protocol: PROTOCOL,
            program: self.program,
            tasks: self.tasks.keys().cloned().collect(),
            tasks_max: Some(self.tasks_max),
            subscribe: self.listeners.iter().map(|listener| listener.pattern.clone()).collect(),
            chains: self.chains,
            shared_memory: LIBRARY.map(str::to_owned),
        };
        let workers = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(self.threads)
            .thread_name("isopod-module")
            .enable_all()
            .build()?;
        let plan = Plan {
            hello,
            tasks: self.tasks,
            listeners: self.listeners,
            stop_within: self.stop_within,
            token: self.token.clone(),
            workers: workers.handle().clone(),
            link: Arc::new(Link::new(out)),
        };
        self.channel.set_nonblocking(true)?;
        let channel = self.channel;
        // This thread runs no tasks, so that the host gets answers even if all others are busy.
        let io = std::thread::Builder::new()
            .name("isopod-module-io".to_owned())
            .spawn(move || io::run(channel, plan, frames))?;
        let ended = io.join().unwrap_or(Err(Error::Closed));
        self.token.cancel();
        workers.shutdown_timeout(THREADS_GRACE);
        ended
    }
}

/// Reads an environment variable that the host has set.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok() // tidy:allow(environment): the host passes the module's settings there
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Omits the configuration, which may contain secrets.
        f.debug_struct("Module")
            .field("name", &self.name)
            .field("tasks", &self.tasks.keys())
            .finish_non_exhaustive()
    }
}
