//! Errors from publishing and subscribing.

use std::fmt;

use super::topic::{Topic, TopicError};

/// An error from publishing a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The topic is longer than this bus allows.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The topic is reserved for the system.
    #[error("`{topic}`: topics that begin with `isopod` are reserved for the system; use another name")]
    Reserved {
        /// The topic.
        topic: Topic,
    },
    /// The payload is too large.
    #[error(
        "a message under `{topic}` has {bytes} bytes, above the limit of {bytes_max}; announce it as a result, or raise `message_bytes_max`"
    )]
    TooLarge {
        /// The topic.
        topic: Topic,
        /// Its size in bytes.
        bytes: usize,
        /// The maximum.
        bytes_max: usize,
    },
    /// The depth is exceeded, usually because of a cycle.
    #[error(
        "a chain of more than {depth_max} messages, each published by the handler of the previous one: {}; break the cycle, or raise `depth_max`",
        Arrows(chain)
    )]
    TooDeep {
        /// The topics from the first message to this one.
        chain: Vec<Topic>,
        /// Maximum depth.
        depth_max: u32,
    },
    /// The bus was closed.
    #[error("the bus is closed")]
    Closed,
}

struct Arrows<'a>(&'a [Topic]);

impl fmt::Display for Arrows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, topic) in self.0.iter().enumerate() {
            write!(f, "{}{topic}", if index == 0 { "" } else { " → " })?;
        }
        Ok(())
    }
}

/// An error from subscribing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The pattern is malformed or too long.
    #[error(transparent)]
    Pattern(#[from] TopicError),
    /// The limit on subscriptions is reached.
    #[error("the bus has reached its limit of {subscribers_max} subscriptions; drop some, or raise `subscribers_max`")]
    TooMany {
        /// The maximum.
        subscribers_max: usize,
    },
    /// The bus was closed.
    #[error("the bus is closed")]
    Closed,
}
