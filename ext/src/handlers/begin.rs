//! What an event is to the script's side.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Message;
use crate::values::{Arguments, ToScript};

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
