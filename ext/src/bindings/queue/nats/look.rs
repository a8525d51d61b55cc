//! Inspection of a stream, without taking messages.

use async_nats::jetstream::ErrorCode;
use serde::Deserialize;
use serde_json::json;

use super::super::store::{Peeked, QueueMetrics};
use super::message::{Found, millis};
use super::{Names, Queue};
use crate::storage::nats::{Failed, JetStream};

/// The state of a stream.
#[derive(Deserialize)]
pub(super) struct State {
    messages: u64,
    bytes: u64,
    first_seq: u64,
    first_ts: String,
}

impl State {
    pub(super) fn metrics(&self) -> QueueMetrics {
        let oldest = millis(&self.first_ts).filter(|_| self.messages > 0);
        QueueMetrics::default()
            .count(self.messages)
            .bytes(self.bytes)
            .oldest_ms(oldest)
    }
}

/// Requests the state of the stream, and records the backlog.
pub(super) async fn stream(jetstream: &JetStream, queue: &Queue) -> Result<State, Failed> {
    #[derive(Deserialize)]
    struct Info {
        state: State,
    }
    let info = format!("STREAM.INFO.{}", queue.names.stream);
    let Info { state } = jetstream.api(info, None).await?;
    queue.set_backlog(state.metrics());
    Ok(state)
}

/// The state of the stream's consumer.
#[derive(Default, Deserialize)]
pub(super) struct Consumer {
    pub(super) config: ConsumerConfig,
    pub(super) delivered: Delivered,
    /// Number of delivered messages that are not acknowledged.
    pub(super) num_ack_pending: usize,
    /// Number of messages that were never delivered.
    pub(super) num_pending: u64,
}

#[derive(Default, Deserialize)]
pub(super) struct ConsumerConfig {
    /// Nanoseconds.
    pub(super) ack_wait: u64,
}

#[derive(Default, Deserialize)]
pub(super) struct Delivered {
    /// Number of the last delivered message of the stream.
    stream_seq: u64,
}

/// Requests the state of the consumer; `None` if there is no consumer.
pub(super) async fn consumer(jetstream: &JetStream, queue: &Queue) -> Result<Option<Consumer>, Failed> {
    let info = format!("CONSUMER.INFO.{}.{}", queue.names.stream, Names::CONSUMER);
    match jetstream.api(info, None).await {
        Ok(consumer) => Ok(Some(consumer)),
        Err(failed) if failed.is(ErrorCode::CONSUMER_NOT_FOUND) => Ok(None),
        Err(failed) => Err(failed),
    }
}

/// Reads the first messages of the stream.
pub(super) async fn peek(jetstream: &JetStream, queue: &Queue, count: usize) -> Result<Vec<Peeked>, Failed> {
    let state = stream(jetstream, queue).await?;
    let taken = consumer(jetstream, queue)
        .await?
        .unwrap_or_default()
        .delivered
        .stream_seq;
    let get = format!("$JS.API.DIRECT.GET.{}", queue.names.stream);
    let (mut peeked, mut next) = (Vec::new(), state.first_seq);
    while peeked.len() < count {
        let wanted = json!({ "seq": next, "next_by_subj": ">" }).to_string();
        let request = async_nats::Request::new().payload(wanted.into());
        let got = jetstream.request(&get, request).await?;
        let header = |name: &str| got.headers.as_ref()?.get(name).map(|value| value.as_str());
        // An answer without a number says that there are no more.
        let Some(number) = header("Nats-Sequence").and_then(|number| number.parse::<u64>().ok()) else {
            break;
        };
        let is_delayed = header("Nats-Subject").is_some_and(|subject| subject.starts_with(&queue.names.later));
        let found = Found::new(got.headers.as_ref(), got.payload.clone(), number);
        let is_leased = !is_delayed && number <= taken;
        peeked.push(
            Peeked::new(found.message)
                .attempts(found.attempts + u32::from(is_leased))
                .due_ms(found.due_ms.filter(|_| is_delayed))
                .is_leased(is_leased),
        );
        next = number + 1;
    }
    Ok(peeked)
}
