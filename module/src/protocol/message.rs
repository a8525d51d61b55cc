//! Messages: the heads of frames.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::shared::SharedTerms;

/// A message of a module. Unknown fields are ignored; an unknown message is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToHost {
    /// The first message, with the module's registration.
    Hello(Hello),
    /// Progress of a task; the body is JSON. Uses the task's window.
    Progress {
        /// The task.
        task: u64,
    },
    /// A result of a task; the body is its data. Uses the task's window.
    Result {
        /// The task.
        task: u64,
        /// Its name, of 1 to 255 bytes.
        name: String,
    },
    /// The last message of a task; the body is the returned value.
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
        /// The cause of the message, which the message is one level deeper than.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
    },
    /// An event was handled, so that the host sends more.
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
    /// The module has opened the shared memory that the [`Welcome`] offers. From now on both sides use it.
    Attached {},
    /// The module has a body for the shared memory and no free slot. Answered with [`ToModule::Room`].
    Full {},
    /// The answer to [`ToModule::Ping`].
    Pong {
        /// Its number.
        ping: u64,
    },
}

/// Registration of a module.
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
    /// Maximum number of concurrent tasks. Default: 1.
    #[serde(default)]
    pub tasks_max: Option<u32>,
    /// The patterns of the topics that it subscribes to.
    #[serde(default)]
    pub subscribe: Vec<String>,
    /// Tasks that run for results of other tasks.
    #[serde(default)]
    pub chains: Vec<ChainFrom>,
    /// The library, with its version, by which it can share memory with the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_memory: Option<String>,
}

/// A task that runs for each result announced under a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChainFrom {
    /// The pattern, such as `results.scan`.
    pub from: String,
    /// The task. Its payload is the [`ResultRef`].
    pub task: String,
}

/// The event or task during which a message is published.
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

/// Reference of a result in the host's store, which modules pass on unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultRef {
    /// Its number.
    pub id: u64,
    /// Its source, in the host's form.
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
    /// The module is refused, and the channel closes.
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
        /// The remaining time, in milliseconds.
        deadline_ms: u64,
        /// The number of earlier attempts, whose processes were lost.
        #[serde(default)]
        attempt: u32,
    },
    /// The task's caller has left, or its time is over. The module ends the task with [`ToHost::End`].
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
        /// The time of its publication, in milliseconds since the Unix epoch.
        at_ms: f64,
    },
    /// Messages were dropped because the module was too slow.
    Lagged {
        /// Their number.
        count: u64,
    },
    /// The answer to [`ToHost::Publish`].
    Published {
        /// The request's number.
        request: u64,
        /// The number of subscriptions that queued the message.
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
    /// The answer to [`ToHost::Full`]: the host has received all bodies that were sent before it.
    Room {},
    /// Asks for a [`ToHost::Pong`].
    Ping {
        /// Its number.
        ping: u64,
    },
    /// Asks the module to finish its work and exit.
    Shutdown {
        /// The time for that, in milliseconds.
        within_ms: u64,
    },
}

/// The host's settings for a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version used from now on.
    pub protocol: u32,
    /// The module's name.
    pub module: String,
    /// The id of the host's run.
    pub instance: String,
    /// The initial window of a task, in bytes.
    pub window_bytes: u64,
    /// Maximum size of a frame's head, in bytes.
    pub head_bytes_max: u32,
    /// Maximum size of a frame's body, in bytes.
    pub body_bytes_max: u32,
    /// The silence after which a module counts as stalled, in milliseconds.
    pub silence_ms: u64,
    /// The shared memory that the module may open, if it can and the host has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_memory: Option<SharedTerms>,
}
