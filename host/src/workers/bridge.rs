//! Connects one script to a bus: its binding, and its subscriptions.

use std::fmt;
use std::sync::Arc;

use isopod_pool::js::Pool;
use isopod_pool::js::publish::{Publish, PublishBinding};
use tokio::runtime::Handle;

use super::deliver::{DeliverOptions, WorkerSubscription};
use super::place::Place;
use crate::bus::{Bus, Pattern, SubscribeError, TopicError};

/// One script's connection to a bus; see [the module](super). Cloning it creates another handle of the same connection.
///
/// It does not keep the bus open: a script, and its pool, may outlive the bus, and their messages are then refused.
#[derive(Clone)]
pub struct EventBridge {
    place: Arc<Place>,
}

impl EventBridge {
    /// Connects the script that is deployed as `script`. It may publish under topics that match one of these patterns:
    /// `&["orders.*"]`, `&[">"]` for all but the system's, `&[]` for none.
    ///
    /// # Errors
    /// A pattern is invalid.
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

    /// Returns a binding with `publish(topic, data, transfer?)`, usually called `EVENTS`. A message published while another
    /// is handled is one level deeper. A refused message is an error with its reason.
    #[must_use]
    pub fn binding(&self) -> PublishBinding {
        PublishBinding(Arc::clone(&self.place) as Arc<dyn Publish>)
    }

    /// Delivers each message that matches one of these patterns to the script's `message` handler, from a task on the runtime
    /// of `handle`. A script may have any number of subscriptions; each delivers independently.
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

impl fmt::Debug for EventBridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBridge")
            .field("script", &self.place.script)
            .field("publishes", &self.place.publishes)
            .finish_non_exhaustive()
    }
}
