//! Messages: the heads of frames.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message of a module. Fields that are not known are ignored; a message that is not known is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToHost {
    /// The first message: what the module is.
    Hello(Hello),
    /// Progress of a task; the body is JSON. Costs the task's window.
    Progress {
        /// The task.
        task: u64,
    },
    /// A result of a task; the body is its data. Costs the task's window.
    Result {
        /// The task.
        task: u64,
        /// Its name, of 1 to 255 bytes.
        name: String,
    },
    /// The last message of a task; the body is what it returns.
    End {
        /// The task.
        task: u64,
        /// The error, if it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<TaskError>,
    },
    /// Publishes a message on the bus; the body is its payload. Answered with [`ToModule::Published`].
    Publish {
        /// A number that the answer repeats.
        request: u64,
        /// The topic.
        topic: String,
        /// The cause of the message, which is one level deeper.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
    },
    /// An event was handled; the host sends the next ones.
    Handled {
        /// The event.
        event: u64,
        /// The error, if handling it failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// Reads a result. Answered with [`ToModule::Data`].
    Read {
        /// A number that the answer repeats.
        request: u64,
        /// The result.
        result: ResultRef,
    },
    /// The answer to [`ToModule::Ping`].
    Pong {
        /// Its number.
        ping: u64,
    },
}

/// A module, as it registers itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The protocol's version.
    pub protocol: u32,
    /// Name and version of the module's program, for logs.
    #[serde(default)]
    pub program: String,
    /// The names of the tasks that it serves.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// The number of tasks that it works on at once. Default: 1.
    #[serde(default)]
    pub tasks_max: Option<u32>,
    /// The patterns of the topics that it subscribes to.
    #[serde(default)]
    pub subscribe: Vec<String>,
    /// Tasks that run for each result of others.
    #[serde(default)]
    pub chains: Vec<ChainFrom>,
}

/// A task that runs for each result that is announced under a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChainFrom {
    /// The pattern, such as `results.scan`.
    pub from: String,
    /// The task. Its payload is the [`ResultRef`].
    pub task: String,
}

/// The event or task that a message is published for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// An event that is being handled.
    Event(u64),
    /// A task that runs.
    Task(u64),
}

/// The error of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    /// One line, for the caller.
    pub message: String,
    /// Text for development only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Names a result in the host's store. A module passes it on as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultRef {
    /// Its number.
    pub id: u64,
    /// Its source, as the host wrote it.
    pub source: Value,
    /// Its name.
    pub name: String,
}

/// A message of the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToModule {
    /// The answer to [`ToHost::Hello`]; the body is the module's configuration.
    Welcome(Welcome),
    /// The module is not taken, and the channel is closed.
    Refused {
        /// The reason.
        error: String,
    },
    /// A task; the body is its payload.
    Task {
        /// Its number.
        task: u64,
        /// Its name.
        name: String,
        /// Settings of this run.
        #[serde(default)]
        config: BTreeMap<String, String>,
        /// The number of messages that led to it.
        #[serde(default)]
        depth: u32,
        /// The time that is left for it, in milliseconds.
        deadline_ms: u64,
        /// The number of earlier attempts, by processes that were lost.
        #[serde(default)]
        attempt: u32,
    },
    /// The task's caller has gone, or its time is over. The module ends it, and says so with [`ToHost::End`].
    Cancel {
        /// The task.
        task: u64,
    },
    /// The task's window grows.
    More {
        /// The task.
        task: u64,
        /// The number of bytes.
        bytes: u64,
    },
    /// A message of the bus; the body is its payload. Answered with [`ToHost::Handled`].
    Event {
        /// Its number.
        event: u64,
        /// Its topic.
        topic: String,
        /// The name of its source.
        source: String,
        /// Its depth.
        depth: u32,
        /// When it was published, in milliseconds since 1970.
        at_ms: f64,
    },
    /// This many messages are missing here: the module was too slow.
    Lagged {
        /// Their number.
        count: u64,
    },
    /// The answer to [`ToHost::Publish`].
    Published {
        /// The request's number.
        request: u64,
        /// The number of subscriptions that queued it.
        #[serde(default)]
        delivered: u64,
        /// The reason, if it was refused.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The answer to [`ToHost::Read`]; the body is the result's data.
    Data {
        /// The request's number.
        request: u64,
        /// The reason, if it cannot be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// Asks for a sign of life.
    Ping {
        /// Its number.
        ping: u64,
    },
    /// Asks the module to finish what it holds, and to exit.
    Shutdown {
        /// The time that it has, in milliseconds.
        within_ms: u64,
    },
}

/// A module's place in its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version that is spoken from here on.
    pub protocol: u32,
    /// The module's name.
    pub module: String,
    /// The id of the host's run.
    pub instance: String,
    /// A task's window at its beginning, in bytes.
    pub window_bytes: u64,
    /// Maximum size of a frame's head, in bytes.
    pub head_bytes_max: u32,
    /// Maximum size of a frame's body, in bytes.
    pub body_bytes_max: u32,
    /// A module that is silent for so long, in milliseconds, is taken for stalled.
    pub silence_ms: u64,
}
