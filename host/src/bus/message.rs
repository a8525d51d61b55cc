//! What travels on the bus.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::topic::Topic;

/// Who published a message.
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

    /// What it is called in topics: `host`, the module's name, or the script's.
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

/// What a message or a result holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Payload {
    /// Nothing: the topic says it all.
    #[default]
    Empty,
    /// A JSON value.
    Json(Value),
    /// Bytes, which are shared and not copied.
    Bytes(Bytes),
    /// A value as a script wrote it down by the structured clone algorithm: another script reads it as it was, with its
    /// maps, dates and circles. For code in Rust there is [`Payload::to_json`].
    Cloned(Bytes),
}

/// Why a payload has no JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotJson {
    /// It is bytes.
    #[error("the payload is bytes, and no JSON; read them with `as_bytes`")]
    Bytes,
    /// A script's value that JSON has no word for.
    #[error("the value that a script published has no JSON: {reason}")]
    Value {
        /// What there is no word for.
        reason: String,
    },
}

impl Payload {
    /// How many bytes it has; of JSON, how long its text would be.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Empty => 0,
            Self::Json(value) => {
                let mut count = Count(0);
                // A `Value` always has a text, and counting cannot fail.
                let _ = serde_json::to_writer(&mut count, value);
                count.0
            }
            Self::Bytes(bytes) | Self::Cloned(bytes) => bytes.len(),
        }
    }

    /// Whether it holds nothing.
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

    /// It as JSON, whoever published it: nothing is `null`, and of a script's value maps become objects, sets arrays, dates
    /// their time in milliseconds.
    ///
    /// # Errors
    /// It is bytes, or holds what JSON has no word for: bytes, an error, a big integer, itself. Without the feature `v8`
    /// no value of a script can be read.
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

/// Counts what is written, and keeps none of it: measuring a message must not copy it.
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

/// One thing that was published.
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
    /// Unique on its bus, and rising for each publisher; 0 until it is published.
    pub id: u64,
    /// What it is published under.
    pub topic: Topic,
    /// Who published it. Default: the host.
    pub source: Source,
    /// What it holds.
    pub payload: Payload,
    /// How many messages led to it, each published while the one before was handled.
    pub depth: u32,
    /// When it was published; the Unix epoch until then.
    pub at: SystemTime,
    trail: Option<Arc<Trail>>,
}

/// The topics of the messages that led to one, newest first.
#[derive(Debug)]
struct Trail {
    topic: Topic,
    before: Option<Arc<Trail>>,
}

impl Message {
    /// A message from the host that nothing led to.
    pub fn new(topic: Topic, payload: impl Into<Payload>) -> Self {
        Self {
            id: 0,
            topic,
            source: Source::Host,
            payload: payload.into(),
            depth: 0,
            at: SystemTime::UNIX_EPOCH,
            trail: None,
        }
    }

    /// Says who publishes it.
    #[must_use]
    pub fn by(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// Says that it is published while `cause` is handled: it is one deeper.
    #[must_use]
    pub fn caused_by(mut self, cause: &Self) -> Self {
        self.depth = cause.depth.saturating_add(1);
        self.trail = Some(Arc::new(Trail {
            topic: cause.topic.clone(),
            before: cause.trail.clone(),
        }));
        self
    }

    /// Says how many messages led to it, where the one it is published for is not at hand any more.
    #[must_use]
    pub const fn at_depth(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }

    /// The topics that led to this message as far as they are known, oldest first, its own last.
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
