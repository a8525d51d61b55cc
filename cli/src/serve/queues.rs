//! Host module that gives the messages of queues to the workers that consume them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use isopod::Pool;
use isopod::host::workers::{ConsumerStats, ConsumerStatsHandle, QueueConsumer, QueueSource};
use isopod::host::{CancellationToken, Context, Module, PhaseResult, async_trait};
use isopod::server::{Metric, MetricKind};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::deploy::Deploy;
use super::life::Life;
use super::pool;
use super::scheduler::Triggers;
use crate::config::{Config, Consumer, OpenQueues, QueueKey};

/// The statistics of running consumers, by the name of their queue. A client of the hub.
#[derive(Debug, Default)]
pub(super) struct Consumers(Mutex<BTreeMap<String, ConsumerStatsHandle>>);

pub(super) struct Queues {
    open: Arc<OpenQueues>,
    consumers: Arc<Consumers>,
    life: Arc<Life>,
    /// Consumers take no more messages once a shutdown begins.
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Queues {
    pub(super) fn new(open: Arc<OpenQueues>, life: Arc<Life>) -> Self {
        Self {
            open,
            consumers: Arc::default(),
            life,
            stop: CancellationToken::new(),
            task: None,
        }
    }
}

#[async_trait]
impl Module for Queues {
    fn name(&self) -> &str {
        "queues"
    }

    fn depends_on(&self) -> Vec<String> {
        vec![Deploy::NAME.to_owned()]
    }

    async fn build(&mut self, ctx: &Context) -> PhaseResult {
        ctx.hub().register(Arc::clone(&self.consumers))?;
        Ok(())
    }

    async fn ready(&mut self, ctx: &Context) -> PhaseResult {
        let dispatcher = Dispatcher {
            open: Arc::clone(&self.open),
            consumers: Arc::clone(&self.consumers),
            pool: Pool::clone(&*ctx.hub().get::<Pool>()?),
            runtime: ctx.runtime().clone(),
            at_work: BTreeMap::new(),
        };
        let config = ctx.hub().get::<Triggers>()?.subscribe();
        self.task = Some(ctx.runtime().spawn(dispatcher.run(config, self.stop.clone())));
        Ok(())
    }

    async fn drain(&mut self, _ctx: &Context) -> PhaseResult {
        self.stop.cancel();
        if let Some(mut task) = self.task.take() {
            let limit = self.life.left().max(pool::DRAIN_MIN);
            if tokio::time::timeout(limit, &mut task).await.is_err() {
                tracing::warn!(target: "isopod", "not all queue batches were handled before the shutdown deadline");
                // Their messages will be delivered again.
                task.abort();
            }
        }
        Ok(())
    }
}

/// Starts and ends consumers according to the configuration.
struct Dispatcher {
    open: Arc<OpenQueues>,
    consumers: Arc<Consumers>,
    pool: Pool,
    runtime: Handle,
    at_work: BTreeMap<QueueKey, AtWork>,
}

/// A running consumer, and the configuration that it was started with.
struct AtWork {
    worker: String,
    wanted: Consumer,
    consumer: QueueConsumer,
}

impl Dispatcher {
    async fn run(mut self, mut config: watch::Receiver<Arc<Config>>, stop: CancellationToken) {
        loop {
            let wanted = config.borrow_and_update().clone();
            self.follow(&wanted).await;
            tokio::select! {
                () = stop.cancelled() => break,
                changed = config.changed() => if changed.is_err() { break },
            }
        }
        join_all(self.at_work.into_values().map(|at_work| at_work.consumer.drain())).await;
    }

    /// Ends consumers that are no longer configured, and starts new ones. Unchanged ones continue.
    async fn follow(&mut self, config: &Config) {
        let wanted = || {
            let workers = config.workers.iter();
            workers.flat_map(|(name, worker)| worker.consumers.iter().map(move |consumer| (name, consumer)))
        };
        let is_wanted =
            |at_work: &AtWork| wanted().any(|(name, one)| *name == at_work.worker && *one == at_work.wanted);
        let gone: Vec<_> = self.at_work.extract_if(.., |_, at_work| !is_wanted(at_work)).collect();
        // The old ones end first, because a queue has one consumer.
        join_all(gone.into_iter().map(|(_, at_work)| at_work.consumer.drain())).await;
        for (worker, consumer) in wanted() {
            let key = consumer.queue.key();
            if !self.at_work.contains_key(&key) {
                let consumer = self.start(worker, consumer);
                self.at_work.insert(key, consumer);
            }
        }
        let stats = self.at_work.values();
        let stats = stats.map(|at_work| (at_work.wanted.queue.name.clone(), at_work.consumer.stats_handle()));
        *self.consumers.0.lock().unwrap_or_else(PoisonError::into_inner) = stats.collect();
    }

    fn start(&self, worker: &str, wanted: &Consumer) -> AtWork {
        let queue = QueueSource::new(wanted.queue.name.as_str(), self.open.open(&wanted.queue));
        let queue = match &wanted.dead_letters {
            Some(dead_letters) => queue.dead_letters(self.open.open(dead_letters)),
            None => queue,
        };
        AtWork {
            worker: worker.to_owned(),
            wanted: wanted.clone(),
            consumer: queue.options(wanted.options).start(&self.runtime, &self.pool, worker),
        }
    }
}

impl Consumers {
    /// Returns the statistics as metrics.
    #[expect(clippy::cast_precision_loss, reason = "Prometheus knows floating-point numbers only")]
    pub(super) fn metrics(&self) -> Vec<Metric> {
        use MetricKind::{Counter, Gauge};
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all: Vec<_> = all
            .iter()
            .map(|(queue, handle)| (queue.clone(), handle.stats()))
            .collect();
        if all.is_empty() {
            return Vec::new();
        }
        let by_queue = |name: &'static str, help: &'static str, kind, of: fn(&ConsumerStats) -> u64| {
            all.iter()
                .fold(Metric::new(name, help, kind), |metric, (queue, stats)| {
                    metric.labelled("queue", queue.clone(), of(stats) as f64)
                })
        };
        vec![
            by_queue("isopod_queue_messages", "Messages in the queue", Gauge, |of| of.backlog),
            by_queue(
                "isopod_queue_bytes",
                "Length of the messages in the queue",
                Gauge,
                |of| of.backlog_bytes,
            ),
            by_queue(
                "isopod_queue_oldest_timestamp_seconds",
                "Time when the oldest message was sent; 0 if there is none",
                Gauge,
                |of| of.oldest_ms / 1000,
            ),
            by_queue("isopod_queue_batches_in_flight", "Batches being handled", Gauge, |of| {
                of.active
            }),
            by_queue(
                "isopod_queue_batches_total",
                "Batches given to the consumer",
                Counter,
                |of| of.batches,
            ),
            by_queue(
                "isopod_queue_batches_refused_total",
                "Batches that the pool did not take; their messages wait",
                Counter,
                |of| of.refused,
            ),
            by_queue(
                "isopod_queue_messages_acknowledged_total",
                "Messages that were handled",
                Counter,
                |of| of.acknowledged,
            ),
            by_queue(
                "isopod_queue_messages_retried_total",
                "Messages to be delivered again",
                Counter,
                |of| of.retried,
            ),
            by_queue(
                "isopod_queue_messages_dead_total",
                "Messages moved to the dead letters after their last attempt",
                Counter,
                |of| of.dead,
            ),
            by_queue(
                "isopod_queue_messages_dropped_total",
                "Messages dropped after their last attempt, for lack of a `dead_letter_queue`",
                Counter,
                |of| of.dropped,
            ),
        ]
    }
}
