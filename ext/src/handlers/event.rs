//! What a script can be asked to handle, and how it answers.

use futures::channel::oneshot;
use serde_json::Value;

use super::{Body, Fault};

/// One thing a worker is asked to handle, with the place its answer goes to.
#[derive(Debug)]
pub struct Event {
    /// The named entry point; `None` is the default export.
    pub entrypoint: Option<String>,
    /// What is asked.
    pub kind: EventKind,
}

/// The kinds of event, each with its payload and its reply.
#[derive(Debug)]
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
        /// Its arguments, in order.
        arguments: Vec<Value>,
        /// Where the value it returns goes (`null` for `undefined`).
        reply: Reply<Value>,
    },
    /// A cron trigger, for the `scheduled` handler.
    Scheduled {
        /// The expression that fired.
        cron: String,
        /// When it was due, in milliseconds since the Unix epoch.
        scheduled_time_ms: f64,
        /// Told when the handler is done.
        reply: Reply<Value>,
    },
    /// A batch of queue messages, for the `queue` handler.
    Queue {
        /// The batch: `{ queue, messages: [{ id, timestamp, body, attempts }] }`.
        batch: Value,
        /// Gets `{ ackAll, retryAll, acked: [id], retried: [{ id, delaySeconds }] }`.
        reply: Reply<Value>,
    },
}

/// Where the answer to an event goes. A dropped receiver is a caller that left.
pub type Reply<T> = oneshot::Sender<Result<T, Fault>>;

impl Event {
    /// Answers the caller with a fault, without a script having seen the event.
    pub fn fail(self, fault: Fault) {
        // A caller that left does not want to know.
        match self.kind {
            EventKind::Fetch { reply, .. } => drop(reply.send(Err(fault))),
            EventKind::Call { reply, .. } | EventKind::Scheduled { reply, .. } | EventKind::Queue { reply, .. } => {
                drop(reply.send(Err(fault)));
            }
        }
    }
}

/// In a request's extensions: the URL that the script is to see, where the request's own URI is only a path. Spares a
/// server the parsing of a URI that it has just put together.
#[derive(Debug, Clone)]
pub struct RequestUrl(pub String);
