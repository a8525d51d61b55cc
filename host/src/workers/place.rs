//! A script's state on a bus, and the messages that it publishes.

use std::sync::Arc;

use isopod_pool::js::publish::{Outgoing, Publish, Refused};

use super::causes::Causes;
use super::payload::payload_of;
use crate::bus::{Message, Pattern, PublishError, Source, Topic, TopicError, WeakBus};

/// A script's state on a bus.
pub(super) struct Place {
    pub(super) script: Arc<str>,
    pub(super) bus: WeakBus,
    pub(super) causes: Arc<Causes>,
    /// The patterns of the topics that it may publish under.
    pub(super) publishes: Vec<Pattern>,
}

/// The reason why a script's message was refused. The script sees the text.
#[derive(Debug, thiserror::Error)]
enum NotTaken {
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error("this script may not publish to `{topic}`, only to {allowed}")]
    Forbidden { topic: Topic, allowed: String },
    #[error(transparent)]
    Bus(#[from] PublishError),
}

impl Place {
    fn take(&self, outgoing: Outgoing) -> Result<(), NotTaken> {
        let topic: Topic = outgoing.topic.parse()?;
        if !self.publishes.iter().any(|pattern| pattern.matches(&topic)) {
            let allowed = self.allowed();
            return Err(NotTaken::Forbidden { topic, allowed });
        }
        let bus = self.bus.upgrade().ok_or(PublishError::Closed)?;
        let message = Message::new(topic, payload_of(outgoing.data)).by(Source::worker(Arc::clone(&self.script)));
        let cause = outgoing.cause.and_then(|id| self.causes.of_id(id));
        bus.publish(match cause {
            Some(cause) => message.caused_by(&cause),
            None => message.at_depth(outgoing.depth),
        })?;
        Ok(())
    }

    fn allowed(&self) -> String {
        let allowed: Vec<_> = self.publishes.iter().map(|pattern| pattern.as_str()).collect();
        if allowed.is_empty() {
            return "none".to_owned();
        }
        allowed.join(", ")
    }
}

impl Publish for Place {
    fn publish(&self, message: Outgoing) -> Result<(), Refused> {
        self.take(message).map_err(|error| Refused(error.to_string()))
    }
}
