//! System events, and the mapping from events of a pool.

use std::sync::Arc;

use isopod_pool::PoolEvent;
use serde::{Deserialize, Serialize};

use super::message::Payload;
use super::topic::{RESERVED, Topic};

/// Something that happened to the system. Published under [`SystemEvent::topic`], with itself as JSON.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// use isopod::host::bus::{Bus, Delivery, SubscribeOptions, SystemEvent};
///
/// let bus = Bus::new();
/// let mut modules = bus.subscribe("isopod.module.*", SubscribeOptions::default())?;
/// bus.publish_system(&SystemEvent::ModuleStarted { module: "billing".into() });
/// let Some(Delivery::Message(message)) = modules.try_recv() else { panic!("one was published") };
/// assert_eq!(message.topic.as_str(), "isopod.module.started");
/// assert_eq!(SystemEvent::of(&message), Some(SystemEvent::ModuleStarted { module: "billing".into() }));
/// # Ok::<(), isopod_host::bus::SubscribeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SystemEvent {
    /// `isopod.worker.started`: a worker begins to boot.
    WorkerStarted {
        /// Its number in its pool.
        worker: u64,
        /// The name its script is deployed under.
        script: Arc<str>,
        /// The script's version.
        version: u64,
    },
    /// `isopod.worker.ready`: a worker is ready for events.
    WorkerReady {
        /// Its number in its pool.
        worker: u64,
        /// The name its script is deployed under.
        script: Arc<str>,
    },
    /// `isopod.worker.stopped`: a worker is gone.
    WorkerStopped {
        /// Its number in its pool.
        worker: u64,
        /// The name its script is deployed under.
        script: Arc<str>,
        /// The reason, as named by [`isopod_pool::RetireReason::as_str`].
        reason: Arc<str>,
    },
    /// `isopod.worker.boot_failed`: a worker could not boot.
    BootFailed {
        /// Its number in its pool.
        worker: u64,
        /// The name its script is deployed under.
        script: Arc<str>,
        /// The reason.
        error: String,
    },
    /// `isopod.event.failed`: an event was accepted, and ended by the pool before a worker began it.
    EventFailed {
        /// The name its script is deployed under.
        script: Arc<str>,
        /// The outcome, as named by [`isopod_pool::Outcome::as_str`].
        outcome: Arc<str>,
    },
    /// `isopod.message.failed`: the handler of a script or of a module's process failed at a message, or the message could
    /// not be handed to it.
    MessageFailed {
        /// The name the script is deployed under, or the module's.
        script: Arc<str>,
        /// The message's topic.
        topic: Arc<str>,
        /// The message's number.
        message: u64,
        /// The reason.
        error: String,
    },
    /// `isopod.task.started`: a script or a module's process begins a task.
    TaskStarted {
        /// Its number, unique on its bus.
        task: u64,
        /// Its name: that of the script, or `<module>.<task>`.
        name: Arc<str>,
    },
    /// `isopod.task.progress`: a script or a module's process tells how far a task is.
    TaskProgress {
        /// Its number, unique on its bus.
        task: u64,
        /// Its name: that of the script, or `<module>.<task>`.
        name: Arc<str>,
        /// The message.
        progress: serde_json::Value,
    },
    /// `isopod.task.completed`: a supervised task, or a script's, ended well.
    TaskCompleted {
        /// Its number, unique on its bus.
        task: u64,
        /// Its name.
        name: Arc<str>,
    },
    /// `isopod.task.failed`: a task of a supervisor or script crashed, timed out or was canceled.
    TaskFailed {
        /// Its number, unique on its bus.
        task: u64,
        /// Its name.
        name: Arc<str>,
        /// The reason.
        error: String,
    },
    /// `isopod.thread.lost`: a worker thread is gone, and another takes its place.
    ThreadLost {
        /// Its name.
        thread: Arc<str>,
        /// The message.
        error: String,
    },
    /// `isopod.thread.respawned`: a thread has taken the place of one that was lost.
    ThreadRespawned {
        /// Its name.
        thread: Arc<str>,
    },
    /// `isopod.draining`: nothing new is accepted, and what is there is finished.
    Draining,
    /// `isopod.shutdown`: the process is about to end.
    Shutdown,
    /// `isopod.module.started`: a module is at work.
    ModuleStarted {
        /// Its name.
        module: Arc<str>,
    },
    /// `isopod.module.stopped`: a module has stopped in order.
    ModuleStopped {
        /// Its name.
        module: Arc<str>,
    },
    /// `isopod.module.failed`: a module could not start, crashed or did not stop in order.
    ModuleFailed {
        /// Its name.
        module: Arc<str>,
        /// The reason.
        error: String,
    },
    /// `isopod.module.connected`: the process of a module has registered itself, and its tasks begin.
    ModuleConnected {
        /// Its name.
        module: Arc<str>,
        /// The number of processes that the module had before.
        restarts: u64,
    },
    /// `isopod.module.exited`: the process of a module has ended, in order or not.
    ModuleExited {
        /// Its name.
        module: Arc<str>,
        /// Its exit code, if it exited.
        code: Option<i32>,
        /// The signal that ended it, if one did.
        signal: Option<i32>,
        /// The reason.
        reason: String,
    },
    /// `isopod.lagged`: a subscriber has begun to lose messages. The next is said once it has been told of these.
    Lagged {
        /// Its patterns.
        pattern: Arc<str>,
        /// The topic of the message there was no room for.
        topic: Arc<str>,
    },
}

impl SystemEvent {
    /// Its topic.
    #[must_use]
    pub fn topic(&self) -> Topic {
        let (family, what) = match self {
            Self::WorkerStarted { .. } => ("worker", Some("started")),
            Self::WorkerReady { .. } => ("worker", Some("ready")),
            Self::WorkerStopped { .. } => ("worker", Some("stopped")),
            Self::BootFailed { .. } => ("worker", Some("boot_failed")),
            Self::EventFailed { .. } => ("event", Some("failed")),
            Self::MessageFailed { .. } => ("message", Some("failed")),
            Self::TaskStarted { .. } => ("task", Some("started")),
            Self::TaskProgress { .. } => ("task", Some("progress")),
            Self::TaskCompleted { .. } => ("task", Some("completed")),
            Self::TaskFailed { .. } => ("task", Some("failed")),
            Self::ThreadLost { .. } => ("thread", Some("lost")),
            Self::ThreadRespawned { .. } => ("thread", Some("respawned")),
            Self::ModuleStarted { .. } => ("module", Some("started")),
            Self::ModuleStopped { .. } => ("module", Some("stopped")),
            Self::ModuleFailed { .. } => ("module", Some("failed")),
            Self::ModuleConnected { .. } => ("module", Some("connected")),
            Self::ModuleExited { .. } => ("module", Some("exited")),
            Self::Draining => ("draining", None),
            Self::Shutdown => ("shutdown", None),
            Self::Lagged { .. } => ("lagged", None),
        };
        Topic::lossy([RESERVED, family].into_iter().chain(what))
    }

    /// The event that a message holds, if it is one of the system's.
    #[must_use]
    pub fn of(message: &super::Message) -> Option<Self> {
        let value = message.topic.is_reserved().then(|| message.payload.as_json())??;
        Self::deserialize(value).ok()
    }

    pub(super) fn payload(&self) -> Payload {
        // Strings and numbers only: there is always a value.
        serde_json::to_value(self).map_or(Payload::Empty, Payload::Json)
    }
}

/// Returns the bus's event for one of a pool; `None` for one that this version does not know.
pub(super) fn system_event(event: &PoolEvent) -> Option<SystemEvent> {
    Some(match event {
        PoolEvent::WorkerStarted {
            worker,
            script,
            version,
        } => SystemEvent::WorkerStarted {
            worker: worker.get(),
            script: Arc::clone(script),
            version: *version,
        },
        PoolEvent::WorkerReady { worker, script } => SystemEvent::WorkerReady {
            worker: worker.get(),
            script: Arc::clone(script),
        },
        PoolEvent::WorkerRetired { worker, script, reason } => SystemEvent::WorkerStopped {
            worker: worker.get(),
            script: Arc::clone(script),
            reason: reason.as_str().into(),
        },
        PoolEvent::BootFailed {
            worker,
            script,
            failure,
        } => SystemEvent::BootFailed {
            worker: worker.get(),
            script: Arc::clone(script),
            error: failure.to_string(),
        },
        PoolEvent::EventFailed { script, outcome } => SystemEvent::EventFailed {
            script: Arc::clone(script),
            outcome: outcome.as_str().into(),
        },
        PoolEvent::ThreadLost { thread, message } => SystemEvent::ThreadLost {
            thread: thread.as_str().into(),
            error: message.clone(),
        },
        PoolEvent::ThreadRespawned { thread } => SystemEvent::ThreadRespawned {
            thread: thread.as_str().into(),
        },
        PoolEvent::Draining => SystemEvent::Draining,
        _ => return None,
    })
}
