//! The settings of a pool of JavaScript workers: the settings of every pool, and of the engine.

use std::sync::Arc;

use isopod_runtime::{Extend, Image, Isolation, OsScheduling, WorkerTemplate};

use super::cell::Cells;
use super::engine::{Fetchers, JsEngine, MakeFetcher, ScriptEngine};
use super::pool::Pool;
use super::worker_fetcher::WorkerFetcher;
use crate::BuildError;
use crate::builder::{Base, PoolBuilder as CoreBuilder, settings};

/// The settings of a [`Pool`], each with a default. Returned by [`Pool::builder`].
///
/// ```
/// # mod isopod { pub use isopod_pool::js::Pool; }
/// use isopod::Pool;
/// use std::time::Duration;
///
/// let pool = Pool::builder()
///     .threads(1)
///     .thread_name("shop")
///     .wall_timeout(Duration::from_secs(5))
///     .queue_len_max(100)
///     .build()?;
/// # drop(pool);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct PoolBuilder {
    base: Base,
    io_threads: usize,
    scheduling: OsScheduling,
    image: Image,
    extends: Vec<Arc<dyn Extend>>,
    isolation: Isolation,
    cells: Option<Cells>,
}

impl Pool {
    /// Creates a builder with default settings.
    pub fn builder() -> PoolBuilder {
        PoolBuilder {
            base: Base::default(),
            io_threads: 2,
            scheduling: OsScheduling::default(),
            image: Image::default(),
            extends: Vec::new(),
            isolation: Isolation::default(),
            cells: None,
        }
    }
}

impl PoolBuilder {
    settings!();

    /// Sets the number of threads of each I/O runtime. Default: 2.
    pub const fn io_threads(mut self, threads: usize) -> Self {
        self.io_threads = threads;
        self
    }

    /// Sets the operating system's scheduling of the pool's threads. Default: [`OsScheduling::Tuned`].
    pub const fn os_scheduling(mut self, scheduling: OsScheduling) -> Self {
        self.scheduling = scheduling;
        self
    }

    /// Adds ops, JavaScript, bindings and modules to the pool's workers, and removes globals from them. May be called
    /// several times: extensions prepare workers in the order of the calls. [`PoolBuilder::build`] refuses two extensions or
    /// two modules with the same name.
    pub fn extend(mut self, extend: impl Extend) -> Self {
        self.extends.push(Arc::new(extend));
        self
    }

    /// Sets the snapshot that isolates start from. Default: [`Image::stock`].
    pub const fn image(mut self, image: Image) -> Self {
        self.image = image;
        self
    }

    /// Sets the isolation of workers whose script sets none ([`ScriptBuilder::isolation`](super::ScriptBuilder::isolation)).
    /// Default: [`Isolation::Thread`].
    pub const fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Sets the command that starts processes for workers with [`Isolation::Process`]. Default: such workers cannot start.
    pub fn cells(mut self, cells: Cells) -> Self {
        self.cells = Some(cells);
        self
    }

    /// Builds the pool. Does not block: threads and workers start in the background.
    ///
    /// # Errors
    /// Settings or extensions conflict, or no thread can be spawned.
    pub fn build(self) -> Result<Pool, BuildError> {
        self.build_with(|engine| engine)
    }

    /// Builds the pool over an engine that wraps the JavaScript engine: see [`ScriptEngine`].
    ///
    /// # Errors
    /// As [`PoolBuilder::build`].
    pub fn build_with<E: ScriptEngine>(self, wrap: impl FnOnce(JsEngine) -> E) -> Result<Pool<E>, BuildError> {
        let template = WorkerTemplate::new(self.image, self.extends);
        let template = template.map_err(|error| BuildError::Engine(error.into()))?;
        let fetchers = Fetchers::default();
        let settings = &self.base.settings;
        let (lost_grace, cancel_grace) = (settings.lost_grace, settings.cancel_grace);
        let engine = JsEngine::new(self.io_threads, self.scheduling, template, Arc::clone(&fetchers)).with_cells(
            self.isolation,
            self.cells,
            lost_grace,
            cancel_grace,
        );
        let depot = engine.depot();
        let core = CoreBuilder::with(wrap(engine), self.base).build()?;
        let pool = core.downgrade();
        let make: MakeFetcher = Arc::new(move |name| Arc::new(WorkerFetcher::new(pool.clone(), name.into())));
        // Set here alone.
        drop(fetchers.set(make));
        Ok(Pool {
            #[cfg(feature = "sql")]
            objects: super::objects::Objects::new(core.downgrade()),
            depot,
            core,
        })
    }
}
