//! Consumers: from a queue to a script's `queue` handler.
//!
//! [`QueueConsumer`] takes messages from a [`QueueStore`] and gives them to a script in batches: `run` decides when to take, `batch`
//! handles a batch, and `verdict` decides about each message. All messages of a batch are leased while it is handled, and the
//! leases are renewed. So a message that was taken by a crashed process is delivered again when its lease is over.

mod batch;
mod run;
mod verdict;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use isopod_pool::js::Pool;
use isopod_pool::js::bindings::queue::{QueueMetrics, QueueStore};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::batch::Batches;

/// Options of a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumeOptions {
    /// Maximum number of messages in a batch, 1 to 100. Default: 10.
    pub batch_size: usize,
    /// Maximum time for which messages wait until a batch is full. Default: 5 s.
    pub batch_timeout: Duration,
    /// Maximum number of times that a message is delivered again after the first. Then it is a dead letter. Default: 3.
    pub retries: u32,
    /// The time until a message is delivered again, if its handler gives none. Default: zero.
    pub retry_delay: Duration,
    /// Maximum number of batches that are handled at the same time, at least 1. Default: 10.
    pub concurrency: usize,
    /// The time after which a message that was taken by a crashed process is delivered again. It is renewed while a batch is
    /// handled, however long that takes. Default: 30 s.
    pub lease: Duration,
    /// The interval for polling the store for messages of other processes. Default: 1 s.
    pub poll: Duration,
}

impl Default for ConsumeOptions {
    fn default() -> Self {
        Self {
            batch_size: 10,
            batch_timeout: Duration::from_secs(5),
            retries: 3,
            retry_delay: Duration::ZERO,
            concurrency: 10,
            lease: Duration::from_secs(30),
            poll: Duration::from_secs(1),
        }
    }
}

isopod_outcome::setters!(ConsumeOptions {
    batch_size: usize,
    batch_timeout: Duration,
    retries: u32,
    retry_delay: Duration,
    concurrency: usize,
    lease: Duration,
    poll: Duration,
});

/// A queue that a script consumes.
///
/// ```
/// # mod isopod { pub use isopod_host as host; pub use isopod_pool::{Options, js::{Pool, Script, bindings}}; }
/// use isopod::bindings::queue::{Outbound, QueueBody, QueueMessage, QueueStore, SqliteQueue};
/// use isopod::host::workers::{ConsumeOptions, QueueSource};
/// use isopod::{Options, Pool, Script};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
/// let pool = Pool::builder().threads(1).build()?;
/// let source = "export default { queue(batch) { console.log(batch.messages[0].body); } };";
/// pool.deploy("mail", Script::builder("mail").source(source).build()?, &Options::default())?;
///
/// # let folder = tempfile::tempdir()?;
/// let orders = SqliteQueue::new(folder.path().join("orders.sqlite"));
/// let options = ConsumeOptions::default().batch_size(1);
/// let consumer = QueueSource::new("orders", orders.clone()).options(options).start(runtime.handle(), &pool, "mail");
/// let message = QueueMessage::new(QueueBody::text("an order"));
/// futures::executor::block_on(orders.send(vec![Outbound::new(message)]))?;
/// while consumer.stats().acknowledged < 1 {
///     std::thread::sleep(std::time::Duration::from_millis(5));
/// }
/// futures::executor::block_on(consumer.drain());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct QueueSource {
    name: Arc<str>,
    store: Arc<dyn QueueStore>,
    dead_letters: Option<Arc<dyn QueueStore>>,
    options: ConsumeOptions,
}

impl QueueSource {
    /// Creates a consumer of this store. Scripts see this name of the queue.
    pub fn new(name: impl Into<Arc<str>>, store: impl QueueStore) -> Self {
        Self {
            name: name.into(),
            store: Arc::new(store),
            dead_letters: None,
            options: ConsumeOptions::default(),
        }
    }

    /// Sets the queue that dead letters go to, with their ids and times. Default: none; they are dropped, and that is logged.
    #[must_use]
    pub fn dead_letters(mut self, store: impl QueueStore) -> Self {
        self.dead_letters = Some(Arc::new(store));
        self
    }

    /// Sets the options.
    #[must_use]
    pub const fn options(mut self, options: ConsumeOptions) -> Self {
        self.options = options;
        self
    }

    /// Gives the messages to the `queue` handler of the script that is deployed under this name, from tasks on the runtime of
    /// `handle`, which needs a timer. Batches have a low priority among the events of the script.
    ///
    /// The consumer keeps the pool alive until it ends: by [`QueueConsumer::drain`], by being dropped, or when the pool is
    /// drained.
    pub fn start(self, handle: &Handle, pool: &Pool, script: impl Into<Arc<str>>) -> QueueConsumer {
        let (stats, stop) = (ConsumerStatsHandle::default(), CancellationToken::new());
        let batches = Batches {
            queue: self,
            script: script.into(),
            pool: pool.clone(),
            stats: stats.clone(),
        };
        let task = handle.spawn(run::run(Arc::new(batches), stop.clone()));
        QueueConsumer {
            stats,
            stop,
            task: AbortOnDropHandle::new(task),
        }
    }
}

impl fmt::Debug for QueueSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueSource")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Statistics of a consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConsumerStats {
    /// Batches that were given to the script.
    pub batches: u64,
    /// Batches that are being handled.
    pub active: u64,
    /// Messages that were handled.
    pub acknowledged: u64,
    /// Messages that are to be delivered again.
    pub retried: u64,
    /// Messages that became dead letters.
    pub dead: u64,
    /// Messages that were dropped after their last attempt, because there is no queue for dead letters.
    pub dropped: u64,
    /// Batches that the pool did not take.
    pub refused: u64,
    /// Messages in the queue when it was last asked.
    pub backlog: u64,
    /// The length of their bodies.
    pub backlog_bytes: u64,
    /// The time when the oldest of them was sent, in milliseconds since 1970; 0 if there is none.
    pub oldest_ms: u64,
}

/// A view of a consumer's statistics, which may outlive it.
#[derive(Clone, Debug, Default)]
pub struct ConsumerStatsHandle(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    batches: AtomicU64,
    ended: AtomicU64,
    acknowledged: AtomicU64,
    retried: AtomicU64,
    dead: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
    backlog: Mutex<QueueMetrics>,
}

impl ConsumerStatsHandle {
    /// Returns the statistics.
    #[must_use]
    pub fn stats(&self) -> ConsumerStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        let backlog = *self.0.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = count(&self.0.ended);
        let batches = count(&self.0.batches);
        ConsumerStats {
            batches,
            active: batches.saturating_sub(ended),
            acknowledged: count(&self.0.acknowledged),
            retried: count(&self.0.retried),
            dead: count(&self.0.dead),
            dropped: count(&self.0.dropped),
            refused: count(&self.0.refused),
            backlog: backlog.count,
            backlog_bytes: backlog.bytes,
            oldest_ms: backlog.oldest_ms.unwrap_or_default(),
        }
    }

    fn set_backlog(&self, metrics: QueueMetrics) {
        *self.0.backlog.lock().unwrap_or_else(PoisonError::into_inner) = metrics;
    }
}

/// A running consumer. Dropping it ends it at once: the batches that are being handled are canceled, and their messages
/// are delivered again when their leases are over.
#[must_use = "dropping a consumer ends it"]
pub struct QueueConsumer {
    stats: ConsumerStatsHandle,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl QueueConsumer {
    /// Returns its statistics.
    #[must_use]
    pub fn stats(&self) -> ConsumerStats {
        self.stats.stats()
    }

    /// Returns a view of its statistics.
    #[must_use]
    pub fn stats_handle(&self) -> ConsumerStatsHandle {
        self.stats.clone()
    }

    /// Stops taking messages.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Stops taking messages, and waits until the taken ones are handled.
    pub async fn drain(self) {
        self.stop.cancel();
        // It cannot panic, and is aborted only by being dropped or with its runtime.
        let _ = self.task.await;
    }
}

impl fmt::Debug for QueueConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}
