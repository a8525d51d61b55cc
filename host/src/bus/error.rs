//! Why a message is not published, or a subscription not made.

use std::fmt;

use super::topic::{Topic, TopicError};

/// Why a message was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The topic is longer than this bus allows.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The topic is the system's.
    #[error("`{topic}`: topics that begin with `isopod` are the system's own; publish under another name")]
    Reserved {
        /// The topic.
        topic: Topic,
    },
    /// The payload is too large.
    #[error(
        "a message under `{topic}` has {bytes} bytes, and {bytes_max} are allowed; announce it as a result, or raise `message_bytes_max`"
    )]
    TooLarge {
        /// The topic.
        topic: Topic,
        /// How many bytes it has.
        bytes: usize,
        /// How many it may have.
        bytes_max: usize,
    },
    /// Too many messages led to this one; most often, they go round in a circle.
    #[error(
        "a chain of more than {depth_max} messages, each published while the one before was handled: {}; break the circle, or raise `depth_max`",
        Arrows(chain)
    )]
    TooDeep {
        /// The topics from the first message to this one.
        chain: Vec<Topic>,
        /// How deep a chain may be.
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

/// Why a subscription was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// A pattern that is none, or longer than this bus allows.
    #[error(transparent)]
    Pattern(#[from] TopicError),
    /// There are as many subscriptions as there may be.
    #[error("the bus has {subscribers_max} subscriptions, as many as it may; drop some, or raise `subscribers_max`")]
    TooMany {
        /// How many there may be.
        subscribers_max: usize,
    },
    /// The bus was closed.
    #[error("the bus is closed")]
    Closed,
}
