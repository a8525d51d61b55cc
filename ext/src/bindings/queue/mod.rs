//! `env.QUEUE`: a queue with the interface of Workers Queues, and the batches for consumers.
//!
//! [`QueueBinding`] is the producer's binding, over a [`QueueStore`]: [`SqliteQueue`], `PostgresQueue`, `NatsQueue` or a
//! program's own. [`QueueBatch`] is the input of the `queue` handler. `rules` has the platform's limits, which the ops check
//! first. The host takes messages from a store and dispatches them to workers.

mod batch;
#[cfg(feature = "nats")]
mod nats;
#[cfg(feature = "postgres")]
mod postgres;
mod remote;
mod rules;
#[cfg(feature = "sql")]
mod sqlite;
mod store;

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use deno_core::convert::{Smi, Uint8Array};
use deno_core::{OpState, ToV8, op2};
use serde_json::json;

use super::operation::operate;
use super::{Binding, EnvValue, Installed, NewWorker, Parcel, ParcelFuture, WrittenBinding};
use crate::event::{EventEnded, EventKey};
use crate::quotas::{QuotaError, Usage};
use crate::storage::StorageError;
use crate::unwind;

pub use self::batch::{Decision, QueueBatch, QueueDecision};
#[cfg(feature = "nats")]
pub use self::nats::NatsQueue;
#[cfg(feature = "postgres")]
pub use self::postgres::PostgresQueue;
pub(crate) use self::remote::RemoteQueue;
pub use self::rules::{BATCH_BYTES, BATCH_COUNT, DELAY, MESSAGE_BYTES, QueueFault, check_delay, check_messages};
#[cfg(feature = "sql")]
pub use self::sqlite::SqliteQueue;
pub use self::store::{
    ContentType, Leased, Outbound, Peeked, QueueBody, QueueMessage, QueueMetrics, QueueStore, Receipt, Settled, Take,
    Taken, Verdict,
};

/// A queue in `env`, over any [`QueueStore`].
#[derive(Clone)]
pub struct QueueBinding {
    store: Arc<dyn QueueStore>,
    delivery_delay: Duration,
}

impl QueueBinding {
    /// Creates a binding that sends to this store.
    pub fn new(store: impl QueueStore) -> Self {
        Self {
            store: Arc::new(store),
            delivery_delay: Duration::ZERO,
        }
    }

    /// Sets the delay of messages that are sent without one, in whole seconds. Default: none.
    #[must_use]
    pub const fn delivery_delay(mut self, delivery_delay: Duration) -> Self {
        self.delivery_delay = delivery_delay;
        self
    }
}

impl fmt::Debug for QueueBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueueBinding(…)")
    }
}

impl Binding for QueueBinding {
    fn kind(&self) -> &'static str {
        "queue"
    }

    fn install(&self, name: &str, _worker: &NewWorker<'_>, state: &mut OpState) -> EnvValue<'_> {
        Installed::put(state, name, self.store.clone());
        EnvValue::made(
            "ext:isopod_queue/queue.js",
            &json!({ "delay": self.delivery_delay.as_secs() }),
        )
    }

    fn written(&self) -> Option<WrittenBinding> {
        let delay = self.delivery_delay;
        Some(WrittenBinding::Queue { delay })
    }

    fn serve(&self, _script: &str, request: Parcel, _bytes_max: usize) -> ParcelFuture {
        remote::serve(self.store.clone(), request)
    }

    fn withheld(&self) -> Vec<PathBuf> {
        self.store.files()
    }
}

/// The name of an operation in errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Send,
    SendBatch,
    Metrics,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Send => "send",
            Self::SendBatch => "sendBatch",
            Self::Metrics => "metrics",
        })
    }
}

/// An error of a queue's op.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
enum QueueError {
    #[class(type)]
    #[error("this worker has no queue named '{0}'")]
    NoBinding(String),
    #[class(generic)]
    #[error("Queue {0} failed: {1}")]
    Refused(Verb, QueueFault),
    #[class(generic)]
    #[error("Queue {0} failed: Too Many Requests: {1}")]
    Overloaded(Verb, StorageError),
    #[class(generic)]
    #[error("Queue {0} failed: Storage Limit Exceeded: {1}")]
    Full(Verb, StorageError),
    #[class(generic)]
    #[error("Queue {0} failed: Internal Server Error: {1}")]
    Failed(Verb, StorageError),
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    #[class(inherit)]
    #[error(transparent)]
    EventEnded(#[from] EventEnded),
    #[class(inherit)]
    #[error(transparent)]
    Panicked(#[from] unwind::Panicked),
}

impl QueueError {
    fn of(verb: Verb, error: StorageError) -> Self {
        match error {
            StorageError::Memory(quota) => Self::Quota(quota),
            StorageError::Overloaded(_) => Self::Overloaded(verb, error),
            StorageError::Full(_) => Self::Full(verb, error),
            error => Self::Failed(verb, error),
        }
    }
}

/// Runs an operation on the store of a binding for an event. It is canceled when the event ends.
async fn call<T>(
    state: &RefCell<OpState>,
    binding: String,
    verb: Verb,
    event: EventKey,
    run: impl AsyncFnOnce(Arc<dyn QueueStore>) -> Result<T, StorageError>,
) -> Result<T, QueueError> {
    let run = async |store| run(store).await.map_err(|error| QueueError::of(verb, error));
    operate(state, binding, event, QueueError::NoBinding, run).await
}

/// The backlog for the script.
#[derive(ToV8)]
struct Metrics {
    count: f64,
    bytes: f64,
    /// Milliseconds since the Unix epoch; 0 if the queue is empty.
    oldest: f64,
}

impl From<QueueMetrics> for Metrics {
    #[expect(clippy::cast_precision_loss, reason = "numbers of the script's")]
    fn from(metrics: QueueMetrics) -> Self {
        Self {
            count: metrics.count as f64,
            bytes: metrics.bytes as f64,
            oldest: metrics.oldest_ms.unwrap_or_default() as f64,
        }
    }
}

/// Sends messages. `forms` has the first letter of each one's content type, `delays` seconds.
#[op2]
async fn op_isopod_queue_send(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    is_batch: bool,
    #[string] forms: String,
    #[scoped] bodies: Vec<Uint8Array>,
    #[scoped] delays: Vec<Smi<i32>>,
    #[smi] event: EventKey,
) -> Result<Metrics, QueueError> {
    unwind::catch_async(async {
        let verb = if is_batch { Verb::SendBatch } else { Verb::Send };
        let refused = |fault| QueueError::Refused(verb, fault);
        let usage = Usage::of(&state.borrow());
        let (mut messages, mut waits) = (Vec::with_capacity(bodies.len()), Vec::with_capacity(bodies.len()));
        for ((form, body), Smi(delay)) in forms.chars().zip(bodies).zip(delays) {
            let form = ContentType::ALL.into_iter().find(|one| one.as_str().starts_with(form));
            let bytes = Bytes::from(body.0);
            let bytes = usage.hold(bytes.len())?.attach(bytes);
            messages.push(QueueMessage::new(QueueBody::new(
                form.unwrap_or(ContentType::Bytes),
                bytes,
            )));
            waits.push(check_delay(delay.into()).map_err(refused)?);
        }
        check_messages(&messages).map_err(|fault| match fault {
            QueueFault::MessageBytes(bytes) if is_batch => refused(QueueFault::BatchMessageBytes(bytes)),
            fault => refused(fault),
        })?;
        let sent = messages.into_iter().zip(waits);
        let sent = sent
            .map(|(message, delay)| Outbound::new(message).delay(delay))
            .collect();
        let metrics = call(&state, binding, verb, event, async |store| store.send(sent).await).await?;
        Ok(metrics.into())
    })
    .await?
}

/// Returns the backlog.
#[op2]
async fn op_isopod_queue_metrics(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    #[smi] event: EventKey,
) -> Result<Metrics, QueueError> {
    unwind::catch_async(async {
        let metrics = call(&state, binding, Verb::Metrics, event, async |store| {
            store.metrics().await
        })
        .await?;
        Ok(metrics.into())
    })
    .await?
}

/// In a module, because the macro creates a public type.
pub(crate) mod extension {
    use super::{op_isopod_queue_metrics, op_isopod_queue_send};

    deno_core::extension!(
        isopod_queue,
        deps = [isopod_context, isopod_handlers],
        ops = [op_isopod_queue_metrics, op_isopod_queue_send],
        lazy_loaded_js = [dir "src/bindings/queue", "consumer.js", "queue.js"],
    );
}
