//! A queue on NATS JetStream.
//!
//! A stream stores the messages. All processes share one JetStream consumer, which delivers each message to one of them, and
//! again when its lease expires. A delayed message is a schedule in the same stream. A returned message is stored again,
//! because JetStream counts each delivery as an attempt.

mod leases;
mod look;
mod message;
mod names;
mod send;
mod take;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::jetstream::ErrorCode;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Semaphore;

use self::leases::Leases;
use self::names::Names;
use super::store::{Outbound, Peeked, QueueMetrics, QueueStore, Receipt, Settled, Take, Taken, Verdict};
use crate::storage::nats::{Failed, JetStream, NatsServer, Signal};
use crate::storage::{StorageFuture, now_ms};

/// Time for which the server deduplicates messages, so that a repeated `send` has no effect.
const REMEMBERED: Duration = Duration::from_secs(120);
/// Maximum number of concurrent batches; a server accepts 50 per stream from all processes together.
const BATCHES_MAX: usize = 8;
/// Age at which the known backlog is refreshed.
const BACKLOG_AGE: Duration = Duration::from_millis(100);

/// A queue on a [`NatsServer`], which any number of processes on any number of machines may use.
///
/// ```no_run
/// # mod isopod { pub use isopod_ext::{bindings, storage}; }
/// use isopod::bindings::queue::{NatsQueue, QueueBinding};
/// use isopod::storage::NatsServer;
///
/// let server = NatsServer::new("nats://nats.internal:4222")?;
/// let binding = QueueBinding::new(NatsQueue::new(&server, "orders"));
/// # drop(binding);
/// # Ok::<(), isopod::storage::StorageError>(())
/// ```
///
/// Acknowledged messages are in the stream's files, which the server syncs at its `sync_interval`. The lease of a queue is
/// the longest that a consumer has requested. Messages must be settled through the store that took them.
#[derive(Clone)]
pub struct NatsQueue {
    server: NatsServer,
    queue: Arc<Queue>,
    bytes_max: u64,
}

/// This process's state of the queue.
struct Queue {
    name: String,
    names: Names,
    replicas: u8,
    signal: Arc<Signal>,
    leases: Leases,
    /// True once the stream exists.
    has_stream: AtomicBool,
    /// The lease of the stream's consumer in milliseconds; 0 if unknown.
    lease_ms: AtomicU64,
    /// The number of remaining messages at the last take.
    left: AtomicU64,
    /// Permits for concurrent batches.
    batches: Semaphore,
    backlog: Mutex<Option<(Instant, QueueMetrics)>>,
}

impl NatsQueue {
    /// The default of [`bytes_max`](Self::bytes_max).
    pub const BYTES_MAX: u64 = 10 << 30;

    /// Creates a store for the queue with this name. All stores with a name on a server are the same queue.
    pub fn new(server: &NatsServer, name: impl Into<String>) -> Self {
        let name = name.into();
        let names = Names::new(server.prefix(), &name);
        let queue = Queue {
            signal: server.signal(&names.token),
            name,
            names,
            replicas: server.replicas(),
            leases: Leases::default(),
            has_stream: AtomicBool::new(false),
            lease_ms: AtomicU64::new(0),
            left: AtomicU64::new(0),
            batches: Semaphore::new(BATCHES_MAX),
            backlog: Mutex::default(),
        };
        Self {
            server: server.clone(),
            queue: Arc::new(queue),
            bytes_max: Self::BYTES_MAX,
        }
    }

    /// Sets the maximum size of the backlog in bytes, bodies and headers. Default: 10 GiB. A `send` that begins above it fails.
    #[must_use]
    pub const fn bytes_max(mut self, bytes_max: u64) -> Self {
        self.bytes_max = bytes_max;
        self
    }

    /// Runs an operation on the stream, creating it if necessary.
    fn run<T, F>(&self, work: impl Fn(JetStream, Arc<Queue>) -> F + Send + Sync + 'static) -> StorageFuture<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failed>> + Send + 'static,
    {
        let (queue, work) = (self.queue.clone(), Arc::new(work));
        self.server.run(move |jetstream| {
            let (queue, work) = (queue.clone(), work.clone());
            async move {
                queue.create(&jetstream).await?;
                let done = work(jetstream, queue.clone()).await;
                if let Err(failed) = &done
                    && (matches!(failed, Failed::Lost(_)) || failed.is(ErrorCode::STREAM_NOT_FOUND))
                {
                    queue.forget();
                }
                done
            }
        })
    }
}

impl fmt::Debug for NatsQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (server, name) = (&self.server, &self.queue.name);
        f.debug_tuple("NatsQueue").field(server).field(name).finish()
    }
}

impl QueueStore for NatsQueue {
    fn send(&self, messages: Vec<Outbound>) -> StorageFuture<QueueMetrics> {
        let bytes_max = self.bytes_max;
        let due = messages.iter().filter(|one| !one.delay.is_zero());
        let due: Vec<u64> = due.map(|one| after(one.delay)).collect();
        let is_due_now = due.len() < messages.len();
        // One id for all attempts, so that a batch is stored only once.
        let messages = Arc::new(messages);
        let sent = self.run(move |jetstream, queue| {
            let messages = messages.clone();
            async move { send::send(&jetstream, &queue, &messages, bytes_max).await }
        });
        let (server, signal) = (self.server.clone(), self.queue.signal.clone());
        Box::pin(async move {
            let metrics = sent.await?;
            due.into_iter().for_each(|due| server.tell(&signal, Some(due)));
            if is_due_now {
                server.tell(&signal, None);
            }
            Ok(metrics)
        })
    }

    fn take(&self, wanted: Take) -> StorageFuture<Taken> {
        self.run(move |jetstream, queue| async move { take::take(&jetstream, &queue, &wanted).await })
    }

    fn settle(&self, settled: Vec<Settled>) -> StorageFuture<()> {
        let mut again: Vec<Option<u64>> = settled
            .iter()
            .filter_map(|one| match one.verdict {
                Verdict::Remove => None,
                Verdict::Retry(delay) if !delay.is_zero() => Some(Some(after(delay))),
                _ => Some(None),
            })
            .collect();
        again.dedup();
        let settled = Arc::new(settled);
        let done = self.run(move |jetstream, queue| {
            let settled = settled.clone();
            async move { take::settle(&jetstream, &queue, &settled).await }
        });
        let (server, signal) = (self.server.clone(), self.queue.signal.clone());
        Box::pin(async move {
            done.await?;
            again.into_iter().for_each(|due| server.tell(&signal, due));
            Ok(())
        })
    }

    fn renew(&self, receipts: Vec<Receipt>, _lease: Duration) -> StorageFuture<()> {
        let receipts = Arc::new(receipts);
        self.run(move |jetstream, queue| {
            let receipts = receipts.clone();
            async move { take::renew(&jetstream, &queue, &receipts).await }
        })
    }

    fn metrics(&self) -> StorageFuture<QueueMetrics> {
        self.run(|jetstream, queue| async move { Ok(look::stream(&jetstream, &queue).await?.metrics()) })
    }

    fn changed(&self, seen: u64) -> StorageFuture<u64> {
        self.server.listen();
        let signal = self.queue.signal.clone();
        Box::pin(async move { Ok(signal.changed(seen).await) })
    }

    fn peek(&self, count: usize) -> StorageFuture<Vec<Peeked>> {
        self.run(move |jetstream, queue| async move { look::peek(&jetstream, &queue, count).await })
    }

    fn purge(&self) -> StorageFuture<u64> {
        self.run(|jetstream, queue| async move {
            #[derive(Deserialize)]
            struct Purged {
                purged: u64,
            }
            let purge = format!("STREAM.PURGE.{}", queue.names.stream);
            let Purged { purged } = jetstream.api(purge, None).await?;
            queue.forget();
            Ok(purged)
        })
    }
}

impl Queue {
    /// Creates the stream, unless it exists.
    async fn create(&self, jetstream: &JetStream) -> Result<(), Failed> {
        if self.has_stream.load(Ordering::Acquire) {
            return Ok(());
        }
        let Names {
            stream,
            subject,
            later,
            moved,
            ..
        } = &self.names;
        let config = json!({
            "name": stream,
            "description": "A queue of Isopod",
            "subjects": [subject, format!("{later}>"), format!("{moved}>")],
            // A message stays until it is acknowledged.
            "retention": "workqueue",
            "storage": "file",
            "num_replicas": self.replicas,
            "duplicate_window": u64::try_from(REMEMBERED.as_nanos()).unwrap_or(u64::MAX),
            "allow_atomic": true,
            "allow_msg_schedules": true,
            "allow_direct": true,
        });
        let created = jetstream
            .api::<serde::de::IgnoredAny>(format!("STREAM.CREATE.{stream}"), Some(config))
            .await;
        match created {
            Ok(_) => {}
            // The existing stream keeps its settings.
            Err(failed) if failed.is(ErrorCode::STREAM_NAME_EXIST) => {}
            Err(failed) => return Err(failed),
        }
        self.has_stream.store(true, Ordering::Release);
        Ok(())
    }

    /// Resets the state that may have changed on the server.
    fn forget(&self) {
        self.has_stream.store(false, Ordering::Release);
        self.lease_ms.store(0, Ordering::Release);
        self.left.store(0, Ordering::Release);
        *self.backlog.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the known backlog, unless it is too old.
    fn backlog(&self) -> Option<QueueMetrics> {
        let backlog = self.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        backlog
            .filter(|(at, _)| at.elapsed() < BACKLOG_AGE)
            .map(|(_, metrics)| metrics)
    }

    fn set_backlog(&self, metrics: QueueMetrics) {
        *self.backlog.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), metrics));
    }

    /// Adds messages to the known backlog, and returns it.
    fn add(&self, before: QueueMetrics, count: u64, bytes: u64, oldest_ms: Option<u64>) -> QueueMetrics {
        let mut backlog = self.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        let known = backlog.as_ref().map_or(before, |(_, known)| *known);
        let after = QueueMetrics::default()
            .count(known.count + count)
            .bytes(known.bytes + bytes)
            .oldest_ms(known.oldest_ms.or(oldest_ms));
        if let Some((_, known)) = &mut *backlog {
            *known = after;
        }
        after
    }
}

/// Returns the time after this duration, in milliseconds since the Unix epoch.
fn after(duration: Duration) -> u64 {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    now_ms().saturating_add(millis)
}
