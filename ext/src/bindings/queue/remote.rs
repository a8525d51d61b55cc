//! Queues of workers in other processes, whose operations are executed in the pool's process.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{
    ContentType, Outbound, QueueBody, QueueMessage, QueueMetrics, QueueStore, Receipt, Settled, Take, Taken,
    check_messages,
};
use crate::bindings::{Asks, Parcel, ParcelFuture, pack, unpack};
use crate::storage::{StorageError, StorageFuture, WrittenStorageError};

/// An operation of a producer.
#[derive(Serialize, Deserialize)]
enum Request {
    Send(Vec<WrittenMessage>),
    Metrics,
}

#[derive(Serialize, Deserialize)]
struct WrittenMessage {
    id: String,
    sent_ms: u64,
    content_type: String,
    bytes: ByteBuf,
    delay: Duration,
}

/// A queue in another process, for producers.
pub(crate) struct RemoteQueue(pub(crate) Asks);

impl RemoteQueue {
    fn ask(&self, request: &Request) -> StorageFuture<QueueMetrics> {
        let request = pack(request).map(|bytes| self.0.ask(Parcel::new(bytes)));
        Box::pin(async move {
            let answer = match request {
                Ok(answer) => answer.await,
                Err(error) => Err(error),
            };
            let answer = answer.and_then(|answer| unpack::<Result<QueueMetrics, WrittenStorageError>>(&answer.bytes));
            match answer {
                Ok(answer) => answer.map_err(StorageError::from),
                Err(error) => Err(StorageError::Failed(error)),
            }
        })
    }
}

/// Refuses a consumer's operation, because consumers are in the pool's process.
fn not_here<T: Send + 'static>() -> StorageFuture<T> {
    let error = StorageError::Failed("messages are taken in the pool's process".to_owned());
    Box::pin(std::future::ready(Err(error)))
}

impl QueueStore for RemoteQueue {
    fn send(&self, messages: Vec<Outbound>) -> StorageFuture<QueueMetrics> {
        let messages = messages.into_iter().map(|outbound| WrittenMessage {
            id: outbound.message.id,
            sent_ms: outbound.message.sent_ms,
            content_type: outbound.message.body.content_type.as_str().to_owned(),
            bytes: ByteBuf::from(Vec::from(outbound.message.body.bytes)),
            delay: outbound.delay,
        });
        self.ask(&Request::Send(messages.collect()))
    }

    fn take(&self, _wanted: Take) -> StorageFuture<Taken> {
        not_here()
    }

    fn settle(&self, _settled: Vec<Settled>) -> StorageFuture<()> {
        not_here()
    }

    fn renew(&self, _receipts: Vec<Receipt>, _lease: Duration) -> StorageFuture<()> {
        not_here()
    }

    fn metrics(&self) -> StorageFuture<QueueMetrics> {
        self.ask(&Request::Metrics)
    }

    fn changed(&self, _seen: u64) -> StorageFuture<u64> {
        not_here()
    }
}

/// Executes an operation for a worker in another process.
pub(super) fn serve(store: Arc<dyn QueueStore>, request: Parcel) -> ParcelFuture {
    Box::pin(async move {
        let answer = match unpack::<Request>(&request.bytes)? {
            Request::Send(messages) => {
                let messages = messages.into_iter().map(|written| {
                    let content_type = ContentType::named(&written.content_type);
                    let content_type = content_type.ok_or("a message has a form that is not known")?;
                    let body = QueueBody::new(content_type, written.bytes.into_vec());
                    Ok((QueueMessage::again(written.id, written.sent_ms, body), written.delay))
                });
                let messages = messages.collect::<Result<Vec<_>, String>>()?;
                // The platform's rules are checked here, because the other process is not trusted.
                let all: Vec<_> = messages.iter().map(|(message, _)| message.clone()).collect();
                check_messages(&all).map_err(|fault| fault.to_string())?;
                let outbound = messages
                    .into_iter()
                    .map(|(message, delay)| Outbound::new(message).delay(delay));
                store.send(outbound.collect()).await
            }
            Request::Metrics => store.metrics().await,
        };
        pack(&answer.map_err(WrittenStorageError::from)).map(Parcel::new)
    })
}
