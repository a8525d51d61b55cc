//! Storing of messages.

use async_nats::Request;
use async_nats::jetstream::ErrorCode;
use futures::future::try_join_all;

use super::super::store::{Outbound, QueueMetrics};
use super::message::Parcel;
use super::names::written;
use super::{Queue, after, look};
use crate::storage::StorageError;
use crate::storage::nats::{Failed, JetStream};

/// Estimated size of a message in addition to its body, before the server has counted it.
const MESSAGE_BYTES: u64 = 200;
/// JetStream's errors for an incomplete batch, and for too many concurrent batches.
const BATCH_AGAIN: [ErrorCode; 2] = [
    ErrorCode::ATOMIC_PUBLISH_INCOMPLETE_BATCH,
    ErrorCode::ATOMIC_PUBLISH_TOO_MANY_INFLIGHT,
];

pub(super) async fn send(
    jetstream: &JetStream,
    queue: &Queue,
    messages: &[Outbound],
    bytes_max: u64,
) -> Result<QueueMetrics, Failed> {
    let before = match queue.backlog() {
        Some(backlog) => backlog,
        None => look::stream(jetstream, queue).await?.metrics(),
    };
    let (count, bodies) = (
        messages.len() as u64,
        messages.iter().map(|one| one.message.body.bytes.len() as u64),
    );
    let bytes = bodies.sum::<u64>() + count * MESSAGE_BYTES;
    if before.bytes + bytes > bytes_max {
        return Err(StorageError::Full(bytes_max).into());
    }
    match messages {
        [] => {}
        // Each is stored once, but not atomically, because some messages from another queue may already be stored here.
        moved if moved.iter().any(|one| one.is_moved) => {
            try_join_all(moved.iter().map(|one| store_moved(jetstream, queue, one))).await?;
        }
        [one] => store(jetstream, queue, one).await?,
        several => store_together(jetstream, queue, several).await?,
    }
    let oldest = messages.iter().map(|one| one.message.sent_ms).min();
    Ok(queue.add(before, count, bytes, oldest))
}

/// Returns a message and its subject.
fn parcel(queue: &Queue, one: &Outbound) -> (String, Parcel) {
    let parcel = Parcel::new(&one.message, 0);
    match one.delay.is_zero() {
        true => (queue.names.subject.clone(), parcel),
        // A subject has at most one schedule.
        false => (
            format!("{}{:032x}", queue.names.later, fastrand::u128(..)),
            parcel.later(after(one.delay), &queue.names.subject),
        ),
    }
}

async fn store(jetstream: &JetStream, queue: &Queue, one: &Outbound) -> Result<(), Failed> {
    let (subject, parcel) = parcel(queue, one);
    jetstream
        .publish(&subject, parcel.once(&one.message.id).into_request())
        .await
}

/// Stores a message from another queue, unless it is stored already. The server's deduplication does not suffice, because a
/// dead letter that is moved back to its queue has an id that was there before.
async fn store_moved(jetstream: &JetStream, queue: &Queue, one: &Outbound) -> Result<(), Failed> {
    let subject = format!("{}{}", queue.names.moved, written(&one.message.id));
    let parcel = Parcel::new(&one.message, 0).alone();
    match jetstream.publish(&subject, parcel.into_request()).await {
        Err(failed)
            if failed.is(ErrorCode::STREAM_WRONG_LAST_SEQUENCE)
                || failed.is(ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT) =>
        {
            Ok(())
        }
        stored => stored,
    }
}

/// Stores all messages or none.
async fn store_together(jetstream: &JetStream, queue: &Queue, messages: &[Outbound]) -> Result<(), Failed> {
    // The semaphore is never closed.
    let _permit = queue.batches.acquire().await;
    let batch = format!("{:032x}", fastrand::u128(..));
    let client = jetstream.client();
    let mut stored = Ok(());
    for (at, one) in messages.iter().enumerate() {
        let is_last = at + 1 == messages.len();
        let (subject, mut parcel) = parcel(queue, one);
        // The id of one message deduplicates the whole batch.
        if at == 0 {
            parcel = parcel.once(&one.message.id);
        }
        let (headers, body) = parcel.in_batch(&batch, at + 1, is_last).into_parts();
        if is_last {
            stored = jetstream
                .publish(&subject, Request::new().headers(headers).payload(body))
                .await;
        } else {
            let sent = client.publish_with_headers(subject, headers, body).await;
            sent.map_err(|error| Failed::Lost(error.to_string()))?;
        }
    }
    match stored {
        // An earlier attempt, whose result was lost, has stored them.
        Err(failed) if failed.is(ErrorCode::ATOMIC_PUBLISH_CONTAINS_DUPLICATE_MESSAGE) => Ok(()),
        Err(Failed::Refused(error)) if BATCH_AGAIN.contains(&error.error_code()) => {
            Err(Failed::Lost(error.to_string()))
        }
        stored => stored,
    }
}
