//! Pools of workers as modules.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isopod_pool::{BuildError, DeployError, Engine, Failure, Options, Pool, ShutdownReport};

use crate::context::Context;
use crate::module::{Module, Phase, PhaseResult};

/// Percentage of a phase's time limit after which the pool cuts the remaining events; the rest is for cutting.
const OWN_SHARE: u32 = 70;

/// A pool that can be a module: one of any [`Engine`], and with the feature `v8` the pool of JavaScript workers.
#[async_trait]
pub trait Pooled: Clone + Send + Sync + 'static {
    /// The type of deployed scripts.
    type Script: Send + Sync + 'static;

    /// See [`Pool::deploy`].
    ///
    /// # Errors
    /// The pool is shutting down.
    fn deploy(&self, name: &str, script: Arc<Self::Script>, options: &Options) -> Result<(), DeployError>;

    /// See [`Pool::warm`].
    ///
    /// # Errors
    /// The script's worker could not boot.
    async fn warm(&self, name: &str) -> Result<(), Failure>;

    /// See [`Pool::drain`].
    async fn drain(&self, limit: Duration) -> ShutdownReport;

    /// See [`Pool::shutdown`].
    async fn shutdown(&self, limit: Duration) -> ShutdownReport;
}

/// Both kinds of pool have methods of these names.
macro_rules! pooled {
    ($(#[$when:meta])? [$($engine:tt)*] $pool:ty, $script:ty) => {
        $(#[$when])?
        #[async_trait]
        impl<$($engine)*> Pooled for $pool {
            type Script = $script;

            fn deploy(&self, name: &str, script: Arc<$script>, options: &Options) -> Result<(), DeployError> {
                Self::deploy(self, name, script, options).map(drop)
            }

            async fn warm(&self, name: &str) -> Result<(), Failure> {
                Self::warm(self, name).await
            }

            async fn drain(&self, limit: Duration) -> ShutdownReport {
                Self::drain(self, limit).await
            }

            async fn shutdown(&self, limit: Duration) -> ShutdownReport {
                Self::shutdown(self, limit).await
            }
        }
    };
}

pooled!([E: Engine] Pool<E>, E::Script);
pooled!(#[cfg(feature = "v8")] [] isopod_pool::js::Pool, isopod_pool::js::Script);

/// An error of a pool module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// A script cannot start.
    #[error("the script `{script}` cannot start: {}", describe(failure))]
    Warm {
        /// Its name.
        script: String,
        /// The reason.
        failure: Failure,
    },
    /// Events were cut.
    #[error("{cut} events did not end in time and were cut; {finished} finished")]
    Cut {
        /// Number of cut events.
        cut: usize,
        /// Number of finished events.
        finished: usize,
    },
    /// Threads did not end in time.
    #[error("{0} threads of the pool did not end in time")]
    Stuck(usize),
}

fn describe(failure: &Failure) -> String {
    let detail = failure.detail.as_deref().map(|detail| format!("\n{detail}"));
    format!("{}{}", failure.message, detail.unwrap_or_default())
}

/// A pool as a module: created and registered in the hub in [`Phase::Build`], its scripts deployed and warmed in
/// [`Phase::Start`], drained in [`Phase::Drain`], its threads joined in [`Phase::Close`].
///
/// ```
/// # #[cfg(feature = "v8")] {
/// # mod isopod { pub use isopod_host as host; pub use isopod_pool::{Options, js::{Pool, Script}}; }
/// use isopod::host::PoolModule;
/// use isopod::{Options, Pool, Script};
///
/// let script = Script::builder("sum").source("export const add = (a, b) => a + b;").build().expect("a name");
/// let module = PoolModule::new("pool", || Pool::builder().threads(2).build())
///     .script("sum", script, Options::default());
/// // Others find it by `ctx.hub().get::<Pool>()`.
/// # drop(module);
/// # }
/// ```
pub struct PoolModule<P: Pooled> {
    name: String,
    depends_on: Vec<String>,
    scoped: bool,
    scripts: Vec<(String, Arc<P::Script>, Options)>,
    make: Option<Make<P>>,
    pool: Option<P>,
    drain_limit: Option<DrainLimit>,
    close_limit: Option<Duration>,
    on_end: Option<OnEnd>,
}

type DrainLimit = Box<dyn Fn() -> Duration + Send + Sync>;

type OnEnd = Box<dyn Fn(Phase, ShutdownReport) + Send + Sync>;

type Make<P> = Box<dyn FnOnce(&Context) -> Result<P, BuildError> + Send>;

impl<P: Pooled> PoolModule<P> {
    /// Creates a module with this name and the pool that the function creates.
    pub fn new(name: impl Into<String>, make: impl FnOnce() -> Result<P, BuildError> + Send + 'static) -> Self {
        Self::with(name, |_| make())
    }

    /// [`PoolModule::new`] for a function that needs the module's context, usually to publish events of the pool's workers and
    /// threads on the bus: `|ctx| Pool::builder().on(ctx.bus().observer()).build()`.
    pub fn with(
        name: impl Into<String>,
        make: impl FnOnce(&Context) -> Result<P, BuildError> + Send + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            depends_on: Vec::new(),
            scoped: false,
            scripts: Vec::new(),
            make: Some(Box::new(make)),
            pool: None,
            drain_limit: None,
            close_limit: None,
            on_end: None,
        }
    }

    /// Adds a dependency: this module comes after that one.
    #[must_use]
    pub fn depends_on(mut self, module: impl Into<String>) -> Self {
        self.depends_on.push(module.into());
        self
    }

    /// Adds a script to deploy. If it cannot start, the host does not either.
    #[must_use]
    pub fn script(mut self, name: impl Into<String>, script: impl Into<Arc<P::Script>>, options: Options) -> Self {
        self.scripts.push((name.into(), script.into(), options));
        self
    }

    /// Sets how long accepted events may take to finish at [`Phase::Drain`], by a function that is called when that phase
    /// begins. Default: 70 % of the phase's limit.
    #[must_use]
    pub fn drain_within(mut self, limit: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        self.drain_limit = Some(Box::new(limit));
        self
    }

    /// Sets how long the pool's threads may take to end at [`Phase::Close`]. Default: 70 % of the phase's limit.
    #[must_use]
    pub const fn close_within(mut self, limit: Duration) -> Self {
        self.close_limit = Some(limit);
        self
    }

    /// Passes the reports of [`Phase::Drain`] and [`Phase::Close`] to this function. Cut events and stuck threads are then not
    /// failures of the module. Default: they are [`PoolError::Cut`] and [`PoolError::Stuck`].
    #[must_use]
    pub fn on_end(mut self, report: impl Fn(Phase, ShutdownReport) + Send + Sync + 'static) -> Self {
        self.on_end = Some(Box::new(report));
        self
    }

    /// Registers the pool under the module's name as its scope, so that there may be others of its kind.
    #[must_use]
    pub const fn scoped(mut self) -> Self {
        self.scoped = true;
        self
    }
}

#[async_trait]
impl<P: Pooled> Module for PoolModule<P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn depends_on(&self) -> Vec<String> {
        self.depends_on.clone()
    }

    async fn build(&mut self, ctx: &Context) -> PhaseResult {
        let Some(make) = self.make.take() else {
            return Ok(());
        };
        let pool = make(ctx)?;
        let client = Arc::new(pool.clone());
        if self.scoped {
            ctx.hub().register_scoped(&self.name, client)?;
        } else {
            ctx.hub().register(client)?;
        }
        self.pool = Some(pool);
        Ok(())
    }

    async fn start(&mut self, _ctx: &Context) -> PhaseResult {
        let Some(pool) = &self.pool else {
            return Ok(());
        };
        // All scripts begin to boot before the first one is awaited.
        for (name, script, options) in &self.scripts {
            pool.deploy(name, Arc::clone(script), options)?;
        }
        for (script, ..) in &self.scripts {
            pool.warm(script).await.map_err(|failure| PoolError::Warm {
                script: script.clone(),
                failure,
            })?;
        }
        Ok(())
    }

    async fn drain(&mut self, ctx: &Context) -> PhaseResult {
        let Some(pool) = &self.pool else {
            return Ok(());
        };
        let limit = self
            .drain_limit
            .as_ref()
            .map_or_else(|| own(ctx, Phase::Drain), |limit| limit());
        let report = pool.drain(limit).await;
        let ShutdownReport { finished, cut, .. } = report;
        if let Some(on_end) = &self.on_end {
            on_end(Phase::Drain, report);
            return Ok(());
        }
        tracing::info!(finished, cut, "pool drained");
        match cut {
            0 => Ok(()),
            cut => Err(PoolError::Cut { cut, finished }.into()),
        }
    }

    async fn close(&mut self, ctx: &Context) -> PhaseResult {
        let Some(pool) = self.pool.take() else {
            return Ok(());
        };
        let limit = self.close_limit.unwrap_or_else(|| own(ctx, Phase::Close));
        let report = pool.shutdown(limit).await;
        match (&self.on_end, report.threads_stuck) {
            (Some(on_end), _) => on_end(Phase::Close, report),
            (None, 0) => {}
            (None, stuck) => return Err(PoolError::Stuck(stuck).into()),
        }
        Ok(())
    }
}

impl<P: Pooled> std::fmt::Debug for PoolModule<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scripts: Vec<_> = self.scripts.iter().map(|(name, ..)| name).collect();
        f.debug_struct("PoolModule")
            .field("name", &self.name)
            .field("scripts", &scripts)
            .finish_non_exhaustive()
    }
}

fn own(ctx: &Context, phase: Phase) -> Duration {
    ctx.limit(phase) * OWN_SHARE / 100
}
