//! One worker: an isolate that runs one version of one script, and its open events.
//!
//! It lives on one thread, inside the event loop and `LocalSet` that its host created for it, and is dropped before
//! them. Its host decides how long it is kept and how many events it gets.

mod arguments;
mod boot;
mod callbacks;
mod code_in_strings;
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
use isopod_ext::io::{EventLoopIo, Io};

use self::entry_points::JsEntryPoints;
use crate::limits::{Breach, Gauge, Limit, Watch};
use crate::module_loader::ScriptLoader;
use crate::{MemoryMeter, Script};

pub use self::boot::BootOptions;
pub use self::console::console_line;

/// An occurrence in a worker that its host has to handle.
#[derive(Debug)]
pub enum Turn {
    /// An event was answered with a stream, and continues with it.
    Streaming {
        /// The event's key, returned by [`Worker::begin`].
        event: EventKey,
    },
    /// An event was answered with a WebSocket, and lasts as long as that is open.
    Session {
        /// The event's key, returned by [`Worker::begin`].
        event: EventKey,
    },
    /// An event was answered completely, and continues with its `ctx.waitUntil` promises.
    Answered {
        /// The event's key, returned by [`Worker::begin`].
        event: EventKey,
    },
    /// An event ended.
    Ended {
        /// The event's key, returned by [`Worker::begin`].
        event: EventKey,
        /// The kind of failure, if it failed.
        result: Result<(), FaultKind>,
    },
    /// The isolate was terminated and must be dropped; all its events have been answered and reported. This is the
    /// fault of the event to blame.
    Condemned(Fault),
}

/// Delay before retrying an event whose worker was ended by another event. A worker starts within milliseconds; a
/// second is the smallest unit in HTTP.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An isolate with a script. See the module's documentation.
pub struct Worker {
    // Dropped in this order: the watch refers to the isolate.
    watch: Watch,
    gauge: Gauge,
    meter: MemoryMeter,
    js: JsEntryPoints,
    runtime: JsRuntime,
    /// The state of its thread.
    io: Rc<Io>,
    /// Its event loop's.
    own_io: Option<Rc<EventLoopIo>>,
    events: Rc<RefCell<Events>>,
    /// Shows the code around the position of an error.
    frames: CodeFrames,
    loader: Rc<ScriptLoader>,
    script: Arc<Script>,
    /// It has `process.nextTick`, whose callbacks are called before microtasks.
    has_ticks: bool,
    /// Its number in its host, for logs.
    number: u64,
    condemned: Option<Fault>,
    /// An uncaught error was reported, which determines a command's exit code.
    uncaught: bool,
}

impl Worker {
    /// Maximum number of events that a worker can take. Its host then replaces it; further events end as
    /// [`FaultKind::WorkerLost`].
    pub const EVENTS_MAX: EventKey = EVENTS_MAX;

    /// For tests: pretends that it has taken this many events.
    #[doc(hidden)]
    pub fn skip_events(&mut self, taken: EventKey) {
        self.events.borrow_mut().names.skip_to(taken);
    }

    /// Starts an event: runs its handler up to the first `await`. Returns the event's key, which [`Worker::poll`]
    /// reports at its end.
    pub fn begin(&mut self, event: Event) -> EventKey {
        self.begin_until(event, None)
    }

    /// Starts an event with a deadline, at which code that runs for it is terminated, as at its CPU limit.
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

    /// Changes the deadline at which code that runs for the event is terminated. The caller has left by then.
    pub fn stop_at(&mut self, event: EventKey, at: Instant) {
        self.events.borrow_mut().set_deadline(event, at);
        self.watch.watched().accounts().stop_at(event, at);
    }

    /// Drives the script. Ready with one occurrence; pending when everything waits, after which the task is woken on
    /// progress.
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

    /// Returns true if the isolate was terminated: [`Worker::poll`] will report it, and no more events should be
    /// started.
    pub fn is_condemned(&self) -> bool {
        self.condemned.is_some()
    }

    /// A caught panic in an op is an error to the script, but the op's state may be inconsistent. Called after the
    /// event has had a chance to be answered with the error.
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
                Stage::WaitUntil => Turn::Answered { event },
                Stage::Session => Turn::Session { event },
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

    /// Fails the open events when nothing is pending any more, so that no answer can arrive.
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

    /// Ends an event from outside: its caller gets the fault if it is still waiting, the request's `signal` fires, and
    /// the next [`Worker::poll`] reports the event's end.
    ///
    /// With [`FaultKind::Canceled`] the caller is gone, but promises passed to `ctx.waitUntil` continue: the next
    /// [`Worker::poll`] reports [`Turn::Answered`]. Canceling it again ends it.
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
        if self.condemned.is_none() && self.events.borrow().is_entering_wait_until(event) {
            return;
        }
        // The script may have ended it itself in response to its signal.
        self.end(event);
        tracing::debug!(target: "isopod::worker", script = %self.script.name, event, ?kind, "event ended by the pool");
    }

    /// Ends an event on the host's side, and releases what was lent to it.
    fn end(&mut self, event: EventKey) {
        let lent = self.events.borrow_mut().end(event);
        take_back(&mut self.runtime.op_state().borrow_mut(), lent);
    }

    /// Answers every open event with this fault, before the worker is dropped.
    pub fn abandon(&mut self, fault: &Fault) {
        let mut events = self.events.borrow_mut();
        for key in events.keys() {
            events.fail(key, fault.clone());
            events.end(key);
        }
    }

    /// The memory it holds, as counted for [`Limits::memory_bytes`](field@crate::Limits::memory_bytes).
    pub fn memory_bytes(&self) -> usize {
        self.meter.bytes()
    }

    /// Collects garbage, and gives free pages of the heap back to the operating system. Takes some milliseconds.
    pub fn collect_garbage(&mut self) {
        self.runtime.v8_isolate().low_memory_notification();
    }

    /// Closes the connections of the worker's thread and ends its I/O runtime, which starts again at its next use. Pending
    /// operations fail.
    pub fn stop_io(&mut self) {
        self.io.stop();
        if let Some(io) = &self.own_io {
            io.stop();
        }
    }

    /// A meter of its memory for other threads.
    pub fn memory(&self) -> MemoryMeter {
        self.meter.clone()
    }

    /// The exit code that a command asked for.
    pub fn exit_code(&mut self) -> Option<i32> {
        isopod_ext::process::exit_code(&self.runtime.op_state())
    }

    /// A limit was exceeded: fails the event to blame with that, and the other events as retryable.
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
                    self.script.limits.memory_bytes >> 20
                ),
            ),
        };
        let open = self.events.borrow().keys();
        let blamed = match (breach.event, open.as_slice()) {
            (None, [only]) => Some(*only),
            (event, _) => event,
        };
        let Some(blamed) = blamed else {
            // The event to blame is unknown, so none is retryable.
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

/// The fault of events whose worker was ended by another event.
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
