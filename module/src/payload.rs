//! Payloads of tasks, results and messages.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A payload: nothing, JSON, or bytes.
///
/// ```
/// use isopod_module::Payload;
///
/// let payload = Payload::json(&["MZ", "kernel32"])?;
/// assert_eq!(payload.read::<Vec<String>>()?, ["MZ", "kernel32"]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Payload {
    /// No payload.
    #[default]
    Empty,
    /// A JSON value.
    Json(Value),
    /// Bytes, which are shared and not copied.
    Bytes(Bytes),
}

impl Payload {
    /// Creates a JSON payload from a serde value.
    ///
    /// # Errors
    /// The value cannot be converted to JSON.
    pub fn json(value: &(impl Serialize + ?Sized)) -> Result<Self, serde_json::Error> {
        serde_json::to_value(value).map(Self::Json)
    }

    /// Deserializes the payload. An empty payload is `null`, and bytes are parsed as JSON text.
    ///
    /// # Errors
    /// It does not fit the type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        match self {
            Self::Empty => serde_json::from_value(Value::Null),
            Self::Json(value) => T::deserialize(value),
            Self::Bytes(bytes) => serde_json::from_slice(bytes),
        }
    }

    /// Returns the value of a JSON payload.
    #[must_use]
    pub const fn as_json(&self) -> Option<&Value> {
        match self {
            Self::Json(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the bytes of a binary payload.
    #[must_use]
    pub const fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<()> for Payload {
    fn from((): ()) -> Self {
        Self::Empty
    }
}
