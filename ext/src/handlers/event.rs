//! What a script can be asked to handle, and how it answers.

use std::fmt;

use futures::channel::oneshot;
use http::HeaderName;
use serde::Serialize;
use serde_json::Value;

use super::{Body, Fault, Message, Task};
use crate::values::{Answer, Arguments};

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

/// Where the response to a request goes. A dropped receiver is a client that left.
pub type Reply<T> = oneshot::Sender<Result<T, Fault>>;

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

/// In a request's extensions: the URL that the script is to see, where the request's own URI is only a path. Spares a
/// server the parsing of a URI that it has just put together.
#[derive(Debug, Clone)]
pub struct RequestUrl(pub String);

/// In a request's extensions: what `request.cf` tells its script, under the names that scripts for Workers know. Only what is
/// known is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RequestCf {
    /// Such as `HTTP/2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_protocol: Option<&'static str>,
    /// Such as `TLSv1.3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<&'static str>,
    /// Such as `AEAD-AES128-GCM-SHA256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cipher: Option<String>,
    /// What the client's `Accept-Encoding` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_accept_encoding: Option<String>,
}

/// In a request's extensions: how many calls between workers led to it; none where it comes from outside. What its script
/// publishes and fetches is one deeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallDepth(pub u32);

/// Carries the [`CallDepth`] of what a script fetches to the servers of its own process, with their key: they take it off, and
/// end circles. No script sees it, and none can set it.
pub const CALL_DEPTH: HeaderName = HeaderName::from_static("x-isopod-depth");
