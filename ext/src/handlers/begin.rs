//! An event split in two: what stays in the table of open events, and what its handler is called with.

use std::collections::BTreeMap;

use serde_json::Value;

use super::event::{Event, EventKind};
use crate::event::{CallDepth, EventKey, Message, Opening, Origin, RequestUrl, Waiting};
use crate::values::{Arguments, Events, ToScript};

/// What a script's side needs to begin an event.
pub enum Begin {
    /// An HTTP request.
    Fetch {
        /// The method.
        method: http::Method,
        /// The absolute URL.
        url: String,
        /// Whether there is a body to read.
        has_body: bool,
    },
    /// A call with its arguments.
    Call(String, Arguments),
    /// A task: its name, what it is about, its settings.
    Task(String, Box<dyn ToScript>, BTreeMap<String, String>),
    /// A message, without what it carries.
    Message(Message),
    /// A cron trigger: the expression and when it was due.
    Scheduled(String, f64),
    /// A batch of messages.
    Queue(Value),
}

impl Events {
    /// Opens an event. Gives its key, its entry point, and what to call the JavaScript side with.
    pub fn accept(&mut self, event: Event) -> (EventKey, Option<String>, Begin) {
        let (opening, begin) = match event.kind {
            EventKind::Fetch { request, reply } => {
                let (mut head, body) = request.into_parts();
                let has_body = !http_body::Body::is_end_stream(&body);
                let url = head
                    .extensions
                    .remove::<RequestUrl>()
                    .map_or_else(|| head.uri.to_string(), |url| url.0);
                let begin = Begin::Fetch {
                    method: head.method.clone(),
                    url,
                    has_body,
                };
                let mut opening = Opening::new(Waiting::Response(reply));
                opening.origin.depth = head.extensions.remove::<CallDepth>().map_or(0, |depth| depth.0);
                opening.head = Some(head);
                opening.body = has_body.then_some(body);
                (opening, begin)
            }
            EventKind::Call {
                function,
                arguments,
                reply,
            } => (Opening::new(Waiting::Value(reply)), Begin::Call(function, arguments)),
            EventKind::Task { task, reply } => {
                let mut opening = Opening::new(Waiting::Value(reply));
                opening.items = Some(task.items);
                opening.origin.depth = task.depth;
                (opening, Begin::Task(task.id, task.payload, task.config))
            }
            EventKind::Message { mut message, reply } => {
                let mut opening = Opening::new(Waiting::Value(reply));
                opening.data = std::mem::take(&mut message.data);
                opening.origin = Origin {
                    depth: message.depth.saturating_add(1),
                    message: Some(message.id),
                };
                (opening, Begin::Message(message))
            }
            EventKind::Scheduled {
                cron,
                scheduled_time_ms,
                reply,
            } => (
                Opening::new(Waiting::Value(reply)),
                Begin::Scheduled(cron, scheduled_time_ms),
            ),
            EventKind::Queue { batch, reply } => (Opening::new(Waiting::Value(reply)), Begin::Queue(batch)),
        };
        (self.insert(opening), event.entrypoint, begin)
    }
}
