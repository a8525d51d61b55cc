//! The seam between the pool and what it runs. The pool knows threads, queues and time; an [`Engine`] knows scripts.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use isopod_outcome::{Failure, Outcome};

use crate::sync::thread::{Builder, JoinHandle};

/// What the pool runs. One engine is shared by every thread of one pool.
pub trait Engine: Send + Sync + 'static {
    /// One version of one script: bootable many times, on any thread.
    type Script: Send + Sync + 'static;
    /// One thing a worker is asked to handle. The way back to the caller travels inside it.
    type Event: Event;
    /// What belongs to a worker thread and outlives its workers: an I/O runtime, thread-local clients. Not `Send`.
    type Thread: 'static;
    /// One isolate. Not `Send`: it is made, used and dropped on one thread.
    type Worker: Worker<Event = Self::Event> + 'static;

    /// Makes an OS thread.
    ///
    /// Replace it where all threads have to descend from one permanent thread, as V8 wants on some CPUs.
    ///
    /// # Errors
    /// Whatever the operating system says, such as a limit on threads.
    fn spawn_thread(&self, name: String, body: Box<dyn FnOnce() + Send>) -> std::io::Result<JoinHandle<()>> {
        Builder::new().name(name).spawn(body)
    }

    /// Called on a new worker thread before anything else, outside any runtime.
    ///
    /// # Errors
    /// A thread that cannot be used; the pool makes another after a pause.
    fn start_thread(&self, name: &str) -> Result<Self::Thread, ThreadError>;

    /// Whether workers of this script take events of this kind at all. Default: all do. An event that does not suit is handed
    /// back to the caller.
    fn suits(script: &Self::Script, event: &Self::Event) -> bool {
        let _ = (script, event);
        true
    }

    /// Whether workers of this script end their code where it runs on past [`Worker::stop_at`]. Then an event that passes its
    /// deadline while another's code keeps the thread ends alone. Otherwise, which is the default, nothing but the thread's
    /// return can end it, and one that does not return within [`PoolBuilder::lost_grace`] is lost.
    ///
    /// [`PoolBuilder::lost_grace`]: crate::PoolBuilder::lost_grace
    fn stops_code(script: &Self::Script) -> bool {
        let _ = script;
        false
    }

    /// As many events as one worker of this script can take; with the last of them it is to finish, and another takes its
    /// place. Default: any number.
    fn events_max(script: &Self::Script) -> u64 {
        let _ = script;
        u64::MAX
    }

    /// Makes a worker, inside a current-thread Tokio runtime and a `LocalSet` made for it alone.
    ///
    /// The future is dropped where its deadline passes or the worker is no longer wanted.
    ///
    /// # Errors
    /// Why the script cannot be run; the events that waited for this worker end with it.
    fn boot(
        &self,
        thread: &Self::Thread,
        script: &Arc<Self::Script>,
        ctx: BootContext,
    ) -> impl Future<Output = Result<Self::Worker, BootError>>;
}

/// One thing a worker is asked to handle.
pub trait Event: Send + 'static {
    /// Ends an event that no handler will answer: canceled or expired in the queue, boot failed, worker lost.
    ///
    /// Called on any thread, outside the pool's locks. Must not block.
    fn fail(self, failure: Failure);
}

/// One isolate that runs one version of one script.
///
/// The pool drops a worker before its `LocalSet` and the `LocalSet` before the runtime.
pub trait Worker {
    /// What it handles.
    type Event;

    /// Hands an event over. May run user code up to its first `await`. The slot is the event's name until it is
    /// reported by [`Turn::Ended`].
    fn begin(&mut self, slot: SlotId, event: Self::Event);

    /// Sets when code that runs for this event is to be ended by force. Called before the event is begun, and whenever
    /// it gets another deadline. An event whose code waits at that time is canceled, as at any deadline.
    fn stop_at(&mut self, slot: SlotId, at: Instant) {
        let _ = (slot, at);
    }

    /// Drives user code and reports one turn at a time. `Pending` when everything waits; the waker is then kept, and
    /// woken when there is something to do.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn>;

    /// Whether the worker will report [`Turn::Condemned`], as soon as it has reported what ended before. No event is handed
    /// to it any more: it would share an end that is not its own.
    fn is_condemned(&self) -> bool;

    /// Ends one running event from outside: its wall deadline passed (`ExceededWall`), its caller has gone or the pool
    /// shuts down (`Canceled`). The worker answers the caller, then reports the slot by [`Turn::Ended`], soon: a worker
    /// that does not within the grace period is dropped.
    fn cancel(&mut self, slot: SlotId, outcome: Outcome);

    /// Bytes held, asked after every event where the script is recycled by memory. Must be cheap.
    fn memory_bytes(&mut self) -> usize;

    /// Called before the worker is dropped with events unfinished: it answers each of them with this failure.
    fn abandon(&mut self, failure: Failure);
}

/// What a worker has to say after a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// An event has been answered with a stream, which its worker still produces. From now on another limit of time holds:
    /// [`PoolBuilder::stream_timeout`](crate::PoolBuilder::stream_timeout).
    Streaming {
        /// The slot it was begun with.
        slot: SlotId,
    },
    /// An event has been answered, and goes on with what it put off until then. From now on another limit of time holds:
    /// [`PoolBuilder::wait_until_timeout`](crate::PoolBuilder::wait_until_timeout).
    Answered {
        /// The slot it was begun with.
        slot: SlotId,
    },
    /// An event ended and its caller has been answered.
    Ended {
        /// The slot it was begun with.
        slot: SlotId,
        /// How it ended.
        outcome: Outcome,
    },
    /// The isolate must not be used again: it is dropped now, and every event still open ends with this outcome.
    Condemned {
        /// How the events still open end.
        outcome: Outcome,
        /// Why, for the log and the callers.
        reason: String,
    },
}

/// The name of a running event within one worker. A slot's index is used again, with another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl SlotId {
    /// Less than the script's concurrency.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }

    /// Differs between any two events that used the same index one after the other.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

/// The number of a worker, unique in its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub(crate) u64);

impl WorkerId {
    /// The number itself.
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

/// What [`Engine::boot`] is told besides the script.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BootContext {
    /// The worker's number.
    pub worker: WorkerId,
    /// The name the script is deployed under.
    pub script_name: Arc<str>,
    /// The version of that deployment.
    pub version: u64,
    /// How many events will be begun at a time.
    pub concurrency: usize,
    /// When the pool gives up on the boot.
    pub deadline: Option<Instant>,
    /// When code that still runs for the boot is to be ended by force.
    pub stop_at: Option<Instant>,
    /// To be told where the engine ends the worker's code from outside.
    pub stop: StopNotice,
}

/// How an engine tells the pool that it has told a worker to stop, from another thread than the worker's: one that watches
/// its use of the processor, say. A worker whose thread does not come back within [`PoolBuilder::lost_grace`] from then on
/// is given up, and so is its thread.
///
/// [`PoolBuilder::lost_grace`]: crate::PoolBuilder::lost_grace
#[derive(Clone)]
pub struct StopNotice(Arc<dyn Fn(Stop) + Send + Sync>);

/// What a [`StopNotice`] says.
pub(crate) struct Stop {
    pub(crate) slot: Option<SlotId>,
    pub(crate) outcome: Outcome,
}

impl StopNotice {
    pub(crate) fn new(tell: impl Fn(Stop) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }

    /// The worker has been told to stop, because of the event in this slot; where nobody knows which one it was, the one
    /// that was begun last is blamed. The outcome is that of the event, should the worker not come back.
    pub fn told(&self, slot: Option<SlotId>, outcome: Outcome) {
        (self.0)(Stop { slot, outcome });
    }
}

impl fmt::Debug for StopNotice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StopNotice")
    }
}

/// Why a worker could not be made.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the worker could not boot: {0}")]
pub struct BootError(pub Failure);

impl BootError {
    /// A boot that failed with this message.
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

/// Why a thread cannot host workers.
#[derive(Debug, thiserror::Error)]
#[error("a worker thread could not start: {message}")]
pub struct ThreadError {
    /// What went wrong.
    pub message: String,
    /// What caused it.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ThreadError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }
}
