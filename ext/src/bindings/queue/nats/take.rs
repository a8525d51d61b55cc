//! Taking and settling of messages.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::{Request, jetstream};
use bytes::Bytes;
use serde_json::json;

use super::super::rules::MESSAGE_BYTES;
use super::super::store::{Leased, Receipt, Settled, Take, Taken, Verdict};
use super::leases::Lease;
use super::message::{Found, Parcel};
use super::{Names, Queue, look};
use crate::storage::nats::{Failed, JetStream};
use crate::storage::signed;

/// Maximum size of a message in addition to its body, for the size of a pull request.
const OVERHEAD: usize = 512;

pub(super) async fn take(jetstream: &JetStream, queue: &Queue, wanted: &Take) -> Result<Taken, Failed> {
    let lease = consume(jetstream, queue, wanted.lease).await?;
    let mut taken = Taken::default();
    match waiting(jetstream, queue, wanted).await? {
        Waiting::Few(count) => taken.waiting = count,
        Waiting::Enough => taken.messages = pull(jetstream, queue, wanted, lease).await?,
    }
    taken.next_ms = queue.signal.next_due();
    taken.metrics = match queue.backlog() {
        Some(backlog) => backlog,
        None => look::stream(jetstream, queue).await?.metrics(),
    };
    Ok(taken)
}

/// Ensures that the stream's consumer exists with at least this lease. Returns its lease.
async fn consume(jetstream: &JetStream, queue: &Queue, lease: Duration) -> Result<Duration, Failed> {
    let known = Duration::from_millis(queue.lease_ms.load(Ordering::Acquire));
    if known >= lease && !known.is_zero() {
        return Ok(known);
    }
    let there = look::consumer(jetstream, queue).await?;
    let there = there.map(|consumer| Duration::from_nanos(consumer.config.ack_wait));
    let lease = match there {
        Some(there) if there >= lease => there,
        // Creates the consumer, or changes its lease.
        _ => {
            let Names {
                stream, subject, moved, ..
            } = &queue.names;
            // The server's minimum.
            let lease = lease.max(Duration::from_millis(1));
            let wanted = json!({
                "stream_name": stream,
                "config": {
                    "durable_name": Names::CONSUMER,
                    "description": "The consumers of a queue of Isopod",
                    "filter_subjects": [subject, format!("{moved}>")],
                    "deliver_policy": "all",
                    "ack_policy": "explicit",
                    "ack_wait": u64::try_from(lease.as_nanos()).unwrap_or(u64::MAX),
                    // The consumers of the queue limit the attempts.
                    "max_deliver": -1,
                    "max_ack_pending": -1,
                    "replay_policy": "instant",
                },
            });
            let create = format!("CONSUMER.DURABLE.CREATE.{stream}.{}", Names::CONSUMER);
            let _: serde::de::IgnoredAny = jetstream.api(create, Some(wanted)).await?;
            lease
        }
    };
    let millis = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX).max(1);
    queue.lease_ms.store(millis, Ordering::Release);
    Ok(lease)
}

/// The available messages.
enum Waiting {
    /// There may be enough messages.
    Enough,
    Few(usize),
}

/// Determines whether there may be the minimum number of messages.
async fn waiting(jetstream: &JetStream, queue: &Queue, wanted: &Take) -> Result<Waiting, Failed> {
    let at_least = u64::try_from(wanted.at_least.max(1)).unwrap_or(u64::MAX);
    if queue.left.load(Ordering::Acquire) >= at_least {
        return Ok(Waiting::Enough);
    }
    let consumer = look::consumer(jetstream, queue).await?.unwrap_or_default();
    // The server does not count redelivered messages: delayed ones that are due, and messages of other processes whose
    // leases may have expired.
    let comes_again = queue.signal.takes_due() || consumer.num_ack_pending > queue.leases.count();
    let waiting = consumer.num_pending;
    Ok(match (waiting >= at_least, comes_again) {
        (true, _) => Waiting::Enough,
        (false, true) if wanted.at_least <= 1 => Waiting::Enough,
        (false, true) => Waiting::Few(usize::try_from(waiting.max(1)).unwrap_or(usize::MAX)),
        (false, false) => Waiting::Few(usize::try_from(waiting).unwrap_or(usize::MAX)),
    })
}

/// Takes the available messages.
async fn pull(jetstream: &JetStream, queue: &Queue, wanted: &Take, lease: Duration) -> Result<Vec<Leased>, Failed> {
    let at_most = wanted.at_most.max(1);
    // The server also counts headers and subjects, and delivers nothing if the first message is too long.
    let bytes_max = wanted.bytes_max.max(MESSAGE_BYTES) + at_most * OVERHEAD;
    let next = format!("CONSUMER.MSG.NEXT.{}.{}", queue.names.stream, Names::CONSUMER);
    let request = json!({ "batch": at_most, "no_wait": true, "max_bytes": bytes_max }).to_string();
    let messages = jetstream.answers(next, request.into(), at_most).await?;
    let mut taken = Vec::with_capacity(messages.len());
    let mut left = 0;
    for message in messages {
        let Some(reply) = message.reply.clone() else { continue };
        let given = jetstream.given(message);
        let Ok(info) = given.info() else { continue };
        let receipt = Receipt {
            place: signed(info.stream_sequence),
            lease: signed(info.consumer_sequence),
        };
        let delivered = u32::try_from(info.delivered).unwrap_or(u32::MAX);
        left = info.pending;
        let found = Found::new(given.headers.as_ref(), given.payload.clone(), info.stream_sequence);
        let attempts = found.attempts.saturating_add(delivered);
        queue.leases.add(receipt, reply, found.message.clone(), attempts, lease);
        taken.push(Leased::new(receipt, found.message, attempts));
    }
    queue.left.store(left, Ordering::Release);
    Ok(taken)
}

/// Ends leases. Expired ones are ignored.
pub(super) async fn settle(jetstream: &JetStream, queue: &Queue, settled: &[Settled]) -> Result<(), Failed> {
    let live: Vec<(Receipt, Lease, Verdict)> = settled
        .iter()
        .filter_map(|one| Some((one.receipt, queue.leases.of(one.receipt)?, one.verdict)))
        .collect();
    // Stored again before the old one is acknowledged, so that a message may be duplicated, but is never lost.
    for (receipt, lease, verdict) in &live {
        if *verdict == Verdict::Return {
            let parcel = Parcel::new(&lease.message, lease.attempts.saturating_sub(1));
            let id = format!("{}.{}.{}", lease.message.id, receipt.place, receipt.lease);
            jetstream
                .publish(&queue.names.subject, parcel.once(&id).into_request())
                .await?;
        }
    }
    let answers = live.iter().map(|(_, lease, verdict)| {
        let answer = match verdict {
            Verdict::Remove | Verdict::Return => jetstream::AckKind::Ack,
            Verdict::Retry(delay) => jetstream::AckKind::Nak((!delay.is_zero()).then_some(*delay)),
        };
        (lease.reply.clone(), answer.into())
    });
    answer(jetstream, answers.collect()).await?;
    live.iter().for_each(|(receipt, ..)| queue.leases.end(*receipt));
    Ok(())
}

/// Renews leases that have not expired.
pub(super) async fn renew(jetstream: &JetStream, queue: &Queue, receipts: &[Receipt]) -> Result<(), Failed> {
    let lease = Duration::from_millis(queue.lease_ms.load(Ordering::Acquire));
    let live: Vec<_> = receipts
        .iter()
        .filter_map(|receipt| Some((*receipt, queue.leases.of(*receipt)?)))
        .collect();
    let answers = live
        .iter()
        .map(|(_, lease)| (lease.reply.clone(), jetstream::AckKind::Progress.into()));
    answer(jetstream, answers.collect()).await?;
    if !lease.is_zero() {
        live.iter().for_each(|(receipt, _)| queue.leases.renew(*receipt, lease));
    }
    Ok(())
}

/// Sends answers for messages. The server handles answers in order, so a confirmation of the last one covers all.
async fn answer(jetstream: &JetStream, mut answers: Vec<(async_nats::Subject, Bytes)>) -> Result<(), Failed> {
    let Some((last, payload)) = answers.pop() else {
        return Ok(());
    };
    for (subject, payload) in answers {
        jetstream.tell(subject.to_string(), payload).await?;
    }
    jetstream
        .request(last.as_str(), Request::new().payload(payload))
        .await
        .map(drop)
}
