//! What messages and partial results carry.

use bytes::Bytes;
use serde_json::Value;

use super::cloned::{self, NotPlain};

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
            Self::Cloned(bytes) => cloned::read(bytes),
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
