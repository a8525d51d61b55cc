//! The table of handlers other than `fetch`. A row is an implementation of [`HandlerInput`], and a function with the
//! handler's name in the script that it names; Isopod's own are here and in `inputs.js`.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use crate::bindings::Cross;
use crate::event::{Attachment, Caller, Data, Origin, TaskItem};
use crate::values::{Arguments, IntoArguments, ToScript};

/// The script with the JavaScript rows of the handlers in this file.
const INPUTS: Option<&str> = Some("ext:isopod_handlers/inputs.js");

/// The input of a handler. Each type that implements this is a kind of event.
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
/// A script exports the handler as a method of its default export or of an entry point. It is called with the input,
/// `env` and the event's context, and its return value is the answer.
pub trait HandlerInput {
    /// The name of the handler.
    const HANDLER: &'static str;

    /// The script of an extension with a function named like the handler. The function receives the event and the
    /// arguments of the [`Input`], and returns `{ input, reply, last, Context }`: the handler's first argument; a function
    /// that converts its return value to the answer; in its place, a function that gives the answer once the handler and
    /// its `waitUntil` promises have ended, of `null` or the first failure as `{ error }`; the class of its context. The
    /// last three are optional. Default: none; the handler is called with the first argument.
    const SCRIPT: Option<&'static str> = None;

    /// Converts the input for its way to the worker's thread.
    fn into_input(self) -> Input;
}

/// The input of a handler on its way to the worker's thread.
#[non_exhaustive]
pub struct Input {
    /// The arguments of the handler or of its row on the JavaScript side, which may include streams and functions.
    pub arguments: Arguments,
    /// The channel for `ctx.progress()` and `ctx.emit()` of a task.
    pub items: Option<mpsc::Sender<TaskItem>>,
    /// Data that stays outside the isolate until the script reads it, which it can do once.
    pub data: Data,
    /// The origin of messages that the script publishes meanwhile.
    pub origin: Origin,
    /// The worker that caused the event, if one did. Default: none.
    pub caller: Option<Box<Caller>>,
    /// A value of the host's that an op takes. Those of Isopod's own types reach workers in other processes. Default: none.
    pub attachment: Option<Attachment>,
    /// Takes the attachment apart for such a worker.
    pub(crate) cross: Option<Cross>,
}

impl Input {
    /// Creates an input of one value.
    pub fn new(value: impl ToScript) -> Self {
        Self::from_arguments(Arguments::new().value(value))
    }

    /// Creates an input of several arguments, which a row on the JavaScript side combines.
    pub fn from_arguments(arguments: impl IntoArguments) -> Self {
        Self {
            arguments: arguments.into_arguments(),
            items: None,
            data: Data::Empty,
            origin: Origin::default(),
            caller: None,
            attachment: None,
            cross: None,
        }
    }
}

/// A task with progress and named results: `task({ id, payload, config }, env, ctx)`.
pub struct Task {
    /// The task's id in its host.
    pub id: String,
    /// The payload.
    pub payload: Box<dyn ToScript>,
    /// Settings of this run: text values by name.
    pub config: BTreeMap<String, String>,
    /// The number of messages that led to it; 0 if none did. Messages that it publishes inherit it.
    pub depth: u32,
    /// The channel for `ctx.progress()` and `ctx.emit()`. Its capacity is the number of items that may wait for a slow
    /// reader.
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

/// A message published under a topic: `message({ id, topic, source, timestamp, data }, env, ctx)`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Message {
    /// The message's id.
    pub id: u64,
    /// The topic.
    pub topic: String,
    /// The publisher's name.
    pub source: String,
    /// The time of publication, in milliseconds since the Unix epoch.
    pub at_ms: f64,
    /// The number of messages that led to it, each published while the one before was handled.
    pub depth: u32,
    /// The content, which a script reads with `message.data`.
    pub data: Data,
}

impl Message {
    /// Creates a message published by `source` under a topic, with the Unix epoch as its time and without a cause.
    pub fn new(id: u64, topic: impl Into<String>, source: impl Into<String>, data: Data) -> Self {
        Self {
            id,
            topic: topic.into(),
            source: source.into(),
            at_ms: 0.0,
            depth: 0,
            data,
        }
    }
}

isopod_outcome::setters!(Message { at_ms: f64, depth: u32 });

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
#[non_exhaustive]
pub struct CronTrigger {
    /// The expression that fired.
    pub cron: String,
    /// The time when it was due, in milliseconds since the Unix epoch.
    pub scheduled_time_ms: f64,
}

impl CronTrigger {
    /// Creates a trigger of this expression, due at a time in milliseconds since the Unix epoch.
    pub fn new(cron: impl Into<String>, scheduled_time_ms: f64) -> Self {
        Self {
            cron: cron.into(),
            scheduled_time_ms,
        }
    }
}

impl HandlerInput for CronTrigger {
    const HANDLER: &'static str = "scheduled";
    const SCRIPT: Option<&'static str> = INPUTS;

    fn into_input(self) -> Input {
        Input::from_arguments((self.cron, self.scheduled_time_ms))
    }
}
