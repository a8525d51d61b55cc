//! Messages of the bus.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::topic::Topic;

/// Source of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The process itself.
    #[default]
    Host,
    /// A module or task in Rust, by its name.
    Native(Arc<str>),
    /// A worker of a pool.
    Worker {
        /// The name its script is deployed under.
        script: Arc<str>,
    },
}

impl Source {
    /// A module or task of this name.
    pub fn native(name: impl Into<Arc<str>>) -> Self {
        Self::Native(name.into())
    }

    /// The workers of a script, by the name it is deployed under.
    pub fn worker(script: impl Into<Arc<str>>) -> Self {
        Self::Worker { script: script.into() }
    }

    /// Returns its name in topics: `host`, the module's name, or the script's.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Host => "host",
            Self::Native(name) | Self::Worker { script: name } => name,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Payload of a message or result.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Payload {
    /// No payload.
    #[default]
    Empty,
    /// A JSON value.
    Json(Value),
    /// Bytes, which are shared and not copied.
    Bytes(Bytes),
    /// A value serialized by a script with the structured clone algorithm. Another script reads it unchanged, with maps,
    /// dates and cycles; Rust code uses [`Payload::to_json`].
    Cloned(Bytes),
}

/// The reason why a payload cannot be represented as JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotJson {
    /// It is bytes.
    #[error("the payload is bytes, not JSON; read it with `as_bytes`")]
    Bytes,
    /// A script's value that JSON cannot represent.
    #[error("the published value cannot be represented as JSON: {reason}")]
    Value {
        /// The unsupported part.
        reason: String,
    },
}

impl Payload {
    /// Returns its size in bytes; for JSON, the length of its text.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Json(value) => {
                let mut count = Count(0);
                // A `Value` can always be serialized, and counting cannot fail.
                let _ = serde_json::to_writer(&mut count, value);
                count.0
            }
            Self::Bytes(bytes) | Self::Cloned(bytes) => bytes.len(),
        }
    }

    /// Returns true if it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value, if it is JSON.
    #[must_use]
    pub const fn as_json(&self) -> Option<&Value> {
        match self {
            Self::Json(value) => Some(value),
            _ => None,
        }
    }

    /// Converts it to JSON. An empty payload is `null`; of a script's value, maps become objects, sets arrays, and dates
    /// their time in milliseconds.
    ///
    /// # Errors
    /// It is bytes, or contains a value that JSON cannot represent: bytes, an error, a big integer, a cycle. Without the
    /// feature `v8`, values of scripts cannot be read.
    pub fn to_json(&self) -> Result<Value, NotJson> {
        match self {
            Self::Empty => Ok(Value::Null),
            Self::Json(value) => Ok(value.clone()),
            Self::Bytes(_) => Err(NotJson::Bytes),
            Self::Cloned(bytes) => plain(bytes),
        }
    }

    /// The bytes, if it is bytes.
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

impl From<()> for Payload {
    fn from((): ()) -> Self {
        Self::Empty
    }
}

#[cfg(feature = "v8")]
fn plain(bytes: &Bytes) -> Result<Value, NotJson> {
    let data = isopod_pool::js::Data::Cloned(bytes.clone());
    data.to_json().map_err(|error| NotJson::Value {
        reason: error.to_string(),
    })
}

#[cfg(not(feature = "v8"))]
fn plain(_bytes: &Bytes) -> Result<Value, NotJson> {
    Err(NotJson::Value {
        reason: "this program was built without the feature `v8`".to_owned(),
    })
}

/// Counts written bytes without storing them, so that measuring a message does not copy it.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A published message.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// use isopod::host::bus::{Message, Source, Topic};
/// use serde_json::json;
///
/// let topic: Topic = "orders.created".parse()?;
/// let message = Message::new(topic, json!({ "id": 7 })).by(Source::native("shop"));
/// assert_eq!(message.depth, 0);
/// # Ok::<(), isopod_host::bus::TopicError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Message {
    /// Its number, unique on its bus and increasing for each publisher; 0 until it is published.
    pub id: u64,
    /// Its topic.
    pub topic: Topic,
    /// Its source. Default: the host.
    pub source: Source,
    /// Its contents.
    pub payload: Payload,
    /// Its depth: the number of messages that led to it, each published while the previous one was handled.
    pub depth: u32,
    /// When it was published, or arrived from another process; the Unix epoch until then.
    pub at: SystemTime,
    is_remote: bool,
    trail: Option<Arc<Trail>>,
}

/// The topics of the messages that led to one, newest first.
#[derive(Debug)]
struct Trail {
    topic: Topic,
    before: Option<Arc<Trail>>,
}

impl Message {
    /// Creates a message from the host with depth 0.
    pub fn new(topic: Topic, payload: impl Into<Payload>) -> Self {
        Self {
            id: 0,
            topic,
            source: Source::Host,
            payload: payload.into(),
            depth: 0,
            at: SystemTime::UNIX_EPOCH,
            is_remote: false,
            trail: None,
        }
    }

    /// Sets its source.
    #[must_use]
    pub fn by(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// Links it to the message being handled: it is one level deeper.
    #[must_use]
    pub fn caused_by(mut self, cause: &Self) -> Self {
        self.depth = cause.depth.saturating_add(1);
        self.trail = Some(Arc::new(Trail {
            topic: cause.topic.clone(),
            before: cause.trail.clone(),
        }));
        self
    }

    /// Sets its depth, if the causing message is no longer available.
    #[must_use]
    pub const fn at_depth(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }

    /// Returns true if another process has published it.
    #[must_use]
    pub const fn is_remote(&self) -> bool {
        self.is_remote
    }

    /// Marks it as published by another process, with the topics that led to it, oldest first.
    pub(super) fn remote(mut self, topics: Vec<Topic>) -> Self {
        self.is_remote = true;
        self.trail = topics
            .into_iter()
            .fold(None, |before, topic| Some(Arc::new(Trail { topic, before })));
        self
    }

    /// Returns the known topics that led to this message, oldest first, its own last.
    #[must_use]
    pub fn chain(&self) -> Vec<Topic> {
        let mut topics = vec![self.topic.clone()];
        let mut trail = self.trail.as_ref();
        while let Some(step) = trail {
            topics.push(step.topic.clone());
            trail = step.before.as_ref();
        }
        topics.reverse();
        topics
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_length_of_json_is_that_of_its_text() {
        for value in [json!(null), json!("ä\n"), json!({ "a": [1, 2.5, true] })] {
            assert_eq!(Payload::from(value.clone()).len(), value.to_string().len());
        }
    }

    #[test]
    fn a_message_knows_the_topics_that_led_to_it() {
        let topic = |text: &str| text.parse::<Topic>().unwrap();
        let first = Message::new(topic("a"), ());
        let second = Message::new(topic("b"), ()).caused_by(&first);
        let third = Message::new(topic("a"), ()).caused_by(&second);
        assert_eq!(
            (third.depth, third.chain()),
            (2, vec![topic("a"), topic("b"), topic("a")])
        );
    }
}
