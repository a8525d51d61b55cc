//! One script's place on a bus: what it publishes, and where what it subscribes to comes from.

use std::fmt;
use std::sync::Arc;

use isopod_pool::js::publish::{Outgoing, Publish, Refused};
use isopod_pool::js::{Binding, Pool};
use tokio::runtime::Handle;

use super::causes::Causes;
use super::deliver::{DeliverOptions, WorkerSubscription};
use super::payload::payload_of;
use crate::bus::{Bus, Message, Pattern, PublishError, Source, SubscribeError, Topic, TopicError, WeakBus};

/// One script's place on a bus; see [the module](super). Cloning it makes another handle of the same place.
///
/// It does not keep the bus open: a script, and the pool that holds it, may outlive the bus, and what is published then is
/// refused.
#[derive(Clone)]
pub struct EventBridge {
    place: Arc<Place>,
}

pub(super) struct Place {
    pub(super) script: Arc<str>,
    pub(super) bus: WeakBus,
    pub(super) causes: Arc<Causes>,
    publishes: Vec<Pattern>,
}

impl EventBridge {
    /// A place for the script that is deployed as `script`, which may publish under topics that one of these patterns
    /// selects: `&["orders.*"]`, `&[">"]` for all but the system's, `&[]` for none.
    ///
    /// # Errors
    /// What is no pattern.
    pub fn new(bus: &Bus, script: impl Into<Arc<str>>, publishes: &[&str]) -> Result<Self, TopicError> {
        Ok(Self {
            place: Arc::new(Place {
                script: script.into(),
                bus: bus.downgrade(),
                causes: Arc::default(),
                publishes: parse(publishes)?,
            }),
        })
    }

    /// What the script publishes by: a binding with `publish(topic, data, transfer?)`, most often called `EVENTS`. What it
    /// publishes while it handles a message is one deeper than that message; what is refused is an error with its reason.
    #[must_use]
    pub fn binding(&self) -> Binding {
        Binding::Events(Arc::clone(&self.place) as Arc<dyn Publish>)
    }

    /// Hands the script's `message` handler each message that one of these patterns selects, from now on, from a task on
    /// the runtime of `handle`. Any number of subscriptions may be made; each delivers by itself.
    ///
    /// The subscription keeps the pool alive until it ends: with the bus, by [`WorkerSubscription::drain`], by being
    /// dropped, or when the pool is drained.
    ///
    /// # Errors
    /// As [`Bus::subscribe`].
    pub fn subscribe(
        &self,
        handle: &Handle,
        pool: &Pool,
        patterns: &[&str],
        options: DeliverOptions,
    ) -> Result<WorkerSubscription, SubscribeError> {
        let bus = self.place.bus.upgrade().ok_or(SubscribeError::Closed)?;
        let subscription = bus.subscribe_all(parse(patterns)?, options.subscribe)?;
        Ok(WorkerSubscription::start(
            handle,
            Arc::clone(&self.place),
            pool.clone(),
            subscription,
            options.concurrency,
        ))
    }
}

fn parse(patterns: &[&str]) -> Result<Vec<Pattern>, TopicError> {
    patterns.iter().map(|pattern| pattern.parse()).collect()
}

/// Why a script's message was not taken. The script sees the text.
#[derive(Debug, thiserror::Error)]
enum NotTaken {
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error("this script may not publish under `{topic}`: it may under {allowed}")]
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

impl fmt::Debug for EventBridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBridge")
            .field("script", &self.place.script)
            .field("publishes", &self.place.publishes)
            .finish_non_exhaustive()
    }
}
