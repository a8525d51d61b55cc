//! The handle of a bus, and its settings.

use std::fmt;
use std::sync::{Arc, Weak};

use isopod_pool::PoolEvent;

use super::broker::{Broker, Limits, Published};
use super::error::{PublishError, SubscribeError};
use super::message::Message;
use super::queue::Queue;
use super::subscription::{SubscribeOptions, Subscription};
use super::system::{SystemEvent, system_event};
use super::topic::{Pattern, Topic};

/// Settings of a new bus; see [`Bus::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct BusBuilder(Limits);

impl BusBuilder {
    /// Sets the maximum number of subscriptions. Default: 4096.
    pub const fn subscribers_max(mut self, subscribers_max: usize) -> Self {
        self.0.subscribers_max = subscribers_max;
        self
    }

    /// Sets the maximum length of a topic or pattern in bytes. Default: 255.
    pub const fn topic_bytes_max(mut self, topic_bytes_max: usize) -> Self {
        self.0.topic_bytes_max = topic_bytes_max;
        self
    }

    /// Sets the maximum number of segments of a topic or pattern. Default: 16.
    pub const fn segments_max(mut self, segments_max: usize) -> Self {
        self.0.segments_max = segments_max;
        self
    }

    /// Sets the maximum size of a message's payload in bytes. Default: 1 MiB.
    pub const fn message_bytes_max(mut self, message_bytes_max: usize) -> Self {
        self.0.message_bytes_max = message_bytes_max;
        self
    }

    /// Sets the maximum depth of messages, each published while the previous one was handled. Default: 16.
    pub const fn depth_max(mut self, depth_max: u32) -> Self {
        self.0.depth_max = depth_max;
        self
    }

    /// Creates the bus.
    #[must_use]
    pub fn build(self) -> Bus {
        Bus {
            broker: Arc::new(Broker::new(self.0)),
        }
    }
}

/// A bus. Cloning it creates another handle of the same bus. When the last handle is dropped, or after [`Bus::close`],
/// subscriptions end once their queued messages are read.
#[derive(Clone)]
pub struct Bus {
    broker: Arc<Broker>,
}

impl Default for Bus {
    fn default() -> Self {
        Self::new()
    }
}

impl Bus {
    /// Creates a bus with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Starts building a bus with custom limits.
    pub const fn builder() -> BusBuilder {
        BusBuilder(Limits {
            subscribers_max: 4096,
            topic_bytes_max: 255,
            segments_max: 16,
            message_bytes_max: 1 << 20,
            depth_max: 16,
        })
    }

    /// Puts a message into the queue of each subscription with a matching pattern. Never waits: a subscriber that is too slow
    /// loses messages according to its [`Slow`](super::Slow) policy, and is notified. Messages of one thread arrive in order.
    ///
    /// # Errors
    /// The message exceeds a limit, its topic is reserved for the system, or the bus is closed.
    pub fn publish(&self, message: Message) -> Result<Published, PublishError> {
        if message.topic.is_reserved() {
            return Err(PublishError::Reserved { topic: message.topic });
        }
        self.broker.publish(message)
    }

    /// Publishes a system event under its reserved topic. Does nothing if the bus is closed.
    pub fn publish_system(&self, event: &SystemEvent) {
        self.broker.publish_system(event, None);
    }

    /// Publishes a system event caused by `cause`: it is one level deeper, so that chains of failures about failures end.
    pub fn publish_system_after(&self, event: &SystemEvent, cause: &Message) {
        self.broker.publish_system(event, Some(cause));
    }

    /// Subscribes to one pattern, such as `orders.*` or `isopod.worker.>`.
    ///
    /// # Errors
    /// The pattern is invalid, the limit on subscriptions is reached, or the bus is closed.
    pub fn subscribe(&self, pattern: &str, options: SubscribeOptions) -> Result<Subscription, SubscribeError> {
        self.subscribe_all([pattern.parse()?], options)
    }

    /// Subscribes to several patterns at once. A message that matches more than one is delivered once.
    ///
    /// # Errors
    /// As [`Bus::subscribe`].
    pub fn subscribe_all(
        &self,
        patterns: impl IntoIterator<Item = Pattern>,
        options: SubscribeOptions,
    ) -> Result<Subscription, SubscribeError> {
        let patterns: Arc<[Pattern]> = patterns.into_iter().collect();
        let queue = Arc::new(Queue::new(options.capacity, options.slow));
        let id = self.broker.subscribe(&patterns, &queue)?;
        Ok(Subscription::new(id, patterns, queue, Arc::downgrade(&self.broker)))
    }

    /// Returns true if a message under this topic would have subscribers now.
    #[must_use]
    pub fn has_subscribers(&self, topic: &Topic) -> bool {
        self.broker.wanted(topic)
    }

    /// Returns the number of subscriptions.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.broker.subscribers()
    }

    pub(super) fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// A handle that does not keep the bus open.
    pub(crate) fn downgrade(&self) -> WeakBus {
        WeakBus(Arc::downgrade(&self.broker))
    }

    /// Returns a number for a task that is reported on this bus, unique on it.
    pub(crate) fn next_task(&self) -> u64 {
        self.broker.next_task()
    }

    /// Closes the bus: further messages are refused, and each subscription ends once its queue is empty.
    pub fn close(&self) {
        self.broker.close();
    }

    /// Returns an observer that publishes a pool's events on this bus: give it to
    /// [`PoolBuilder::on`](isopod_pool::PoolBuilder::on).
    ///
    /// It does not block, and does not keep the bus open. An event without subscribers costs one index lookup.
    pub fn observer(&self) -> impl Fn(&PoolEvent) + Send + Sync + 'static {
        let bus = self.downgrade();
        move |event| {
            if let (Some(bus), Some(event)) = (bus.upgrade(), system_event(event)) {
                bus.publish_system(&event);
            }
        }
    }
}

/// A handle that does not keep the bus open, for parts that the bus itself serves.
#[derive(Clone)]
pub(crate) struct WeakBus(Weak<Broker>);

impl WeakBus {
    pub(crate) fn upgrade(&self) -> Option<Bus> {
        self.0.upgrade().map(|broker| Bus { broker })
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("subscribers", &self.subscribers())
            .finish_non_exhaustive()
    }
}
