//! Delivers the messages of a subscription to a script's `message` handler.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use isopod_pool::js::Pool;
use isopod_pool::{Failure, RejectReason};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::payload::to_worker;
use super::place::Place;
use crate::bus::{Delivery, Message, SubscribeOptions, Subscription, SystemEvent};

/// Options of delivery to a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliverOptions {
    /// Queue length, and the policy for a full queue.
    pub subscribe: SubscribeOptions,
    /// Maximum number of concurrent messages, at least 1. With 1 they are handled in order, each after the previous one was
    /// answered. Default: 1.
    pub concurrency: usize,
}

impl Default for DeliverOptions {
    fn default() -> Self {
        Self {
            subscribe: SubscribeOptions::default(),
            concurrency: 1,
        }
    }
}

isopod_outcome::setters!(DeliverOptions {
    subscribe: SubscribeOptions,
    concurrency: usize,
});

/// Statistics of a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeliveryStats {
    /// Messages that the script has handled.
    pub handled: u64,
    /// Messages that the handler failed on, or that could not be delivered.
    pub failed: u64,
    /// Messages lost because the script was too slow.
    pub missed: u64,
    /// Messages that are being handled.
    pub active: u64,
}

#[derive(Default)]
struct Counters {
    begun: AtomicU64,
    handled: AtomicU64,
    failed: AtomicU64,
    missed: AtomicU64,
}

/// A running subscription of a script. Each message is delivered once: a failure is logged, counted, published as
/// [`SystemEvent::MessageFailed`], and not retried. Losses are logged and counted. Dropping it ends it at once and cancels
/// the messages being handled.
#[must_use = "dropping a subscription ends it"]
pub struct WorkerSubscription {
    counters: Arc<Counters>,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl WorkerSubscription {
    pub(super) fn start(
        handle: &Handle,
        place: Arc<Place>,
        pool: Pool,
        subscription: Subscription,
        concurrency: usize,
    ) -> Self {
        let (counters, stop) = (Arc::<Counters>::default(), CancellationToken::new());
        let delivery = Deliverer {
            place,
            pool,
            counters: Arc::clone(&counters),
        };
        let task = handle.spawn(delivery.run(subscription, concurrency.max(1), stop.clone()));
        Self {
            counters,
            stop,
            task: AbortOnDropHandle::new(task),
        }
    }

    /// Returns its statistics.
    #[must_use]
    pub fn stats(&self) -> DeliveryStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let (handled, failed) = (count(&self.counters.handled), count(&self.counters.failed));
        DeliveryStats {
            handled,
            failed,
            missed: count(&self.counters.missed),
            active: count(&self.counters.begun) - handled - failed,
        }
    }

    /// Stops receiving messages, and waits until the received ones are handled.
    pub async fn drain(self) {
        self.stop.cancel();
        self.finished().await;
    }

    /// Waits until it has delivered the last message of a closed bus, or its pool is drained.
    pub async fn finished(self) {
        // It cannot panic, and is aborted only by being dropped or with its runtime.
        let _ = self.task.await;
    }

    /// Detaches the subscription; it runs until its bus is closed.
    pub fn detach(self) {
        drop(self.task.detach());
    }
}

impl fmt::Debug for WorkerSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

struct Deliverer {
    place: Arc<Place>,
    pool: Pool,
    counters: Arc<Counters>,
}

/// Decision to continue or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Goes,
    /// The pool accepts no more events.
    Ends,
}

impl Deliverer {
    async fn run(self, mut subscription: Subscription, concurrency: usize, stop: CancellationToken) {
        let mut handled = FuturesUnordered::new();
        let mut stopped = false;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopped => {
                    stopped = true;
                    subscription.close();
                }
                Some(next) = handled.next(), if !handled.is_empty() => {
                    if next == Next::Ends {
                        tracing::info!(script = %self.place.script, waiting = subscription.len(),
                            "a subscription ends because the pool is shutting down");
                        break;
                    }
                }
                delivery = subscription.recv(), if handled.len() < concurrency => match delivery {
                    None => break,
                    Some(Delivery::Lagged(missed)) => {
                        self.counters.missed.fetch_add(missed, Ordering::Relaxed);
                        tracing::warn!(script = %self.place.script, missed, "a script is too slow and lost messages");
                    }
                    Some(Delivery::Message(message)) => handled.push(self.deliver(message)),
                }
            }
        }
        drop(subscription);
        while handled.next().await.is_some() {}
    }

    async fn deliver(&self, message: Arc<Message>) -> Next {
        let _entered = self.place.causes.enter(Arc::clone(&message));
        self.counters.begun.fetch_add(1, Ordering::Relaxed);
        // The time is limited by the script's own limits, and by the limit on waiting for a worker.
        let result = self.pool.message(&self.place.script, to_worker(&message)).await;
        let counter = match &result {
            Ok(()) => &self.counters.handled,
            Err(_) => &self.counters.failed,
        };
        // Pairs with `Acquire` in `stats`: a reader that sees an end also sees its start.
        counter.fetch_add(1, Ordering::Release);
        match result {
            Ok(()) => Next::Goes,
            Err(failure) => self.failed(&message, &failure),
        }
    }

    fn failed(&self, message: &Message, failure: &Failure) -> Next {
        let (script, topic) = (&self.place.script, &message.topic);
        tracing::error!(%script, %topic, id = message.id, %failure, "a script failed to handle a message");
        if let Some(bus) = self.place.bus.upgrade() {
            let event = SystemEvent::MessageFailed {
                script: Arc::clone(script),
                topic: topic.as_str().into(),
                message: message.id,
                error: failure.to_string(),
            };
            bus.publish_system_after(&event, message);
        }
        // Only the pool itself answers so; an exception of the script is never `load_shed`.
        if *failure == Failure::from(RejectReason::ShuttingDown) {
            Next::Ends
        } else {
            Next::Goes
        }
    }
}
