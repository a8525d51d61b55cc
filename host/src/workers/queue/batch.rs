//! Gives a batch to the script, and settles its messages.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use isopod_pool::js::Pool;
use isopod_pool::js::bindings::queue::{
    Leased, Outbound, QueueBatch, QueueDecision, QueueMetrics, QueueStore, Receipt, Settled, Taken, Verdict,
};
use isopod_pool::{Failure, Meta, Priority, RejectReason};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::verdict::{End, Fate, fate, is_exhausted};
use super::{ConsumerStatsHandle, QueueSource};

/// Number of times that settling is tried, and the time between.
const SETTLE_TRIES: u32 = 5;
const SETTLE_AGAIN: Duration = Duration::from_millis(200);
/// Time until moving a dead letter is retried.
const MOVE_AGAIN: Duration = Duration::from_secs(30);

/// The parts of a consumer that handle its batches.
pub(super) struct Batches {
    pub(super) queue: QueueSource,
    pub(super) script: Arc<str>,
    pub(super) pool: Pool,
    pub(super) stats: ConsumerStatsHandle,
}

/// Decision to continue or end.
pub(super) enum Next {
    Goes,
    /// The pool has not taken the batch.
    Refused(Failure),
    /// The pool accepts no more events.
    Ends,
}

impl Batches {
    /// Handles the messages that were taken.
    pub(super) async fn handle(self: Arc<Self>, taken: Taken) -> Next {
        let (exhausted, batch): (Vec<_>, Vec<_>) = taken
            .messages
            .into_iter()
            .partition(|one| is_exhausted(one.attempts, &self.queue.options));
        if !exhausted.is_empty() {
            let settled = self.bury(exhausted).await;
            self.settle(settled).await;
        }
        if batch.is_empty() {
            return Next::Goes;
        }
        let counters = &self.stats.0;
        counters.batches.fetch_add(1, Ordering::Relaxed);
        let result = self.give(&batch, taken.metrics).await;
        self.log(&result, batch.len());
        let end = End::of(&result);
        let (mut settled, mut dead) = (Vec::with_capacity(batch.len()), Vec::new());
        for (place, one) in batch.into_iter().enumerate() {
            match fate(&end, place, one.attempts, &self.queue.options) {
                Fate::Dead => dead.push(one),
                Fate::Settled(verdict) => settled.push(Settled {
                    receipt: one.receipt,
                    verdict,
                }),
            }
        }
        let count = |wanted: fn(Verdict) -> bool| settled.iter().filter(|one| wanted(one.verdict)).count() as u64;
        let acknowledged = count(|verdict| verdict == Verdict::Remove);
        let retried = count(|verdict| matches!(verdict, Verdict::Retry(_)));
        if !dead.is_empty() {
            settled.extend(self.bury(dead).await);
        }
        self.settle(settled).await;
        counters.acknowledged.fetch_add(acknowledged, Ordering::Relaxed);
        counters.retried.fetch_add(retried, Ordering::Relaxed);
        // Pairs with `Acquire` in `stats`: an end that is seen has its begin seen.
        counters.ended.fetch_add(1, Ordering::Release);
        match result {
            // Only the pool itself answers so; an exception of the script is never `load_shed`.
            Err(failure) if failure == Failure::from(RejectReason::ShuttingDown) => Next::Ends,
            Err(failure) if matches!(End::of(&Err(failure.clone())), End::NotBegun) => {
                counters.refused.fetch_add(1, Ordering::Relaxed);
                Next::Refused(failure)
            }
            _ => Next::Goes,
        }
    }

    /// Gives a batch to the script, and keeps its messages leased meanwhile.
    async fn give(&self, batch: &[Leased], metrics: QueueMetrics) -> Result<QueueDecision, Failure> {
        let messages = batch.iter().map(|one| (one.message.clone(), one.attempts));
        let given = QueueBatch::new(&*self.queue.name, messages).metrics(metrics);
        let event = self
            .pool
            .queue(&self.script, given, Meta::default().priority(Priority::Low));
        let mut event = std::pin::pin!(event);
        let lease = self.queue.options.lease;
        let mut renewals = interval((lease / 3).max(Duration::from_millis(1)));
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is now.
        renewals.tick().await;
        loop {
            tokio::select! {
                biased;
                result = &mut event => return result,
                _ = renewals.tick() => {
                    let receipts: Vec<Receipt> = batch.iter().map(|one| one.receipt).collect();
                    if let Err(error) = self.queue.store.renew(receipts, lease).await {
                        let queue = &self.queue.name;
                        tracing::warn!(target: "isopod::queue", %queue, %error, "cannot renew the leases of messages");
                    }
                }
            }
        }
    }

    /// Moves messages to the dead letters, or drops them. Returns how they are settled.
    async fn bury(&self, dead: Vec<Leased>) -> Vec<Settled> {
        let counters = &self.stats.0;
        let queue = &self.queue.name;
        let all = |verdict| {
            dead.iter()
                .map(move |one| Settled {
                    receipt: one.receipt,
                    verdict,
                })
                .collect()
        };
        let Some(store) = &self.queue.dead_letters else {
            for Leased { message, attempts, .. } in &dead {
                let id = &message.id;
                tracing::error!(target: "isopod::queue", %queue, id, attempts, "dropped a message after its last attempt");
            }
            counters.dropped.fetch_add(dead.len() as u64, Ordering::Relaxed);
            return all(Verdict::Remove);
        };
        let letters = dead.iter().map(|one| Outbound::new(one.message.clone()).is_moved(true));
        // Added to the new queue before it is removed here: a message may be in both queues, but never in none.
        match store.send(letters.collect()).await {
            Ok(_) => {
                for Leased { message, attempts, .. } in &dead {
                    let id = &message.id;
                    tracing::warn!(target: "isopod::queue", %queue, id, attempts, "moved a message to the dead letters");
                }
                counters.dead.fetch_add(dead.len() as u64, Ordering::Relaxed);
                all(Verdict::Remove)
            }
            Err(error) => {
                tracing::error!(target: "isopod::queue", %queue, %error, "cannot move messages to the dead letters");
                all(Verdict::Retry(MOVE_AGAIN))
            }
        }
    }

    /// Settles messages. If that fails for long, they are delivered again when their leases are over.
    async fn settle(&self, settled: Vec<Settled>) {
        for _ in 0..SETTLE_TRIES {
            match self.queue.store.settle(settled.clone()).await {
                Ok(()) => return,
                Err(error) => {
                    let queue = &self.queue.name;
                    tracing::warn!(target: "isopod::queue", %queue, %error, "cannot settle messages");
                    sleep(SETTLE_AGAIN).await;
                }
            }
        }
    }

    fn log(&self, result: &Result<QueueDecision, Failure>, count: usize) {
        let (queue, script) = (&self.queue.name, &self.script);
        let text = match result {
            Ok(decision) => match &decision.error {
                None => {
                    tracing::debug!(target: "isopod::queue", %queue, %script, count, "handled a batch");
                    return;
                }
                Some(error) => error,
            },
            Err(failure) => failure.detail.as_ref().unwrap_or(&failure.message),
        };
        let outcome = result
            .as_ref()
            .map_or_else(|failure| failure.outcome.as_str(), |_| "exception");
        tracing::error!(target: "isopod::queue", %queue, %script, count, outcome, "{text}");
    }
}
