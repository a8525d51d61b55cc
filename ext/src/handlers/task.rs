//! Tasks, which tell of their progress and their partial results while they run, and messages published under topics.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::mpsc;

use super::NotPlain;
use crate::values::ToScript;

/// The longest name of a partial result, in bytes.
pub const RESULT_NAME_BYTES_MAX: usize = 255;

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

/// What a message or a partial result carries.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Data {
    /// Nothing.
    #[default]
    Empty,
    /// A plain value.
    Json(Value),
    /// Bytes; a script sees a `Uint8Array`.
    Bytes(Bytes),
    /// Any value that the structured clone algorithm knows, as V8 writes it down: what scripts send to scripts.
    Cloned(Bytes),
}

impl Data {
    /// How many bytes it holds, roughly for a value.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Json(value) => weight(value),
            Self::Bytes(bytes) | Self::Cloned(bytes) => bytes.len(),
        }
    }

    /// It as a plain value. Maps become objects, sets arrays, dates their time in milliseconds, holes `null`.
    ///
    /// # Errors
    /// It has no plain counterpart: bytes, an error, a big integer, a value that holds itself.
    pub fn to_json(&self) -> Result<Value, NotPlain> {
        match self {
            Self::Empty => Ok(Value::Null),
            Self::Json(value) => Ok(value.clone()),
            Self::Bytes(_) => Err(NotPlain::NoCounterpart("bytes")),
            Self::Cloned(bytes) => super::cloned::read(bytes),
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a value weighs: its text and eight bytes for everything else.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => 8 + items.iter().map(weight).sum::<usize>(),
        Value::Object(fields) => {
            8 + fields
                .iter()
                .map(|(name, value)| name.len() + weight(value))
                .sum::<usize>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
    }
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
