//! The bus itself: limits, who subscribes, and the way of a message to their queues.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard, Weak};
use std::time::SystemTime;

use super::index::{Entry, Index};
use super::message::Message;
use super::queue::{End, Pushed, Queue};
use super::subscription::{SubscribeOptions, Subscription};
use super::system::SystemEvent;
use super::topic::{Pattern, Topic, TopicError, within};

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

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The message's number.
    pub id: u64,
    /// How many subscriptions have it in their queue.
    pub delivered: usize,
}

#[derive(Clone, Debug)]
struct Limits {
    subscribers_max: usize,
    topic_bytes_max: usize,
    segments_max: usize,
    message_bytes_max: usize,
    depth_max: u32,
}

/// Settings of a bus to be; see [`Bus::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder makes a bus with `build`"]
pub struct BusBuilder(Limits);

impl BusBuilder {
    /// How many subscriptions there may be at a time. Default: 4096.
    pub const fn subscribers_max(mut self, subscribers_max: usize) -> Self {
        self.0.subscribers_max = subscribers_max;
        self
    }

    /// How many bytes a topic or a pattern may have. Default: 255.
    pub const fn topic_bytes_max(mut self, topic_bytes_max: usize) -> Self {
        self.0.topic_bytes_max = topic_bytes_max;
        self
    }

    /// How many segments a topic or a pattern may have. Default: 16.
    pub const fn segments_max(mut self, segments_max: usize) -> Self {
        self.0.segments_max = segments_max;
        self
    }

    /// How many bytes the payload of a message may have. Default: 1 MiB.
    pub const fn message_bytes_max(mut self, message_bytes_max: usize) -> Self {
        self.0.message_bytes_max = message_bytes_max;
        self
    }

    /// How many messages may lead to one, each published while the one before was handled. Default: 16.
    pub const fn depth_max(mut self, depth_max: u32) -> Self {
        self.0.depth_max = depth_max;
        self
    }

    /// Makes the bus.
    #[must_use]
    pub fn build(self) -> Bus {
        Bus {
            shared: Arc::new(Shared {
                limits: self.0,
                message_id: AtomicU64::new(1),
                task_id: AtomicU64::new(1),
                subscriptions: RwLock::new(Subscriptions {
                    index: Index::new(),
                    queues: HashMap::new(),
                    next_id: 0,
                    closed: false,
                }),
            }),
        }
    }
}

/// A bus. Cloning it makes another handle of the same bus; with the last handle, or by [`Bus::close`], all subscriptions
/// end once they have read what waits for them.
#[derive(Clone)]
pub struct Bus {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    limits: Limits,
    message_id: AtomicU64,
    task_id: AtomicU64,
    subscriptions: RwLock<Subscriptions>,
}

type Subscriber = Arc<Queue<Arc<Message>>>;

struct Subscriptions {
    index: Index<Subscriber>,
    queues: HashMap<u64, Subscriber>,
    next_id: u64,
    closed: bool,
}

impl Default for Bus {
    fn default() -> Self {
        Self::new()
    }
}

impl Bus {
    /// A bus with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Begins to make a bus with limits of its own.
    pub const fn builder() -> BusBuilder {
        BusBuilder(Limits {
            subscribers_max: 4096,
            topic_bytes_max: 255,
            segments_max: 16,
            message_bytes_max: 1 << 20,
            depth_max: 16,
        })
    }

    /// Puts a message into the queue of each subscription that wants it. Never waits: a subscriber that is too slow loses
    /// messages as its [`Slow`](super::Slow) policy says, and is told. Messages of one thread arrive in their order.
    ///
    /// # Errors
    /// A limit that the message breaks, a topic that is the system's, or a closed bus.
    pub fn publish(&self, message: Message) -> Result<Published, PublishError> {
        if message.topic.is_reserved() {
            return Err(PublishError::Reserved { topic: message.topic });
        }
        self.shared.publish(message)
    }

    /// Publishes what has happened to the system, under its reserved topic. A bus that is closed does not hear of it.
    pub fn publish_system(&self, event: &SystemEvent) {
        self.shared.publish_system(event, None);
    }

    /// Publishes what has happened to the system while `cause` was handled: it is one deeper, so that whoever fails at what
    /// tells of its failures comes to an end.
    pub fn publish_system_after(&self, event: &SystemEvent, cause: &Message) {
        self.shared.publish_system(event, Some(cause));
    }

    /// Subscribes to one pattern, such as `orders.*` or `isopod.worker.>`.
    ///
    /// # Errors
    /// A pattern that is none, as many subscriptions as there may be, or a closed bus.
    pub fn subscribe(&self, pattern: &str, options: SubscribeOptions) -> Result<Subscription, SubscribeError> {
        self.subscribe_all([pattern.parse()?], options)
    }

    /// Subscribes to several patterns at once. A message that more than one of them selects comes once.
    ///
    /// # Errors
    /// As [`Bus::subscribe`].
    pub fn subscribe_all(
        &self,
        patterns: impl IntoIterator<Item = Pattern>,
        options: SubscribeOptions,
    ) -> Result<Subscription, SubscribeError> {
        let patterns: Arc<[Pattern]> = patterns.into_iter().collect();
        let limits = &self.shared.limits;
        for pattern in patterns.iter() {
            within(pattern.as_str(), limits.topic_bytes_max, limits.segments_max)?;
        }
        let queue = Arc::new(Queue::new(options.capacity, options.slow));
        let mut subscriptions = self.shared.write();
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
        subscriptions.queues.insert(id, Arc::clone(&queue));
        for pattern in 0..patterns.len() {
            subscriptions.index.insert(Entry {
                id,
                patterns: Arc::clone(&patterns),
                pattern,
                subscriber: Arc::clone(&queue),
            });
        }
        drop(subscriptions);
        Ok(Subscription::new(id, patterns, queue, Arc::downgrade(&self.shared)))
    }

    /// Whether anybody would get a message under this topic now.
    #[must_use]
    pub fn has_subscribers(&self, topic: &Topic) -> bool {
        self.shared.wanted(topic)
    }

    /// How many subscriptions there are.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.shared.read(|subscriptions| subscriptions.queues.len())
    }

    /// A handle that does not keep the bus open.
    pub(crate) fn downgrade(&self) -> WeakBus {
        WeakBus(Arc::downgrade(&self.shared))
    }

    /// A number for a task that this bus is told of, unique here.
    pub(crate) fn next_task(&self) -> u64 {
        self.shared.task_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Ends all subscriptions, once they have read what waits for them, and refuses what comes.
    pub fn close(&self) {
        self.shared.close();
    }
}

/// What whoever is served by a bus holds of it: the bus ends when nobody else holds it.
#[derive(Clone)]
pub(crate) struct WeakBus(Weak<Shared>);

impl WeakBus {
    pub(crate) fn upgrade(&self) -> Option<Bus> {
        self.0.upgrade().map(|shared| Bus { shared })
    }
}

impl Shared {
    fn publish(&self, mut message: Message) -> Result<Published, PublishError> {
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
                    // Of a loss among the system's own events nothing is said, or one would lead to the next.
                    if first && !message.topic.is_reserved() {
                        self.publish_system(&SystemEvent::Lagged {
                            pattern: entry.patterns[entry.pattern].as_str().into(),
                            topic: message.topic.as_str().into(),
                        }, None);
                    }
                }
                Pushed::Disconnected => {
                    tracing::warn!(pattern = %entry.patterns[entry.pattern], topic = %message.topic, "a subscriber was too slow and is disconnected");
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
        // One deeper for what tells how the deepest of all failed.
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

    fn publish_system(&self, event: &SystemEvent, cause: Option<&Message>) {
        let topic = event.topic();
        // Most often nobody listens, and making the message costs more than looking.
        if !self.wanted(&topic) {
            return;
        }
        let message = Message::new(topic, event.payload());
        let message = match cause {
            Some(cause) => message.caused_by(cause),
            None => message,
        };
        if let Err(error) = self.publish(message) {
            tracing::debug!(%error, "an event of the system was not published");
        }
    }

    fn wanted(&self, topic: &Topic) -> bool {
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

    fn close(&self) {
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

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

/// Of a subscription with several patterns only the first that selects the topic counts, so a message comes once. Decided
/// from the entry alone: nothing has to be remembered while a message is on its way.
fn is_first_match<T>(entry: &Entry<T>, topic: &Topic) -> bool {
    !entry.patterns[..entry.pattern]
        .iter()
        .any(|pattern| pattern.matches(topic))
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("subscribers", &self.subscribers())
            .finish_non_exhaustive()
    }
}
