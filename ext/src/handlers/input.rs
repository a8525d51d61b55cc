//! The table of handlers besides `fetch`. A row is an implementation of [`HandlerInput`], and a function of the handler's name in
//! the script it names; those of Isopod's own are here and in `inputs.js`.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::event::{Data, Origin, TaskItem};
use crate::values::{Arguments, IntoArguments, ToScript};

/// The script with the JavaScript rows of the handlers in this file.
const INPUTS: Option<&str> = Some("ext:isopod_handlers/inputs.js");

/// The input of a handler: a type of it is a kind of event.
///
/// ```
/// use isopod_ext::handlers::{HandlerInput, Input};
///
/// /// `email({ from, to }, env, ctx)`
/// #[derive(serde::Serialize)]
/// struct Email {
///     from: String,
///     to: String,
/// }
///
/// impl HandlerInput for Email {
///     const HANDLER: &'static str = "email";
///
///     fn into_input(self) -> Input {
///         Input::new(self)
///     }
/// }
/// ```
///
/// A script exports the handler as a method of its default export or of an entry point, and it is called with the input, `env`
/// and the context of the event. Its answer is the value it returns.
pub trait HandlerInput {
    /// The name of the handler.
    const HANDLER: &'static str;

    /// The script of an extension with a function of the handler's name, which is given the event and the arguments of the
    /// [`Input`], and gives `{ input, reply, Context }`: the value that the handler is called with; a function from the value
    /// that it returned to the answer; the class of its context. The last two may be left out. Default: the handler is called
    /// with the first argument.
    const SCRIPT: Option<&'static str> = None;

    /// Prepares the input for its way to the worker's thread.
    fn into_input(self) -> Input;
}

/// The input of a handler on its way to the worker's thread.
#[non_exhaustive]
pub struct Input {
    /// What the handler, or its row on the JavaScript side, is called with. Streams and functions may be among them.
    pub arguments: Arguments,
    /// Where `ctx.progress()` and `ctx.emit()` of a task go.
    pub items: Option<mpsc::Sender<TaskItem>>,
    /// Data that stays outside the isolate until the script reads it, which it can do once.
    pub data: Data,
    /// The origin of what the script publishes meanwhile.
    pub origin: Origin,
}

impl Input {
    /// An input that is one value.
    pub fn new(value: impl ToScript) -> Self {
        Self::from_arguments(Arguments::new().value(value))
    }

    /// An input of several arguments, for a row on the JavaScript side to make one of.
    pub fn from_arguments(arguments: impl IntoArguments) -> Self {
        Self {
            arguments: arguments.into_arguments(),
            items: None,
            data: Data::Empty,
            origin: Origin::default(),
        }
    }
}

/// A task with progress and named results: `task({ id, payload, config }, env, ctx)`.
pub struct Task {
    /// Its name among the host's tasks.
    pub id: String,
    /// What it is about.
    pub payload: Box<dyn ToScript>,
    /// Settings of this run, as text by name.
    pub config: BTreeMap<String, String>,
    /// The number of messages that led to it, and so to what it publishes; 0 for a task that none did.
    pub depth: u32,
    /// Where `ctx.progress()` and `ctx.emit()` go. The channel's capacity is what may wait for a slow reader.
    pub items: mpsc::Sender<TaskItem>,
}

impl HandlerInput for Task {
    const HANDLER: &'static str = "task";
    const SCRIPT: Option<&'static str> = INPUTS;

    fn into_input(self) -> Input {
        let arguments = Arguments::new().value(self.id).boxed(self.payload).value(self.config);
        Input {
            items: Some(self.items),
            origin: Origin {
                depth: self.depth,
                message: None,
            },
            ..Input::from_arguments(arguments)
        }
    }
}

/// A message that was published under a topic: `message({ id, topic, source, timestamp, data }, env, ctx)`.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its number.
    pub id: u64,
    /// What it was published under.
    pub topic: String,
    /// Who published it.
    pub source: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: f64,
    /// The number of messages that led to it, each published while the one before was handled.
    pub depth: u32,
    /// What it carries; a script reads it when it asks for `message.data`.
    pub data: Data,
}

impl HandlerInput for Message {
    const HANDLER: &'static str = "message";
    const SCRIPT: Option<&'static str> = INPUTS;

    fn into_input(self) -> Input {
        Input {
            data: self.data,
            origin: Origin {
                depth: self.depth.saturating_add(1),
                message: Some(self.id),
            },
            ..Input::from_arguments((self.id, self.topic, self.source, self.at_ms))
        }
    }
}

/// A cron trigger: `scheduled({ cron, scheduledTime }, env, ctx)`.
#[derive(Clone, Debug)]
pub struct CronTrigger {
    /// The expression that fired.
    pub cron: String,
    /// When it was due, in milliseconds since the Unix epoch.
    pub scheduled_time_ms: f64,
}

impl HandlerInput for CronTrigger {
    const HANDLER: &'static str = "scheduled";
    const SCRIPT: Option<&'static str> = INPUTS;

    fn into_input(self) -> Input {
        Input::from_arguments((self.cron, self.scheduled_time_ms))
    }
}

/// A batch of queue messages: `queue({ queue, messages, ackAll, retryAll }, env, ctx)`. It is
/// `{ queue, messages: [{ id, timestamp, body, attempts }] }`, and its answer is
/// `{ ackAll, retryAll, acked: [id], retried: [{ id, delaySeconds }] }`.
#[derive(Clone, Debug)]
pub struct QueueBatch(pub Value);

impl HandlerInput for QueueBatch {
    const HANDLER: &'static str = "queue";
    const SCRIPT: Option<&'static str> = INPUTS;

    fn into_input(self) -> Input {
        Input::new(self.0)
    }
}
