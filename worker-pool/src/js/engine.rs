//! The JavaScript engine: the pool's [`Engine`] over the workers of `isopod-runtime`.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use isopod_outcome::{Failure, Outcome};
use isopod_runtime::fetcher::{Fetcher, Loopback};
use isopod_runtime::handlers::Event as JsEvent;
use isopod_runtime::io::IoOptions;
use isopod_runtime::{
    Isolation, OsScheduling, Script, Watchdog, WorkerTemplate, WorkerThread, platform, run_in_short_slices,
};

use super::cell::worker::{CellWorker, Conditions, boot};
use super::cell::{Cells, Depot};
use super::fault::fault;
use super::thread_worker::ThreadWorker;
use crate::engine::{BootContext, BootError, Engine, Event, SlotId, ThreadError, Trim, Turn, Worker};

/// An engine for JavaScript's scripts and events, such as [`JsEngine`].
pub trait ScriptEngine: Engine<Script = Script, Event = JsEvent> {}

impl<E: Engine<Script = Script, Event = JsEvent>> ScriptEngine for E {}

/// Creates the fetcher for a worker's name.
pub(super) type MakeFetcher = Arc<dyn Fn(&str) -> Arc<dyn Fetcher> + Send + Sync>;

/// Creates fetchers for a pool's workers. Set once the pool exists.
pub(super) type Fetchers = Arc<OnceLock<MakeFetcher>>;

/// Runs scripts on V8. Each pool has its own.
pub struct JsEngine {
    io_threads: usize,
    scheduling: OsScheduling,
    template: WorkerTemplate,
    /// Creates fetchers for the pool's workers. Set once the pool exists.
    fetchers: Fetchers,
    isolation: Isolation,
    /// Starts the processes of cells.
    depot: Option<Arc<Depot>>,
    conditions: Conditions,
    /// Started by the first worker thread, so that creating an engine cannot fail.
    watchdog: Mutex<Option<Arc<Watchdog>>>,
}

impl JsEngine {
    /// Creates an engine with this number of threads per I/O runtime, and this template of its workers.
    pub(super) fn new(
        io_threads: usize,
        scheduling: OsScheduling,
        template: WorkerTemplate,
        fetchers: Fetchers,
    ) -> Self {
        Self {
            io_threads,
            scheduling,
            template,
            fetchers,
            isolation: Isolation::Thread,
            depot: None,
            conditions: Conditions {
                io_threads,
                scheduling,
                lost_grace: Duration::ZERO,
                cancel_grace: Duration::ZERO,
                fetchers: None,
            },
            watchdog: Mutex::new(None),
        }
    }

    /// Sets the default isolation of workers, and the command that starts cells.
    pub(super) fn with_cells(
        mut self,
        isolation: Isolation,
        cells: Option<Cells>,
        lost_grace: Duration,
        cancel_grace: Duration,
    ) -> Self {
        self.isolation = isolation;
        self.depot = cells.map(Depot::new).map(Arc::new);
        self.conditions.lost_grace = lost_grace;
        // The event must end before the pool gives up on the worker.
        self.conditions.cancel_grace = cancel_grace / 2;
        self
    }

    /// The cells, which end with the engine.
    pub(super) fn depot(&self) -> Weak<Depot> {
        self.depot.as_ref().map(Arc::downgrade).unwrap_or_default()
    }

    fn watchdog(&self) -> io::Result<Arc<Watchdog>> {
        let mut watchdog = self.watchdog.lock().unwrap_or_else(PoisonError::into_inner);
        match &*watchdog {
            Some(watchdog) => Ok(watchdog.clone()),
            None => Ok(watchdog.insert(Arc::new(Watchdog::start(self.scheduling)?)).clone()),
        }
    }
}

impl Engine for JsEngine {
    type Script = Script;
    type Event = JsEvent;
    type Thread = WorkerThread;
    type Worker = JsWorker;

    fn spawn_thread(&self, name: String, body: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
        platform::spawn(name, body)
    }

    fn start_thread(&self, name: &str) -> Result<WorkerThread, ThreadError> {
        if self.scheduling == OsScheduling::Tuned {
            run_in_short_slices();
        }
        let options = IoOptions::default().threads(self.io_threads).name(format!("{name}-io"));
        let watchdog = self.watchdog().map_err(|error| ThreadError {
            message: "cannot start the watchdog: is there a limit on threads?".to_owned(),
            source: Some(error.into()),
        })?;
        Ok(WorkerThread::new(options, watchdog).with_template(self.template.clone()))
    }

    /// The watchdog stops code.
    fn stops_code(_: &Script) -> bool {
        true
    }

    fn native_max(script: &Script) -> Duration {
        script.parse_time_max()
    }

    fn events_max(_: &Script) -> u64 {
        isopod_runtime::Worker::EVENTS_MAX.into()
    }

    async fn boot(&self, thread: &WorkerThread, script: &Arc<Script>, ctx: BootContext) -> Result<JsWorker, BootError> {
        let isolation = script.isolation().unwrap_or(self.isolation);
        if isolation.is_cell() {
            let Some(depot) = &self.depot else {
                return Err(BootError::new(
                    "workers in processes of their own need a program that runs them: see `PoolBuilder::cells`",
                ));
            };
            let conditions = Conditions {
                fetchers: self.fetchers.get().cloned(),
                ..self.conditions.clone()
            };
            let worker = boot(depot, script, ctx, &conditions, isolation).await?;
            return Ok(JsWorker(Place::Cell(Box::new(worker))));
        }
        let loopback = self.fetchers.get().cloned();
        let loopback = loopback.map(|make| Loopback::new(Arc::clone(&ctx.script_name), move |name| make(name)));
        let worker = ThreadWorker::boot(thread, script, ctx, loopback).await?;
        Ok(JsWorker(Place::Thread(worker)))
    }
}

impl Event for JsEvent {
    fn fail(self, failure: Failure) {
        JsEvent::fail(self, fault(failure));
    }
}

/// A worker that runs a script, on this thread or in its own process.
pub struct JsWorker(Place);

#[expect(
    clippy::large_enum_variant,
    reason = "a worker in a thread is reached as before there were cells"
)]
enum Place {
    Thread(ThreadWorker),
    Cell(Box<CellWorker>),
}

impl Worker for JsWorker {
    type Event = JsEvent;

    fn begin(&mut self, slot: SlotId, event: JsEvent) {
        match &mut self.0 {
            Place::Thread(worker) => worker.begin(slot, event),
            Place::Cell(worker) => worker.begin(slot, event),
        }
    }

    fn stop_at(&mut self, slot: SlotId, at: Instant) {
        match &mut self.0 {
            Place::Thread(worker) => worker.stop_at(slot, at),
            Place::Cell(worker) => worker.stop_at(slot, at),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        match &mut self.0 {
            Place::Thread(worker) => worker.poll(cx),
            Place::Cell(worker) => worker.poll(cx),
        }
    }

    fn is_condemned(&self) -> bool {
        match &self.0 {
            Place::Thread(worker) => worker.is_condemned(),
            Place::Cell(worker) => worker.is_condemned(),
        }
    }

    fn is_in_long_turn(&self) -> bool {
        match &self.0 {
            Place::Thread(_) => false,
            Place::Cell(worker) => worker.is_in_long_turn(),
        }
    }

    fn cancel(&mut self, slot: SlotId, outcome: Outcome) {
        match &mut self.0 {
            Place::Thread(worker) => worker.cancel(slot, outcome),
            Place::Cell(worker) => worker.cancel(slot, outcome),
        }
    }

    fn memory_bytes(&mut self) -> usize {
        match &mut self.0 {
            Place::Thread(worker) => worker.memory_bytes(),
            Place::Cell(worker) => worker.memory_bytes(),
        }
    }

    fn trim(&mut self, trim: Trim) {
        match &mut self.0 {
            Place::Thread(worker) => worker.trim(trim),
            Place::Cell(worker) => worker.trim(trim),
        }
    }

    fn take_back(&mut self, slot: SlotId) -> Option<JsEvent> {
        match &mut self.0 {
            Place::Thread(_) => None,
            Place::Cell(worker) => worker.take_back(slot),
        }
    }

    fn abandon(&mut self, failure: Failure) {
        match &mut self.0 {
            Place::Thread(worker) => worker.abandon(failure),
            Place::Cell(worker) => worker.abandon(&failure),
        }
    }
}
