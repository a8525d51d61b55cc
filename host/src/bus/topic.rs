//! Names of topics and patterns that match them. Pure; checked once, when they are created.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// Prefix of system topics.
pub(super) const RESERVED: &str = "isopod";

/// A dotted name that messages are published under, such as `orders.created`.
///
/// Segments consist of letters, digits, `_` and `-`. Cloning is cheap: create a topic once and publish under it often.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// use isopod::host::bus::Topic;
///
/// let topic: Topic = "orders.created".parse()?;
/// assert_eq!(topic.segments().collect::<Vec<_>>(), ["orders", "created"]);
/// assert!("orders..created".parse::<Topic>().is_err());
/// # Ok::<(), isopod_host::bus::TopicError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Topic(Arc<str>);

/// A pattern of topics: `*` matches any one segment and, at the end, `>` one or more.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// use isopod::host::bus::{Pattern, Topic};
///
/// let (created, deep): (Topic, Topic) = ("orders.created".parse()?, "orders.eu.created".parse()?);
/// let (one, more): (Pattern, Pattern) = ("orders.*".parse()?, "orders.>".parse()?);
/// assert!(one.matches(&created) && !one.matches(&deep));
/// assert!(more.matches(&created) && more.matches(&deep));
/// # Ok::<(), isopod_host::bus::TopicError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(Arc<str>);

/// An error from parsing a topic or pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// A segment is empty.
    #[error("`{text}` has an empty segment; write names with single dots between them")]
    EmptySegment {
        /// The text.
        text: String,
    },
    /// A character is not allowed.
    #[error("`{text}` contains `{found}`; segments consist of letters, digits, `_` and `-`")]
    Character {
        /// The text.
        text: String,
        /// The character.
        found: char,
    },
    /// `*` or `>` is in a place where it has no meaning.
    #[error("`{text}`: `*` and `>` must be whole segments, and `>` the last one")]
    Wildcard {
        /// The text.
        text: String,
    },
    /// The text is longer, or has more segments, than this bus allows.
    #[error("`{text}` is longer than this bus's limit of {bytes_max} bytes or {segments_max} segments")]
    TooLong {
        /// The text.
        text: String,
        /// Maximum length in bytes.
        bytes_max: usize,
        /// Maximum number of segments.
        segments_max: usize,
    },
}

impl Topic {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns its segments.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    pub(super) fn is_reserved(&self) -> bool {
        self.segments().next() == Some(RESERVED)
    }

    /// Creates a topic from any text: every character that is not allowed in a segment becomes `_`.
    pub(crate) fn lossy<'a>(segments: impl IntoIterator<Item = &'a str>) -> Self {
        let mut text = String::new();
        for segment in segments {
            if !text.is_empty() {
                text.push('.');
            }
            text.extend(segment.chars().map(|c| if is_plain(c) { c } else { '_' }));
            if segment.is_empty() {
                text.push('_');
            }
        }
        Self(text.into())
    }
}

impl Pattern {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns its segments, including wildcards.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// Returns true if it matches `topic`.
    #[must_use]
    pub fn matches(&self, topic: &Topic) -> bool {
        let mut topic = topic.segments();
        for wanted in self.segments() {
            match (wanted, topic.next()) {
                (_, None) => return false,
                (">", Some(_)) => return true,
                ("*", Some(_)) => {}
                (wanted, Some(segment)) if wanted == segment => {}
                _ => return false,
            }
        }
        topic.next().is_none()
    }
}

/// Checks a text against a bus's limits.
pub(super) fn within(text: &str, bytes_max: usize, segments_max: usize) -> Result<(), TopicError> {
    let dots = text.bytes().filter(|byte| *byte == b'.').count();
    if text.len() > bytes_max || dots >= segments_max {
        return Err(TopicError::TooLong {
            text: text.chars().take(80).collect(),
            bytes_max,
            segments_max,
        });
    }
    Ok(())
}

const fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

fn check(text: &str, wildcards: bool) -> Result<(), TopicError> {
    let mut segments = text.split('.').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "" => return Err(TopicError::EmptySegment { text: text.into() }),
            "*" if wildcards => {}
            ">" if wildcards && segments.peek().is_none() => {}
            _ => match segment.chars().find(|c| !is_plain(*c)) {
                None => {}
                Some('*' | '>') => return Err(TopicError::Wildcard { text: text.into() }),
                Some(found) => {
                    return Err(TopicError::Character {
                        text: text.into(),
                        found,
                    });
                }
            },
        }
    }
    Ok(())
}

impl FromStr for Topic {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        check(text, false).map(|()| Self(text.into()))
    }
}

impl FromStr for Pattern {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        check(text, true).map(|()| Self(text.into()))
    }
}

/// The pattern that matches only this topic.
impl From<Topic> for Pattern {
    fn from(topic: Topic) -> Self {
        Self(topic.0)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Topic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_are_for_patterns_only_and_the_long_one_comes_last() {
        let is_topic = |text: &str| text.parse::<Topic>().is_ok();
        let is_pattern = |text: &str| text.parse::<Pattern>().is_ok();
        for text in ["a", "a.b", "A-1._x"] {
            assert!(is_topic(text) && is_pattern(text), "{text}");
        }
        for text in ["*", ">", "a.*", "*.b.>"] {
            assert!(!is_topic(text) && is_pattern(text), "{text}");
        }
        for text in [
            "", ".", "a.", ".a", "a..b", "a b", "a/b", "ä", ">.a", "a*", "a.>.b", "**",
        ] {
            assert!(!is_topic(text) && !is_pattern(text), "{text}");
        }
    }

    #[test]
    fn a_topic_from_any_text_is_valid() {
        let topic = Topic::lossy(["results", "my plugin.v2", ""]);
        assert_eq!(topic.as_str(), "results.my_plugin_v2._");
        assert_eq!(topic.as_str().parse(), Ok(topic));
    }

    #[test]
    fn a_name_at_the_limit_is_accepted_and_a_longer_one_refused() {
        assert_eq!(within("a.bc", 4, 2), Ok(()));
        assert!(within("a.bcd", 4, 2).is_err());
        assert!(within("a.b.", 4, 2).is_err());
    }
}
