//! What a script can be asked to handle, and how it answers.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::event::{Body, Fault, Message, Reply, TaskItem};
use crate::values::{Answer, Arguments, ToScript};

/// One thing a worker is asked to handle, with the place its answer goes to.
#[derive(Debug)]
pub struct Event {
    /// The named entry point; `None` is the default export.
    pub entrypoint: Option<String>,
    /// What is asked.
    pub kind: EventKind,
}

/// The kinds of event, each with its payload and its reply.
pub enum EventKind {
    /// An HTTP request, for the `fetch` handler.
    Fetch {
        /// The request. Its URI must be absolute: scripts see it as `request.url`.
        request: Box<http::Request<Body>>,
        /// Where the response goes.
        reply: Reply<http::Response<Body>>,
    },
    /// A call of an exported function or method.
    Call {
        /// Its name.
        function: String,
        /// Its arguments.
        arguments: Arguments,
        /// Where the value it returns goes (`null` for `undefined`).
        reply: Box<dyn Answer>,
    },
    /// A task with progress and named results, for the `task` handler.
    Task {
        /// The task.
        task: Task,
        /// Where the value the handler returns goes.
        reply: Box<dyn Answer>,
    },
    /// A message that was published under a topic, for the `message` handler.
    Message {
        /// The message.
        message: Message,
        /// Told when the handler is done.
        reply: Box<dyn Answer>,
    },
    /// A cron trigger, for the `scheduled` handler.
    Scheduled {
        /// The expression that fired.
        cron: String,
        /// When it was due, in milliseconds since the Unix epoch.
        scheduled_time_ms: f64,
        /// Told when the handler is done.
        reply: Box<dyn Answer>,
    },
    /// A batch of queue messages, for the `queue` handler.
    Queue {
        /// The batch: `{ queue, messages: [{ id, timestamp, body, attempts }] }`.
        batch: Value,
        /// Gets `{ ackAll, retryAll, acked: [id], retried: [{ id, delaySeconds }] }`.
        reply: Box<dyn Answer>,
    },
}

impl EventKind {
    /// The handler it is for; for a call, the function.
    pub fn handler(&self) -> &str {
        match self {
            Self::Fetch { .. } => "fetch",
            Self::Call { function, .. } => function,
            Self::Task { .. } => "task",
            Self::Message { .. } => "message",
            Self::Scheduled { .. } => "scheduled",
            Self::Queue { .. } => "queue",
        }
    }
}

impl fmt::Debug for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventKind")
            .field("handler", &self.handler())
            .finish_non_exhaustive()
    }
}

impl Event {
    /// Answers the caller with a fault, without a script having seen the event.
    pub fn fail(self, fault: Fault) {
        match self.kind {
            // A caller that left does not want to know.
            EventKind::Fetch { reply, .. } => drop(reply.send(Err(fault))),
            EventKind::Call { reply, .. }
            | EventKind::Task { reply, .. }
            | EventKind::Message { reply, .. }
            | EventKind::Scheduled { reply, .. }
            | EventKind::Queue { reply, .. } => reply.fail(fault),
        }
    }
}

/// A task, as the `task` handler gets it: `{ id, payload, config }`.
pub struct Task {
    /// Its name among the host's tasks.
    pub id: String,
    /// What it is about.
    pub payload: Box<dyn ToScript>,
    /// Settings of this run, as text by name.
    pub config: BTreeMap<String, String>,
    /// How many messages led to it, and so to what it publishes; 0 for a task that none did.
    pub depth: u32,
    /// Where `ctx.progress()` and `ctx.emit()` go. The channel's capacity is what may wait for a slow reader.
    pub items: mpsc::Sender<TaskItem>,
}
