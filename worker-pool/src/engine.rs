//! The interface between the pool, which manages threads, queues and time, and the [`Engine`] that runs scripts.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use isopod_outcome::{Failure, Outcome};

use crate::sync::thread::{Builder, JoinHandle};

/// Runs a pool's scripts. All threads of a pool share one engine.
pub trait Engine: Send + Sync + 'static {
    /// One version of a script, which can be booted many times on any thread.
    type Script: Send + Sync + 'static;
    /// A unit of work for a worker. It contains the reply channel to its caller.
    type Event: Event;
    /// State of a worker thread that outlives its workers: an I/O runtime, thread-local clients. Not `Send`.
    type Thread: 'static;
    /// A worker. Not `Send`: it is created, used and dropped on one thread.
    type Worker: Worker<Event = Self::Event> + 'static;

    /// Spawns an OS thread.
    ///
    /// Override it if all threads must descend from one permanent thread, as V8 requires on some processors.
    ///
    /// # Errors
    /// An error of the operating system, such as a limit on threads.
    fn spawn_thread(&self, name: String, body: Box<dyn FnOnce() + Send>) -> std::io::Result<JoinHandle<()>> {
        Builder::new().name(name).spawn(body)
    }

    /// Initializes a new worker thread, outside any runtime.
    ///
    /// # Errors
    /// The thread cannot be used; the pool spawns another after a pause.
    fn start_thread(&self, name: &str) -> Result<Self::Thread, ThreadError>;

    /// Returns whether workers of this script handle events of this kind. Default: true. Other events are returned to the caller.
    fn suits(script: &Self::Script, event: &Self::Event) -> bool {
        let _ = (script, event);
        true
    }

    /// Returns whether workers of this script stop code that runs past [`Worker::stop_at`]. If so, an event that passes its
    /// deadline while another event's code occupies the thread ends alone. Otherwise nothing interrupts that code, and a
    /// thread that does not return within [`PoolBuilder::lost_grace`] is lost. Default: false.
    ///
    /// [`PoolBuilder::lost_grace`]: crate::PoolBuilder::lost_grace
    fn stops_code(script: &Self::Script) -> bool {
        let _ = script;
        false
    }

    /// Returns the time that code which nothing interrupts is expected to take for this script before it returns by itself, such
    /// as the parser of its largest module. A thread is lost this much later than [`PoolBuilder::lost_grace`] says. Default: zero.
    ///
    /// [`PoolBuilder::lost_grace`]: crate::PoolBuilder::lost_grace
    fn native_max(script: &Self::Script) -> Duration {
        let _ = script;
        Duration::ZERO
    }

    /// Returns the number of events after which a worker of this script is replaced. Default: unlimited.
    fn events_max(script: &Self::Script) -> u64 {
        let _ = script;
        u64::MAX
    }

    /// Boots a worker, inside its own current-thread Tokio runtime and `LocalSet`.
    ///
    /// The future is dropped at its deadline, or if the worker is no longer needed.
    ///
    /// # Errors
    /// The script cannot run; the events waiting for this worker end with this error.
    fn boot(
        &self,
        thread: &Self::Thread,
        script: &Arc<Self::Script>,
        ctx: BootContext,
    ) -> impl Future<Output = Result<Self::Worker, BootError>>;
}

/// A unit of work for a worker.
pub trait Event: Send + 'static {
    /// Ends an event that no handler answers, because it was canceled or expired in the queue, its worker failed to boot, or
    /// was lost.
    ///
    /// Called on any thread, without holding the pool's lock. Must not block.
    fn fail(self, failure: Failure);
}

/// A worker: one isolate that runs one version of one script.
///
/// The pool drops a worker before its `LocalSet` and the `LocalSet` before the runtime.
pub trait Worker {
    /// The type of its events.
    type Event;

    /// Begins an event. May run user code up to its first `await`. The slot identifies the event until [`Turn::Ended`] names it.
    fn begin(&mut self, slot: SlotId, event: Self::Event);

    /// Sets when code running for this event must be stopped by force. Called before the event begins, and whenever its
    /// deadline changes. An event whose code awaits at that time is canceled, as at any deadline.
    fn stop_at(&mut self, slot: SlotId, at: Instant) {
        let _ = (slot, at);
    }

    /// Drives user code and reports one turn at a time. Returns `Pending` if all code waits, and wakes the waker when there
    /// is work.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn>;

    /// Returns whether the worker will report [`Turn::Condemned`] after earlier turns. It gets no more events, because they
    /// would end with it.
    fn is_condemned(&self) -> bool;

    /// Returns whether the worker is in a long turn that runs outside this thread. Until it wakes its waker and returns
    /// false here, it gets neither events nor cancellations, as if the turn occupied the thread. Default: false, for code
    /// that runs in [`Worker::poll`].
    fn is_in_long_turn(&self) -> bool {
        false
    }

    /// Ends a running event: its wall deadline passed (`ExceededWall`), or its caller left or the pool is shutting down
    /// (`Canceled`). The worker answers the caller and then reports the slot by [`Turn::Ended`]; a worker that does not
    /// within the grace period is dropped.
    fn cancel(&mut self, slot: SlotId, outcome: Outcome);

    /// Returns the memory held, in bytes. Must be cheap: it is called after every event if the script is recycled by memory.
    fn memory_bytes(&mut self) -> usize;

    /// Releases resources that the worker or its thread keeps for reuse. Called once for each [`Trim`] in an idle period.
    /// Does nothing by default.
    fn trim(&mut self, trim: Trim) {
        let _ = trim;
    }

    /// Gives back an event that it has reported by [`Turn::Returned`]. Default: `None`, none is.
    fn take_back(&mut self, slot: SlotId) -> Option<Self::Event> {
        let _ = slot;
        None
    }

    /// Answers every unfinished event with this failure. The worker is dropped next.
    fn abandon(&mut self, failure: Failure);
}

/// Resources that an idle worker releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trim {
    /// Garbage and free memory, after [`PoolBuilder::trim_after`](crate::PoolBuilder::trim_after).
    Memory,
    /// Connections, and the threads that serve them, after
    /// [`PoolBuilder::io_idle_timeout`](crate::PoolBuilder::io_idle_timeout).
    Io,
}

/// A worker's report after a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// An event was answered with a stream that its worker still produces. From now on
    /// [`PoolBuilder::stream_timeout`](crate::PoolBuilder::stream_timeout) applies.
    Streaming {
        /// Its slot.
        slot: SlotId,
    },
    /// An event of a [session](crate::Session) was answered and became a standing event: it continues as long as its
    /// session, without a deadline, for instance as a connection that the answer opened. It does not count towards the
    /// worker's concurrency. After the end of its session, and for an event without one,
    /// [`PoolBuilder::wait_until_timeout`](crate::PoolBuilder::wait_until_timeout) applies.
    Session {
        /// Its slot.
        slot: SlotId,
    },
    /// An event was answered and has `waitUntil` work left. From now on
    /// [`PoolBuilder::wait_until_timeout`](crate::PoolBuilder::wait_until_timeout) applies.
    Answered {
        /// Its slot.
        slot: SlotId,
    },
    /// An event ended, and its caller has been answered.
    Ended {
        /// Its slot.
        slot: SlotId,
        /// Outcome.
        outcome: Outcome,
    },
    /// An event has not begun and will not, because the worker ran code of other events, is condemned or was lost. The pool takes it
    /// by [`Worker::take_back`], and gives it to another worker.
    Returned {
        /// Its slot.
        slot: SlotId,
        /// True if the worker was lost. An event before which one worker after another is lost ends as [`Outcome::WorkerLost`].
        is_lost: bool,
    },
    /// The isolate must not be used again. It is dropped, and every open event ends with this outcome.
    Condemned {
        /// Outcome of the open events.
        outcome: Outcome,
        /// Reason, for the log and the callers.
        reason: String,
    },
}

/// Identifier of a running event within a worker. Indexes are reused with another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl SlotId {
    /// Returns the index. It is below the maximum number of events that a worker holds: the script's concurrency for each
    /// depth of calls between workers, plus the limit for events of sessions.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// Returns the generation, which distinguishes consecutive events with the same index.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

/// A worker's number, unique in its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub(crate) u64);

impl WorkerId {
    /// Returns the id with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A session's number, unique in its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub(crate) u64);

impl SessionId {
    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Context of [`Engine::boot`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BootContext {
    /// The worker's number.
    pub worker: WorkerId,
    /// The name the script is deployed under.
    pub script_name: Arc<str>,
    /// The version of that deployment.
    pub version: u64,
    /// Maximum number of concurrent events.
    pub concurrency: usize,
    /// Maximum number of events of the worker's life. `None`: no limit.
    pub events_max: Option<u64>,
    /// Deadline of the boot.
    pub deadline: Option<Instant>,
    /// Time at which code of the boot must be stopped by force.
    pub stop_at: Option<Instant>,
    /// Channel for what the engine observes on the worker's thread from outside.
    pub notice: WorkerNotice,
}

/// Channel from the engine to the pool, for what another thread, such as a watchdog for CPU time, observes on a worker's thread.
#[derive(Clone)]
pub struct WorkerNotice(Arc<dyn Fn(Noticed) + Send + Sync>);

/// Contents of a [`WorkerNotice`].
pub(crate) enum Noticed {
    LongTurn,
    Stopping(Stop),
}

/// A worker that is being stopped.
pub(crate) struct Stop {
    pub(crate) slot: Option<SlotId>,
    pub(crate) outcome: Outcome,
}

impl WorkerNotice {
    pub(crate) fn new(tell: impl Fn(Noticed) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// Reports that the worker's code has run for some milliseconds without a break. Until the code returns to the event
    /// loop, the worker gets no events. Events that it has not begun go to other workers of its script, or to a new one.
    ///
    /// A late report is harmless: the worker leaves this state when it next reads its mailbox.
    pub fn long_turn(&self) {
        (self.0)(Noticed::LongTurn);
    }

    /// Reports that the engine is stopping the worker because of the event in this slot, or, if the slot is unknown, because
    /// of the event begun last. If the worker's thread does not respond within [`PoolBuilder::lost_grace`], the pool gives
    /// up both worker and thread, and the event ends with this outcome.
    ///
    /// [`PoolBuilder::lost_grace`]: crate::PoolBuilder::lost_grace
    pub fn stopping(&self, slot: Option<SlotId>, outcome: Outcome) {
        (self.0)(Noticed::Stopping(Stop { slot, outcome }));
    }
}

impl fmt::Debug for WorkerNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorkerNotice")
    }
}

/// An error from booting a worker.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the worker could not boot: {0}")]
pub struct BootError(pub Failure);

impl BootError {
    /// Creates an error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Failure::new(Outcome::BootFailed, message))
    }

    /// Adds text for development.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }
}

impl From<Failure> for BootError {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

/// An error from starting a worker thread.
#[derive(Debug, thiserror::Error)]
#[error("a worker thread could not start: {message}")]
pub struct ThreadError {
    /// Message.
    pub message: String,
    /// Cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ThreadError {
    /// Creates an error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }
}
