//! Handlers run by the bus: one call per delivery, independent of the failure of others.

use std::error::Error;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::broker::Published;
use super::error::{PublishError, SubscribeError};
use super::handle::Bus;
use super::message::{Message, Source};
use super::subscription::{Delivery, SubscribeOptions, Subscription};
use crate::supervise::{BoxError, Panicked};

/// Options of a handler.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HandlerOptions {
    /// Options of its subscription.
    pub subscribe: SubscribeOptions,
    /// Time limit of a call. Default: 30 s.
    pub timeout: Duration,
    /// Source of the messages it publishes. Default: the host.
    pub source: Source,
    /// Number of times that a script's task is begun again if its worker was lost before the end, such as one whose process was
    /// killed: for chains to scripts. Results that it has emitted are then announced again. Default: 0.
    pub retries: u32,
}

impl Default for HandlerOptions {
    fn default() -> Self {
        Self {
            subscribe: SubscribeOptions::default(),
            timeout: Duration::from_secs(30),
            source: Source::Host,
            retries: 0,
        }
    }
}

isopod_outcome::setters!(HandlerOptions {
    subscribe: SubscribeOptions,
    timeout: Duration,
    source: Source,
    retries: u32,
});

/// Context of a handler during a call.
#[derive(Clone, Debug)]
pub struct HandlerContext {
    bus: Bus,
    source: Source,
    cause: Arc<Message>,
}

impl HandlerContext {
    /// Returns the message being handled.
    #[must_use]
    pub const fn message(&self) -> &Arc<Message> {
        &self.cause
    }

    /// Returns the bus. Messages published directly on it are not linked to the message being handled.
    #[must_use]
    pub const fn bus(&self) -> &Bus {
        &self.bus
    }

    /// Publishes a message caused by the current one: its depth is one more, and its source this handler.
    ///
    /// # Errors
    /// As [`Bus::publish`]; for a cycle of handlers, [`PublishError::TooDeep`].
    pub fn publish(&self, message: Message) -> Result<Published, PublishError> {
        self.bus.publish(message.by(self.source.clone()).caused_by(&self.cause))
    }

    pub(super) const fn source(&self) -> &Source {
        &self.source
    }
}

/// Statistics of a handler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HandlerStats {
    /// Calls that succeeded.
    pub handled: u64,
    /// Calls that ended with an error.
    pub failed: u64,
    /// Calls that panicked.
    pub panicked: u64,
    /// Calls that exceeded the time limit.
    pub timed_out: u64,
    /// Messages lost because the handler was too slow.
    pub missed: u64,
}

#[derive(Default)]
struct Counters {
    handled: AtomicU64,
    failed: AtomicU64,
    panicked: AtomicU64,
    timed_out: AtomicU64,
    missed: AtomicU64,
}

/// A running handler. Dropping it stops it, even during a call.
#[must_use = "dropping a handler stops it"]
pub struct Handler {
    counters: Arc<Counters>,
    task: AbortOnDropHandle<()>,
}

impl Handler {
    /// Returns its statistics.
    #[must_use]
    pub fn stats(&self) -> HandlerStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HandlerStats {
            handled: count(&self.counters.handled),
            failed: count(&self.counters.failed),
            panicked: count(&self.counters.panicked),
            timed_out: count(&self.counters.timed_out),
            missed: count(&self.counters.missed),
        }
    }

    /// Detaches the handler; it runs until its bus is closed.
    pub fn detach(self) {
        drop(self.task.detach());
    }

    /// Waits until it has handled the last message of a closed bus.
    pub async fn finished(self) {
        // It cannot panic, and is aborted only by being dropped or with its runtime.
        let _ = self.task.await;
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

impl Bus {
    /// Runs a handler for each message of a pattern, one at a time, on the runtime of `handle`. Errors, panics, timeouts and
    /// losses are logged and counted, and the handler continues with the next message. The runtime needs its timer enabled.
    ///
    /// ```
    /// # mod isopod { pub use isopod_host as host; }
    /// use isopod::host::bus::{Bus, HandlerOptions, Message};
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    /// let bus = Bus::new();
    /// let handler = bus.on(runtime.handle(), "orders.created", HandlerOptions::default(), |ctx| async move {
    ///     ctx.publish(Message::new("mail.wanted".parse()?, ctx.message().payload.clone()))?;
    ///     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    /// })?;
    /// bus.publish(Message::new("orders.created".parse()?, ()))?;
    /// bus.close();
    /// runtime.block_on(handler.finished());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Bus::subscribe`].
    pub fn on<F, Fut, E>(
        &self,
        handle: &Handle,
        pattern: &str,
        options: HandlerOptions,
        handler: F,
    ) -> Result<Handler, SubscribeError>
    where
        F: FnMut(HandlerContext) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), E>> + Send,
        E: Into<BoxError>,
    {
        let subscription = self.subscribe(pattern, options.subscribe)?;
        Ok(self.run(handle, subscription, options, handler))
    }

    pub(super) fn run<F, Fut, E>(
        &self,
        handle: &Handle,
        mut subscription: Subscription,
        options: HandlerOptions,
        mut handler: F,
    ) -> Handler
    where
        F: FnMut(HandlerContext) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), E>> + Send,
        E: Into<BoxError>,
    {
        let counters = Arc::new(Counters::default());
        let counted = Arc::clone(&counters);
        // Weak, because the handler ends when the bus does and must not keep it open.
        let bus = self.downgrade();
        let task = handle.spawn(async move {
            while let Some(delivery) = subscription.recv().await {
                match delivery {
                    Delivery::Lagged(missed) => {
                        counted.missed.fetch_add(missed, Ordering::Relaxed);
                        tracing::warn!(source = %options.source, missed, "a handler is too slow and lost messages");
                    }
                    Delivery::Message(cause) => {
                        let Some(bus) = bus.upgrade() else { break };
                        let ctx = HandlerContext {
                            bus,
                            source: options.source.clone(),
                            cause,
                        };
                        let end = call(&mut handler, ctx.clone(), options.timeout).await;
                        counted.count(&end);
                        end.log(&ctx);
                    }
                }
                // A handler that never yields must not block its thread for other tasks.
                tokio::task::consume_budget().await;
            }
        });
        Handler {
            counters,
            task: AbortOnDropHandle::new(task),
        }
    }
}

/// Result of a call.
enum CallEnd {
    Handled,
    Failed(BoxError),
    Panicked(Panicked),
    TimedOut(Duration),
}

async fn call<F, Fut, E>(handler: &mut F, ctx: HandlerContext, timeout: Duration) -> CallEnd
where
    F: FnMut(HandlerContext) -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: Into<BoxError>,
{
    // The call is inside, so that a panic before the handler's first `await` is caught as well.
    let called = AssertUnwindSafe(async { handler(ctx).await }).catch_unwind();
    match tokio::time::timeout(timeout, called).await {
        Ok(Ok(Ok(()))) => CallEnd::Handled,
        Ok(Ok(Err(error))) => CallEnd::Failed(error.into()),
        Ok(Err(panic)) => CallEnd::Panicked(Panicked::new(panic)),
        Err(_) => CallEnd::TimedOut(timeout),
    }
}

impl CallEnd {
    fn log(&self, ctx: &HandlerContext) {
        let (source, topic, id) = (&ctx.source, &ctx.cause.topic, ctx.cause.id);
        match self {
            Self::Handled => {}
            Self::Failed(error) => {
                let error: &dyn Error = &**error;
                tracing::error!(%source, %topic, id, error, "a handler failed");
            }
            Self::Panicked(panic) => tracing::error!(%source, %topic, id, %panic, "a handler panicked"),
            Self::TimedOut(after) => tracing::error!(%source, %topic, id, ?after, "a handler took too long"),
        }
    }
}

impl Counters {
    fn count(&self, end: &CallEnd) {
        let counter = match end {
            CallEnd::Handled => &self.handled,
            CallEnd::Failed(_) => &self.failed,
            CallEnd::Panicked(_) => &self.panicked,
            CallEnd::TimedOut(_) => &self.timed_out,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
