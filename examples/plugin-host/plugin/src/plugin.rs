//! The plugin: its own runtime, its own pool, and a task for each monitor.
//!
//! Nothing here depends on the calling thread. The thread of an async host must not be blocked by `block_on`, and a
//! synchronous host has no runtime. Async work therefore runs on the plugin's runtime, and callers that have to wait
//! use a plain channel.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use isopod::{Failure, FetchConfig, Meta, NetPolicy, Options, Policy, Pool, Script, ToJsBuffer};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};
use tokio_util::sync::CancellationToken;

use crate::config::Config;

const SCRIPT: &str = "detector";

/// The host's callbacks, called on the plugin's threads.
pub trait Host: Send + Sync + 'static {
    /// Reports a result for a monitor's frame.
    fn found(&self, monitor: &str, frame: u64, what: &Value);
    /// Reports an error of a monitor.
    fn failed(&self, monitor: &str, text: &str);
}

/// An error of starting the plugin, after which nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The configuration is invalid.
    #[error("the configuration does not fit: {0}")]
    Config(#[from] serde_json::Error),
    /// The system could not create a thread.
    #[error("the runtime could not be made: {0}")]
    Runtime(#[from] std::io::Error),
    /// The pool's settings are invalid.
    #[error("the pool could not be made: {0}")]
    Pool(#[from] isopod::BuildError),
    /// The script is invalid.
    #[error("the detector's script could not be made: {0}")]
    Script(#[from] isopod::ScriptError),
    /// The pool rejected the script.
    #[error("the detector could not be deployed: {0}")]
    Deploy(#[from] isopod::DeployError),
    /// The detector does not work, for example because its model server does not answer.
    #[error("the detector is not ready: {0}")]
    NotReady(Failure),
    /// The time limit was reached.
    #[error("the detector was not ready within {0:?}; is the model server slow?")]
    Late(Duration),
    /// The start panicked.
    #[error("the start of the detector panicked")]
    Panicked,
}

/// An error of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The monitor was not started.
    #[error("no work was started for the monitor")]
    NotStarted,
    /// The monitor is started already.
    #[error("work was started for the monitor before")]
    StartedAlready,
    /// Too many of the monitor's frames are waiting.
    #[error("too many frames of the monitor wait")]
    Busy,
}

/// A frame of a monitor.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Pixels per row.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
    /// The brightness of each pixel.
    pub pixels: Vec<u8>,
}

struct Monitor {
    frames: Sender<Frame>,
    stopped: CancellationToken,
}

/// A running detector.
pub struct Plugin {
    /// Taken on drop.
    runtime: Option<Runtime>,
    pool: Pool,
    host: Arc<dyn Host>,
    config: Config,
    monitors: Mutex<HashMap<String, Monitor>>,
    stopped: CancellationToken,
}

impl Plugin {
    /// Creates the runtime and the pool, deploys the detector, and waits until it has loaded its model.
    ///
    /// # Errors
    /// The reason why it cannot start. Everything created until then has been shut down.
    pub fn load(config_json: &str, host: Arc<dyn Host>) -> Result<Self, LoadError> {
        let config: Config = serde_json::from_str(config_json)?;
        let pool = Pool::builder()
            .threads(config.threads)
            .thread_name("detector-js")
            .build()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("detector-rt")
            .enable_time()
            .build()?;
        // From here on, `drop` cleans up after a failure.
        let plugin = Self {
            runtime: Some(runtime),
            pool,
            host,
            config,
            monitors: Mutex::default(),
            stopped: CancellationToken::new(),
        };
        plugin.pool.deploy(
            SCRIPT,
            plugin.script()?,
            &Options::default().workers_max(1).policy(Policy::PerWorker),
        )?;
        plugin.wait(plugin.config.start_timeout(), ready(plugin.pool.clone()))?;
        Ok(plugin)
    }

    fn script(&self) -> Result<Script, LoadError> {
        // The model server is local: allow private addresses.
        let policy = NetPolicy::default().allow_private(true);
        let script = Script::builder(SCRIPT)
            .source(include_str!("detector.js"))
            .text("MODEL_URL", &self.config.model)
            .fetch(FetchConfig::default().policy(Arc::new(policy)));
        Ok(script.build()?)
    }

    /// Waits for a future on the plugin's runtime. `block_on` would panic on a thread of another runtime.
    fn wait(
        &self,
        limit: Duration,
        future: impl Future<Output = Result<(), LoadError>> + Send + 'static,
    ) -> Result<(), LoadError> {
        let (done, result) = sync_channel(1);
        let work = self.spawn(async move {
            // The receiver is gone after the timeout.
            let _ = done.send(future.await);
        });
        result.recv_timeout(limit).unwrap_or_else(|error| {
            work.abort();
            Err(match error {
                RecvTimeoutError::Timeout => LoadError::Late(limit),
                RecvTimeoutError::Disconnected => LoadError::Panicked,
            })
        })
    }

    fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
        self.runtime.as_ref().expect("it is taken in `drop` only").spawn(future)
    }

    /// Starts processing a monitor's frames; returns immediately.
    ///
    /// # Errors
    /// The monitor is started already.
    pub fn on_start(&self, monitor: &str) -> Result<(), Refused> {
        let mut monitors = self.monitors();
        let Entry::Vacant(place) = monitors.entry(monitor.to_owned()) else {
            return Err(Refused::StartedAlready);
        };
        let (frames, waiting) = channel(self.config.frames_waiting_max.max(1));
        let stopped = self.stopped.child_token();
        let work = Work {
            monitor: monitor.to_owned(),
            pool: self.pool.clone(),
            host: Arc::clone(&self.host),
            limit: self.config.frame_timeout(),
        };
        let until = stopped.clone();
        self.spawn(async move {
            // Dropping a call cancels it, so a frame in progress ends here too.
            until.run_until_cancelled(work.watch(waiting)).await;
            work.forget().await;
        });
        place.insert(Monitor { frames, stopped });
        Ok(())
    }

    /// Submits a frame; returns immediately.
    ///
    /// # Errors
    /// The monitor was not started, or too many of its frames are waiting.
    pub fn on_frame(&self, monitor: &str, frame: Frame) -> Result<(), Refused> {
        let monitors = self.monitors();
        let sent = monitors.get(monitor).ok_or(Refused::NotStarted)?.frames.try_send(frame);
        sent.map_err(|error| match error {
            TrySendError::Full(_) => Refused::Busy,
            TrySendError::Closed(_) => Refused::NotStarted,
        })
    }

    /// Stops processing a monitor's frames; returns immediately.
    ///
    /// # Errors
    /// The monitor was not started.
    pub fn on_stop(&self, monitor: &str) -> Result<(), Refused> {
        let stopped = self.monitors().remove(monitor).ok_or(Refused::NotStarted)?.stopped;
        stopped.cancel();
        Ok(())
    }

    fn monitors(&self) -> MutexGuard<'_, HashMap<String, Monitor>> {
        self.monitors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops all processing and joins all threads.
impl Drop for Plugin {
    fn drop(&mut self) {
        self.stopped.cancel();
        let (pool, limit) = (self.pool.clone(), self.config.stop_timeout());
        let runtime = self.runtime.take();
        // On its own thread: a runtime must not be dropped on a thread of another runtime.
        let end = thread::Builder::new().name("detector-end".into()).spawn(move || {
            let report = pool.shutdown_blocking(limit);
            if let Some(runtime) = runtime {
                runtime.shutdown_timeout(limit.max(Duration::from_secs(1)));
            }
            report.threads_stuck
        });
        match end.map(thread::JoinHandle::join) {
            Ok(Ok(0)) => {}
            Ok(Ok(stuck)) => self.host.failed("", &format!("{stuck} threads did not end")),
            Ok(Err(_)) => self.host.failed("", "the end panicked"),
            // The closure dropped the runtime in the background; the pool ends when its last handle is dropped.
            Err(error) => self
                .host
                .failed("", &format!("the threads could not be joined: {error}")),
        }
    }
}

async fn ready(pool: Pool) -> Result<(), LoadError> {
    pool.warm(SCRIPT).await.map_err(LoadError::NotReady)?;
    pool.call::<_, String>(SCRIPT, "ready", ())
        .await
        .map_err(LoadError::NotReady)?;
    Ok(())
}

/// The task of one monitor.
struct Work {
    monitor: String,
    pool: Pool,
    host: Arc<dyn Host>,
    limit: Duration,
}

impl Work {
    async fn watch(&self, mut frames: Receiver<Frame>) {
        let mut number = 0;
        while let Some(Frame { width, height, pixels }) = frames.recv().await {
            number += 1;
            // The pixels become a `Uint8Array` without a copy.
            let arguments = (self.monitor.clone(), width, height, ToJsBuffer::from(pixels));
            let meta = Meta::default().deadline(Instant::now().checked_add(self.limit));
            match self.pool.call_with(SCRIPT, "detect", arguments, meta).await {
                Ok(what) => self.host.found(&self.monitor, number, &what),
                Err(failure) => self.host.failed(&self.monitor, &format!("frame {number}: {failure}")),
            }
        }
    }

    async fn forget(&self) {
        // A pool that is shutting down drops the state by itself.
        let _: Result<(), Failure> = self.pool.call(SCRIPT, "forget", (self.monitor.clone(),)).await;
    }
}
