//! The JavaScript engine: the pool's [`Engine`] over the workers of `isopod-runtime`.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Instant;

use isopod_outcome::{Failure, Outcome};
use isopod_runtime::fetcher::{Fetcher, Loopback};
use isopod_runtime::handlers::{Event as JsEvent, EventKey, Fault, KeyMap};
use isopod_runtime::io::IoOptions;
use isopod_runtime::{
    BootOptions, Noticed, OnNotice, OsScheduling, Script, Watchdog, WorkerTemplate, WorkerThread, platform,
    run_in_short_slices,
};

use crate::engine::{BootContext, BootError, Engine, Event, SlotId, ThreadError, Trim, Turn, Worker};

/// An engine that runs scripts and takes their events, such as [`JsEngine`].
pub trait ScriptEngine: Engine<Script = Script, Event = JsEvent> {}

impl<E: Engine<Script = Script, Event = JsEvent>> ScriptEngine for E {}

/// Makes the fetcher of a name.
pub(super) type MakeFetcher = Arc<dyn Fn(&str) -> Arc<dyn Fetcher> + Send + Sync>;

/// Makes fetchers of a pool's workers, once there is a pool.
pub(super) type Fetchers = Arc<OnceLock<MakeFetcher>>;

/// Runs scripts on V8. Each pool has its own.
pub struct JsEngine {
    io_threads: usize,
    scheduling: OsScheduling,
    template: WorkerTemplate,
    /// Makes fetchers of the pool's workers. Set once there is a pool.
    fetchers: Fetchers,
    /// Started by the first worker thread, so that creating an engine cannot fail.
    watchdog: Mutex<Option<Arc<Watchdog>>>,
}

impl JsEngine {
    /// An engine whose threads have I/O runtimes of this many threads each, and whose workers are made from this template.
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
            watchdog: Mutex::new(None),
        }
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

    /// The watchdog sees to it.
    fn stops_code(_: &Script) -> bool {
        true
    }

    fn events_max(_: &Script) -> u64 {
        isopod_runtime::Worker::EVENTS_MAX.into()
    }

    async fn boot(&self, thread: &WorkerThread, script: &Arc<Script>, ctx: BootContext) -> Result<JsWorker, BootError> {
        let notice = ctx.notice;
        let loopback = self.fetchers.get().cloned();
        let loopback = loopback.map(|make| Loopback::new(ctx.script_name, move |name| make(name)));
        let options = BootOptions {
            worker: ctx.worker.get(),
            stop_at: ctx.stop_at,
            // If its thread is lost, the pool finds it.
            on_notice: Some(OnNotice::new(move |noticed| match noticed {
                Noticed::LongTurn => notice.long_turn(),
                Noticed::Stopping(limit) => notice.stopping(None, limit.into()),
            })),
            loopback,
        };
        let worker = isopod_runtime::Worker::boot(thread, script, options).await;
        worker.map(JsWorker::new).map_err(|fault| BootError(failure(fault)))
    }
}

impl Event for JsEvent {
    fn fail(self, failure: Failure) {
        JsEvent::fail(self, fault(failure));
    }
}

/// A worker of `isopod-runtime`, with the slots of its events.
pub struct JsWorker {
    worker: isopod_runtime::Worker,
    /// The events in the slots, by index, and the slots of events.
    events: Vec<Option<Begun>>,
    slots: KeyMap<SlotId>,
    /// When the code of the event that is begun next is to be ended.
    next_stop: Option<(SlotId, Instant)>,
}

/// An event in a slot.
#[derive(Clone, Copy)]
struct Begun {
    slot: SlotId,
    /// The worker's key of it.
    key: EventKey,
    /// It was answered with a stream.
    is_streaming: bool,
}

impl JsWorker {
    fn new(worker: isopod_runtime::Worker) -> Self {
        Self {
            worker,
            events: Vec::new(),
            slots: KeyMap::default(),
            next_stop: None,
        }
    }

    fn begun(&mut self, slot: SlotId) -> Option<&mut Begun> {
        let begun = self.events.get_mut(slot.index())?.as_mut();
        begun.filter(|begun| begun.slot == slot)
    }
}

impl Worker for JsWorker {
    type Event = JsEvent;

    fn begin(&mut self, slot: SlotId, event: JsEvent) {
        let stop_at = self.next_stop.take().filter(|(of, _)| *of == slot).map(|(_, at)| at);
        let key = self.worker.begin_until(event, stop_at);
        if self.events.len() <= slot.index() {
            self.events.resize(slot.index() + 1, None);
        }
        self.events[slot.index()] = Some(Begun {
            slot,
            key,
            is_streaming: false,
        });
        self.slots.insert(key, slot);
    }

    fn stop_at(&mut self, slot: SlotId, at: Instant) {
        match self.begun(slot).map(|begun| begun.key) {
            Some(key) => self.worker.stop_at(key, at),
            None => self.next_stop = Some((slot, at)),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        loop {
            match self.worker.poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(isopod_runtime::Turn::Condemned(fault)) => {
                    return Poll::Ready(Turn::Condemned {
                        outcome: fault.kind.into(),
                        reason: fault.message,
                    });
                }
                Poll::Ready(isopod_runtime::Turn::Session { event }) => {
                    let Some(slot) = self.slots.get(&event) else {
                        continue;
                    };
                    return Poll::Ready(Turn::Session { slot: *slot });
                }
                Poll::Ready(isopod_runtime::Turn::Streaming { event }) => {
                    let Some(slot) = self.slots.get(&event).copied() else {
                        continue;
                    };
                    if let Some(begun) = self.begun(slot) {
                        begun.is_streaming = true;
                    }
                    return Poll::Ready(Turn::Streaming { slot });
                }
                Poll::Ready(isopod_runtime::Turn::Answered { event }) => {
                    let Some(slot) = self.slots.get(&event) else {
                        continue;
                    };
                    return Poll::Ready(Turn::Answered { slot: *slot });
                }
                Poll::Ready(isopod_runtime::Turn::Ended { event, result }) => {
                    let Some(slot) = self.slots.remove(&event) else {
                        continue;
                    };
                    if self.begun(slot).is_some() {
                        self.events[slot.index()] = None;
                    }
                    let outcome = result.err().map_or(Outcome::Ok, Outcome::from);
                    return Poll::Ready(Turn::Ended { slot, outcome });
                }
            }
        }
    }

    fn is_condemned(&self) -> bool {
        self.worker.is_condemned()
    }

    fn cancel(&mut self, slot: SlotId, outcome: Outcome) {
        let Some(begun) = self.begun(slot).copied() else { return };
        let message = match outcome {
            Outcome::ExceededWall if begun.is_streaming => {
                "the response's stream did not end within its limit (`limits.stream`)"
            }
            Outcome::ExceededWall => "the handler did not answer within its wall-clock limit",
            _ => "the caller disconnected, or the pool is shutting down",
        };
        self.worker.cancel(begun.key, Fault::new(outcome.into(), message));
    }

    fn memory_bytes(&mut self) -> usize {
        self.worker.memory_bytes()
    }

    fn trim(&mut self, trim: Trim) {
        match trim {
            Trim::Memory => self.worker.collect_garbage(),
            Trim::Io => self.worker.stop_io(),
        }
    }

    fn abandon(&mut self, failure: Failure) {
        self.worker.abandon(&fault(failure));
    }
}

pub(super) fn failure(fault: Fault) -> Failure {
    let mut failure = Failure::new(fault.kind.into(), fault.message);
    failure.detail = fault.detail;
    failure.retry_after = fault.retry_after;
    failure.source = fault.thrown.map(|thrown| thrown as _);
    failure
}

fn fault(failure: Failure) -> Fault {
    let mut fault = Fault::new(failure.outcome.into(), failure.message);
    fault.detail = failure.detail;
    fault.retry_after = failure.retry_after;
    fault
}
