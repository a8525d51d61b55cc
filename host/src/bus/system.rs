//! System events, and the mapping from events of a pool.

use std::sync::Arc;

use isopod_pool::PoolEvent;
use serde::{Deserialize, Serialize};

use super::message::Payload;
use super::topic::{RESERVED, Topic};

/// An event of the system. Published under [`SystemEvent::topic`], with the event as JSON.
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
    /// `isopod.worker.stopped`: a worker has ended.
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
    /// `isopod.event.failed`: the pool ended an accepted event before a worker began it.
    EventFailed {
        /// The name its script is deployed under.
        script: Arc<str>,
        /// The outcome, as named by [`isopod_pool::Outcome::as_str`].
        outcome: Arc<str>,
    },
    /// `isopod.message.failed`: the handler of a script or of a module's process failed on a message, or the message could
    /// not be delivered to it.
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
    /// `isopod.task.progress`: a script or a module's process reports the progress of a task.
    TaskProgress {
        /// Its number, unique on its bus.
        task: u64,
        /// Its name: that of the script, or `<module>.<task>`.
        name: Arc<str>,
        /// The message.
        progress: serde_json::Value,
    },
    /// `isopod.task.completed`: a task of a supervisor, script or module's process succeeded.
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
    /// `isopod.thread.lost`: a worker thread is lost, and another replaces it.
    ThreadLost {
        /// Its name.
        thread: Arc<str>,
        /// The message.
        error: String,
    },
    /// `isopod.thread.respawned`: a thread has replaced a lost one.
    ThreadRespawned {
        /// Its name.
        thread: Arc<str>,
    },
    /// `isopod.draining`: accepted work is being finished, and no more is accepted.
    Draining,
    /// `isopod.shutdown`: the process is about to end.
    Shutdown,
    /// `isopod.module.started`: a module has started.
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
    /// `isopod.lagged`: a subscriber has begun to lose messages. Published again only after it was notified of these.
    Lagged {
        /// Its patterns.
        pattern: Arc<str>,
        /// The topic of the lost message.
        topic: Arc<str>,
    },
}

impl SystemEvent {
    /// Returns its topic.
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

    /// Returns the event that a message contains, if it is a system event.
    #[must_use]
    pub fn of(message: &super::Message) -> Option<Self> {
        let value = message.topic.is_reserved().then(|| message.payload.as_json())??;
        Self::deserialize(value).ok()
    }

    pub(super) fn payload(&self) -> Payload {
        // Strings and numbers can always be serialized.
        serde_json::to_value(self).map_or(Payload::Empty, Payload::Json)
    }
}

/// Returns the system event for an event of a pool; `None` if this version does not know it.
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
