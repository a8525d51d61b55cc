//! The progress and the partial results of tasks, and messages published under topics.

use serde_json::Value;

use super::Data;

/// The longest name of a partial result, in bytes.
pub const RESULT_NAME_BYTES_MAX: usize = 255;

/// What a task tells of while it runs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TaskItem {
    /// How far it is: `ctx.progress(value)`.
    Progress(Value),
    /// A partial result: `ctx.emit(name, data)`.
    Result {
        /// Its name, of at most [`RESULT_NAME_BYTES_MAX`] bytes.
        name: String,
        /// What it is.
        data: Data,
    },
}

/// A message, as the `message` handler gets it: `{ id, topic, source, timestamp, data }`.
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
    /// How many messages led to it, each published while the one before was handled.
    pub depth: u32,
    /// What it carries; a script reads it when it asks for `message.data`.
    pub data: Data,
}
