//! One worker: an isolate that runs one version of one script, and the events it holds.
//!
//! It lives on one thread, inside the fresh event loop and `LocalSet` that its host made for it, and is dropped before
//! them. It does not decide how long it is kept, nor how many events it gets: its host does.

mod arguments;
mod boot;
mod callbacks;
mod command;
mod console;
mod entry_points;
mod traces;
mod turn;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use deno_core::JsRuntime;
use isopod_ext::handlers::{CodeFrames, EVENTS_MAX, Event, EventKey, Events, Fault, FaultKind, Stage, take_back};

use self::entry_points::JsEntryPoints;
use crate::limits::{Breach, Gauge, Limit, Watch};
use crate::module_loader::ScriptLoader;
use crate::{MemoryMeter, Script};

pub use self::boot::BootOptions;

/// What a worker did that its host must know of.
#[derive(Debug)]
pub enum Turn {
    /// An event was answered with a stream, and goes on with it.
    Streaming {
        /// Which, as [`Worker::begin`] named it.
        event: EventKey,
    },
    /// An event has its whole answer, and goes on with what it gave to `ctx.waitUntil`.
    Answered {
        /// Which, as [`Worker::begin`] named it.
        event: EventKey,
    },
    /// An event ended, and how.
    Ended {
        /// Which, as [`Worker::begin`] named it.
        event: EventKey,
        /// `Err` says in which way it failed.
        result: Result<(), FaultKind>,
    },
    /// The isolate was ended by force and must be dropped; every event it held has been answered and reported. This is what
    /// the one to blame ended with.
    Condemned(Fault),
}

/// When an event is to be tried again that shared its worker with one that broke a limit. A worker starts within
/// milliseconds; a second is the least that HTTP has a word for.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// One isolate with one script. See the module's documentation.
pub struct Worker {
    // Dropped in this order: the watch lets go of the isolate before it is gone.
    watch: Watch,
    gauge: Gauge,
    meter: MemoryMeter,
    js: JsEntryPoints,
    runtime: JsRuntime,
    events: Rc<RefCell<Events>>,
    /// Draws the code around where an error was thrown.
    frames: CodeFrames,
    loader: Rc<ScriptLoader>,
    script: Arc<Script>,
    /// Its number in its host, for logs.
    number: u64,
    condemned: Option<Fault>,
    /// An uncaught error was reported: what a command's exit code depends on.
    uncaught: bool,
}

impl Worker {
    /// As many events as one worker can take. Its host replaces it then; what comes all the same ends as
    /// [`FaultKind::WorkerLost`].
    pub const EVENTS_MAX: EventKey = EVENTS_MAX;

    /// For tests: as if it had taken so many events.
    #[doc(hidden)]
    pub fn skip_events(&mut self, taken: EventKey) {
        self.events.borrow_mut().names.skip_to(taken);
    }

    /// Hands an event to the script. Runs its handler up to the first `await`. Gives the name of the event, by which
    /// [`Worker::poll`] tells of its end.
    pub fn begin(&mut self, event: Event) -> EventKey {
        self.begin_until(event, None)
    }

    /// The same, with the time at which code that runs for the event is ended by force, as code that uses up its CPU time is.
    pub fn begin_until(&mut self, event: Event, stop_at: Option<Instant>) -> EventKey {
        let is_full = self.events.borrow().names.are_used_up();
        let (key, entrypoint, begin) = self.events.borrow_mut().accept(event);
        if is_full {
            let message = "the worker cannot take more events; dispatch this one to another";
            let fault = Fault::new(FaultKind::WorkerLost, message);
            self.events.borrow_mut().fail(
                key,
                Fault {
                    retry_after: Some(RETRY_AFTER),
                    ..fault
                },
            );
            self.end(key);
            return key;
        }
        if let Some(at) = stop_at {
            self.stop_at(key, at);
        }
        match &self.condemned {
            Some(fault) => self.events.borrow_mut().fail(key, beside(fault)),
            None => {
                self.call_begin(key, entrypoint, begin);
                if isopod_ext::take_panicked() {
                    self.condemn_for_panic();
                }
            }
        }
        key
    }

    /// Sets another time at which code that runs for the event is ended by force.
    pub fn stop_at(&mut self, event: EventKey, at: Instant) {
        self.watch.watched().accounts().stop_at(event, at);
    }

    /// Drives the script. Ready with one thing that happened; pending when everything waits, and then the task is woken
    /// when something moves.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        loop {
            if let Some(turn) = self.next_turn() {
                return Poll::Ready(turn);
            }
            self.run_callbacks(cx);
            self.clear_leftover_timers();
            let idle = match self.poll_event_loop(cx) {
                Poll::Ready(()) => true,
                Poll::Pending => false,
            };
            if isopod_ext::take_panicked() {
                let _ = self.poll_event_loop(cx);
                self.condemn_for_panic();
            }
            if let Some(turn) = self.next_turn() {
                return Poll::Ready(turn);
            }
            if idle && self.fail_hung() {
                continue;
            }
            return Poll::Pending;
        }
    }

    /// Whether the isolate was ended by force: [`Worker::poll`] will say so, and no event should be begun any more.
    pub fn is_condemned(&self) -> bool {
        self.condemned.is_some()
    }

    /// A panic in an op was caught, and is an error to the script; but what the op worked on may be in pieces. Called when
    /// the event it happened to has had a chance to be answered with the error itself.
    fn condemn_for_panic(&mut self) {
        if self.condemned.is_none() {
            let message = "internal error; retry the worker's events";
            self.condemn_as(Fault::new(FaultKind::WorkerLost, message));
        }
    }

    fn next_turn(&mut self) -> Option<Turn> {
        if let Some((event, stage)) = self.events.borrow_mut().next_answered() {
            return Some(match stage {
                Stage::Streaming => Turn::Streaming { event },
                Stage::Lingering => Turn::Answered { event },
            });
        }
        let ended = self.events.borrow_mut().next_ended();
        if let Some(ended) = ended {
            self.watch.watched().accounts().ended(ended.key);
            if ended.log_dropped > 0 {
                console::tell_log_dropped(&self.script, self.number, ended.log_dropped);
            }
            return Some(Turn::Ended {
                event: ended.key,
                result: ended.result,
            });
        }
        self.condemned.clone().map(Turn::Condemned)
    }

    /// Nothing is pending any more, and events still wait for an answer: none can come.
    fn fail_hung(&mut self) -> bool {
        let hung = self.events.borrow().unanswered();
        for key in &hung {
            let message = "the handler will never answer: its promise is pending and nothing else is";
            self.events
                .borrow_mut()
                .fail(*key, Fault::new(FaultKind::Exception, message));
            self.end(*key);
        }
        !hung.is_empty()
    }

    /// Ends one event from outside: its caller gets the fault if it still waits, the request's `signal` fires, and the
    /// event's end is told by the next [`Worker::poll`].
    ///
    /// With [`FaultKind::Canceled`] nobody waits for an answer any more, but what was given to `ctx.waitUntil` goes on: the next
    /// [`Worker::poll`] tells of [`Turn::Answered`]. Canceled a second time, it ends.
    pub fn cancel(&mut self, event: EventKey, fault: Fault) {
        let kind = fault.kind;
        let known = {
            let mut events = self.events.borrow_mut();
            events.fail(event, fault);
            events.is_open(event)
        };
        if known && self.condemned.is_none() {
            self.call_cancel(event, kind == FaultKind::Canceled);
        }
        if self.condemned.is_none() && self.events.borrow().begins_to_linger(event) {
            return;
        }
        // The script may have ended it itself, in answer to its signal; else it ends here.
        self.end(event);
        tracing::debug!(target: "isopod::worker", script = %self.script.name, event, ?kind, "event ended by the pool");
    }

    /// Ends an event on the host's side, and takes back what it was lent.
    fn end(&mut self, event: EventKey) {
        let lent = self.events.borrow_mut().end(event);
        take_back(&mut self.runtime.op_state().borrow_mut(), lent);
    }

    /// Answers every event still held with this fault. For the moment before the worker is dropped.
    pub fn abandon(&mut self, fault: &Fault) {
        let mut events = self.events.borrow_mut();
        for key in events.keys() {
            events.fail(key, fault.clone());
            events.end(key);
        }
    }

    /// How many events it holds.
    pub fn open_events(&self) -> usize {
        self.events.borrow().open()
    }

    /// Bytes it holds, in all that the field [`Limits::memory_bytes`](field@crate::Limits::memory_bytes) counts.
    pub fn memory_bytes(&self) -> usize {
        self.meter.bytes()
    }

    /// The same for whoever wants to know it from another thread.
    pub fn memory(&self) -> MemoryMeter {
        self.meter.clone()
    }

    /// Whether an error was reported that no code caught.
    pub fn had_uncaught_error(&self) -> bool {
        self.uncaught
    }

    /// The exit code the script asked for, where it is a command.
    pub fn exit_code(&mut self) -> Option<i32> {
        isopod_ext::process::exit_code(&self.runtime.op_state())
    }

    /// A limit was broken: whose code it was ends with that, and what ran beside it is to be tried again.
    fn condemn(&mut self, breach: Breach) {
        if self.script.command.is_some() {
            return self.condemn_as(self.breach_of_command(breach.limit));
        }
        let fault = match breach.limit {
            Limit::Cpu => Fault::new(
                FaultKind::ExceededCpu,
                format!("the event exceeded its CPU limit of {:?}", self.script.limits.cpu),
            ),
            Limit::Wall => Fault::new(
                FaultKind::ExceededWall,
                "the event's code still ran after its deadline and was terminated",
            ),
            Limit::Memory => Fault::new(
                FaultKind::ExceededMemory,
                format!(
                    "the worker exceeded its memory limit of {} MiB",
                    self.script.limits.enforced_memory_bytes() >> 20
                ),
            ),
        };
        let open = self.events.borrow().keys();
        let blamed = match (breach.event, open.as_slice()) {
            (None, [only]) => Some(*only),
            (event, _) => event,
        };
        let Some(blamed) = blamed else {
            // Nobody knows which of them it was: none is told to come again.
            return self.condemn_as(fault);
        };
        for key in open {
            let fault = if key == blamed { fault.clone() } else { beside(&fault) };
            self.events.borrow_mut().fail(key, fault);
            self.end(key);
        }
        self.condemned = Some(fault);
    }

    fn condemn_as(&mut self, fault: Fault) {
        self.abandon(&fault);
        self.condemned = Some(fault);
    }
}

/// What an event is told that shared its worker with one that broke a limit.
fn beside(fault: &Fault) -> Fault {
    let message = format!(
        "the worker was ended because of another event ({}); retry this one",
        fault.message
    );
    Fault {
        retry_after: Some(RETRY_AFTER),
        ..Fault::new(FaultKind::WorkerLost, message)
    }
}
