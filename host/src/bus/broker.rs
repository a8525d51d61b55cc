//! Delivery of messages: limits, subscriptions and their queues.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::SystemTime;

use super::error::{PublishError, SubscribeError};
use super::index::{Entry, Index};
use super::message::Message;
use super::queue::{End, Pushed, Queue};
use super::system::SystemEvent;
use super::topic::{Pattern, Topic, within};

/// Result of publishing a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The message's number.
    pub id: u64,
    /// Number of subscriptions that queued it.
    pub delivered: usize,
}

/// The limits of a bus.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) subscribers_max: usize,
    pub(super) topic_bytes_max: usize,
    pub(super) segments_max: usize,
    pub(super) message_bytes_max: usize,
    pub(super) depth_max: u32,
}

/// Subscriptions of a bus, and its counters.
pub(super) struct Broker {
    limits: Limits,
    message_id: AtomicU64,
    task_id: AtomicU64,
    subscriptions: RwLock<Subscriptions>,
}

pub(super) type Subscriber = Arc<Queue<Arc<Message>>>;

struct Subscriptions {
    index: Index<Subscriber>,
    queues: HashMap<u64, Subscriber>,
    next_id: u64,
    closed: bool,
}

impl Broker {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            message_id: AtomicU64::new(1),
            task_id: AtomicU64::new(1),
            subscriptions: RwLock::new(Subscriptions {
                index: Index::new(),
                queues: HashMap::new(),
                next_id: 0,
                closed: false,
            }),
        }
    }

    /// Puts messages that these patterns select into the queue, from now on. Returns the number of the subscription.
    pub(super) fn subscribe(&self, patterns: &Arc<[Pattern]>, queue: &Subscriber) -> Result<u64, SubscribeError> {
        let limits = &self.limits;
        for pattern in patterns.iter() {
            within(pattern.as_str(), limits.topic_bytes_max, limits.segments_max)?;
        }
        let mut subscriptions = self.write();
        if subscriptions.closed {
            return Err(SubscribeError::Closed);
        }
        if subscriptions.queues.len() >= limits.subscribers_max {
            return Err(SubscribeError::TooMany {
                subscribers_max: limits.subscribers_max,
            });
        }
        let id = subscriptions.next_id;
        subscriptions.next_id += 1;
        subscriptions.queues.insert(id, Arc::clone(queue));
        for pattern in 0..patterns.len() {
            subscriptions.index.insert(Entry {
                id,
                patterns: Arc::clone(patterns),
                pattern,
                subscriber: Arc::clone(queue),
            });
        }
        Ok(id)
    }

    /// Returns the number of subscriptions.
    pub(super) fn subscribers(&self) -> usize {
        self.read(|subscriptions| subscriptions.queues.len())
    }

    /// Returns a number for a task that is reported on the bus.
    pub(super) fn next_task(&self) -> u64 {
        self.task_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn publish(&self, mut message: Message) -> Result<Published, PublishError> {
        self.check(&message)?;
        let index = self
            .read(|subscriptions| (!subscriptions.closed).then(|| subscriptions.index.clone()))
            .ok_or(PublishError::Closed)?;
        message.id = self.message_id.fetch_add(1, Ordering::Relaxed);
        message.at = SystemTime::now();
        let (id, message) = (message.id, Arc::new(message));
        let mut delivered = 0;
        index.each(message.topic.as_str(), &mut |entry| {
            if !is_first_match(entry, &message.topic) {
                return;
            }
            match entry.subscriber.push(Arc::clone(&message)) {
                Pushed::Queued => delivered += 1,
                Pushed::Lost { first } => {
                    // The loss of a system event is not published, because that would be a system event too.
                    if first && !message.topic.is_reserved() {
                        self.publish_system(&SystemEvent::Lagged {
                            pattern: entry.patterns[entry.pattern].as_str().into(),
                            topic: message.topic.as_str().into(),
                        }, None);
                    }
                }
                Pushed::Disconnected => {
                    tracing::warn!(pattern = %entry.patterns[entry.pattern], topic = %message.topic, "disconnected a slow subscriber");
                    self.unsubscribe(entry.id, &entry.patterns);
                }
                Pushed::Ended => {}
            }
        });
        Ok(Published { id, delivered })
    }

    fn check(&self, message: &Message) -> Result<(), PublishError> {
        let limits = &self.limits;
        within(message.topic.as_str(), limits.topic_bytes_max, limits.segments_max)?;
        // System events may be one level deeper, so that the failure of the deepest message is still published.
        if message.depth > limits.depth_max.saturating_add(message.topic.is_reserved().into()) {
            return Err(PublishError::TooDeep {
                chain: message.chain(),
                depth_max: limits.depth_max,
            });
        }
        let bytes = message.payload.len();
        if bytes > limits.message_bytes_max {
            return Err(PublishError::TooLarge {
                topic: message.topic.clone(),
                bytes,
                bytes_max: limits.message_bytes_max,
            });
        }
        Ok(())
    }

    pub(super) fn publish_system(&self, event: &SystemEvent, cause: Option<&Message>) {
        let topic = event.topic();
        // Looked up first: system events seldom have subscribers, and building a message costs more than the lookup.
        if !self.wanted(&topic) {
            return;
        }
        let message = Message::new(topic, event.payload());
        let message = match cause {
            Some(cause) => message.caused_by(cause),
            None => message,
        };
        if let Err(error) = self.publish(message) {
            tracing::debug!(%error, "a system event was not published");
        }
    }

    pub(super) fn wanted(&self, topic: &Topic) -> bool {
        let index = self.read(|subscriptions| subscriptions.index.clone());
        let mut wanted = false;
        index.each(topic.as_str(), &mut |_| wanted = true);
        wanted
    }

    pub(super) fn unsubscribe(&self, id: u64, patterns: &[Pattern]) {
        let mut subscriptions = self.write();
        if subscriptions.queues.remove(&id).is_some() {
            for pattern in patterns {
                subscriptions.index.remove(id, pattern);
            }
        }
    }

    pub(super) fn close(&self) {
        let queues = {
            let mut subscriptions = self.write();
            subscriptions.closed = true;
            subscriptions.index = Index::new();
            std::mem::take(&mut subscriptions.queues)
        };
        for queue in queues.into_values() {
            queue.end(End::Closed);
        }
    }

    fn read<R>(&self, look: impl FnOnce(&Subscriptions) -> R) -> R {
        look(&self.subscriptions.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write(&self) -> RwLockWriteGuard<'_, Subscriptions> {
        self.subscriptions.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.close();
    }
}

/// Only the first pattern of a subscription that matches the topic counts, so that a message is delivered once. The entry
/// alone decides, so publishing needs no record of subscriptions already served.
fn is_first_match<T>(entry: &Entry<T>, topic: &Topic) -> bool {
    !entry.patterns[..entry.pattern]
        .iter()
        .any(|pattern| pattern.matches(topic))
}
