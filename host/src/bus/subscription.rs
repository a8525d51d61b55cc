//! The reading end of a subscription.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use futures::Stream;

use super::broker::Broker;
use super::message::Message;
use super::queue::{End, Item, Queue, Slow};
use super::topic::Pattern;

/// Options of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscribeOptions {
    /// Maximum number of queued messages, at least 1. Default: 256.
    pub capacity: usize,
    /// Policy for a full queue. Default: [`Slow::DropOldest`].
    pub slow: Slow,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self {
            capacity: 256,
            slow: Slow::default(),
        }
    }
}

isopod_outcome::setters!(SubscribeOptions {
    capacity: usize,
    slow: Slow,
});

/// An item delivered to a subscriber.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// A message, shared with its other subscribers.
    Message(Arc<Message>),
    /// This many messages are missing here: the subscriber was too slow.
    Lagged(u64),
}

/// Reads the messages of a subscription, as a [`Stream`] or by its own methods. It ends with the bus, or when it was too slow
/// and its policy is [`Slow::Disconnect`]. Dropping it unsubscribes.
#[derive(Debug)]
#[must_use = "dropping a subscription unsubscribes"]
pub struct Subscription {
    id: u64,
    patterns: Arc<[Pattern]>,
    queue: Arc<Queue<Arc<Message>>>,
    bus: Weak<Broker>,
}

impl Subscription {
    pub(super) const fn new(
        id: u64,
        patterns: Arc<[Pattern]>,
        queue: Arc<Queue<Arc<Message>>>,
        bus: Weak<Broker>,
    ) -> Self {
        Self {
            id,
            patterns,
            queue,
            bus,
        }
    }

    /// Waits for the next delivery; `None` when the subscription has ended. Dropping the future loses no message.
    pub async fn recv(&mut self) -> Option<Delivery> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Returns the next delivery if one is queued.
    pub fn try_recv(&mut self) -> Option<Delivery> {
        match self.queue.try_pop() {
            Poll::Ready(item) => item.map(Delivery::from),
            Poll::Pending => None,
        }
    }

    /// Blocking variant of [`Subscription::recv`]: returns `None` if the subscription ends or the time is over, which
    /// [`Subscription::end`] tells apart.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<Delivery> {
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let (mut cx, begun) = (Context::from_waker(&waker), Instant::now());
        loop {
            if let Poll::Ready(delivery) = self.poll_recv(&mut cx) {
                return delivery;
            }
            let left = timeout.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return None;
            }
            std::thread::park_timeout(left);
        }
    }

    /// Stops receiving messages. Queued ones can still be read, and then the subscription ends.
    pub fn close(&mut self) {
        self.queue.end(End::Closed);
        self.unsubscribe();
    }

    fn unsubscribe(&self) {
        if let Some(bus) = self.bus.upgrade() {
            bus.unsubscribe(self.id, &self.patterns);
        }
    }

    /// Returns the number of queued messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Returns true if no message is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns why the subscription has ended, if it has; queued messages can still be read.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.queue.ended()
    }

    /// Returns its patterns.
    #[must_use]
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.queue.poll_pop(cx).map(|item| item.map(Delivery::from))
    }
}

impl From<Item<Arc<Message>>> for Delivery {
    fn from(item: Item<Arc<Message>>) -> Self {
        match item {
            Item::Value(message) => Self::Message(message),
            Item::Lost(count) => Self::Lagged(count),
        }
    }
}

impl Stream for Subscription {
    type Item = Delivery;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.poll_recv(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.queue.abandon();
        self.unsubscribe();
    }
}

/// Wakes a thread that waits for a delivery.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
