//! The content of messages and partial results.

use bytes::Bytes;
use serde_json::Value;

use super::cloned::{self, NotPlain};

/// The content of a message or partial result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Data {
    /// Nothing.
    #[default]
    Empty,
    /// A plain value.
    Json(Value),
    /// Bytes; a `Uint8Array` in scripts.
    Bytes(Bytes),
    /// Any value of the structured clone algorithm, as serialized by V8: values sent from script to script.
    Cloned(Bytes),
}

impl Data {
    /// Its size in bytes, approximately for a value.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Json(value) => weight(value),
            Self::Bytes(bytes) | Self::Cloned(bytes) => bytes.len(),
        }
    }

    /// Converts it to a plain value. Maps become objects, sets arrays, dates their time in milliseconds, holes `null`.
    ///
    /// # Errors
    /// It has no plain counterpart: bytes, an error, a big integer, a value that contains itself.
    pub fn to_json(&self) -> Result<Value, NotPlain> {
        match self {
            Self::Empty => Ok(Value::Null),
            Self::Json(value) => Ok(value.clone()),
            Self::Bytes(_) => Err(NotPlain::NoCounterpart("bytes")),
            Self::Cloned(bytes) => cloned::read(bytes),
        }
    }

    /// Returns true if it has no content.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The weight of a value: its text, and eight bytes for everything else.
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
