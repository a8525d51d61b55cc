//! The interface of a queue's storage.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::storage::{StorageError, StorageFuture, now_ms};

/// The storage of a queue.
///
/// [`SqliteQueue`](super::SqliteQueue) stores it in a file, `PostgresQueue` and `NatsQueue` on a server. A program may
/// supply its own, for both producers and consumers: `QueueBinding` sends to it, and a consumer of the host takes from it.
///
/// A message is in the queue until a consumer [settles](Self::settle) it. A taken message is *leased*: no other consumer
/// gets it until the lease expires. Each message is delivered at least once.
///
/// A call starts the operation and must not block; its future may be polled on any runtime. A message that `send` has
/// acknowledged must be returned by a later `take`, even after the process was killed.
pub trait QueueStore: Send + Sync + 'static {
    /// The files that the store owns, which no script may read as modules. Default: none.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Adds messages, all or none, and returns the backlog with them.
    fn send(&self, messages: Vec<Outbound>) -> StorageFuture<QueueMetrics>;

    /// Takes due messages, roughly in the order in which they became due.
    fn take(&self, wanted: Take) -> StorageFuture<Taken>;

    /// Ends the leases of messages. A receipt whose lease has expired or was replaced has no effect.
    fn settle(&self, settled: Vec<Settled>) -> StorageFuture<()>;

    /// Renews leases for this time from now. A receipt whose lease was replaced has no effect.
    fn renew(&self, receipts: Vec<Receipt>, lease: Duration) -> StorageFuture<()>;

    /// Returns the backlog.
    fn metrics(&self) -> StorageFuture<QueueMetrics>;

    /// Resolves with a number other than `seen` once there are messages that an earlier `take` may have missed. Messages of
    /// other processes may be ignored, because consumers also poll.
    fn changed(&self, seen: u64) -> StorageFuture<u64>;

    /// Returns up to `count` first messages in the order of their delivery, without taking them. Default: an unsupported error.
    fn peek(&self, _count: usize) -> StorageFuture<Vec<Peeked>> {
        Box::pin(async {
            Err(StorageError::Failed(
                "its storage shows no messages that are not taken".to_owned(),
            ))
        })
    }

    /// Removes all messages, and returns their number. Messages that are being handled are not redelivered. Default: an
    /// unsupported error.
    fn purge(&self) -> StorageFuture<u64> {
        Box::pin(async {
            Err(StorageError::Failed(
                "its storage removes no messages that are not taken".to_owned(),
            ))
        })
    }
}

impl<S: QueueStore + ?Sized> QueueStore for Arc<S> {
    fn files(&self) -> Vec<PathBuf> {
        (**self).files()
    }

    fn send(&self, messages: Vec<Outbound>) -> StorageFuture<QueueMetrics> {
        (**self).send(messages)
    }

    fn take(&self, wanted: Take) -> StorageFuture<Taken> {
        (**self).take(wanted)
    }

    fn settle(&self, settled: Vec<Settled>) -> StorageFuture<()> {
        (**self).settle(settled)
    }

    fn renew(&self, receipts: Vec<Receipt>, lease: Duration) -> StorageFuture<()> {
        (**self).renew(receipts, lease)
    }

    fn metrics(&self) -> StorageFuture<QueueMetrics> {
        (**self).metrics()
    }

    fn changed(&self, seen: u64) -> StorageFuture<u64> {
        (**self).changed(seen)
    }

    fn peek(&self, count: usize) -> StorageFuture<Vec<Peeked>> {
        (**self).peek(count)
    }

    fn purge(&self) -> StorageFuture<u64> {
        (**self).purge()
    }
}

/// The content type of a message's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentType {
    /// A string, as UTF-8.
    Text,
    /// A value as JSON.
    Json,
    /// Bytes.
    Bytes,
    /// A value in V8's serialization.
    V8,
}

impl ContentType {
    /// All content types.
    pub const ALL: [Self; 4] = [Self::Text, Self::Json, Self::Bytes, Self::V8];

    /// Returns the name that scripts use: `text`, `json`, `bytes`, `v8`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Bytes => "bytes",
            Self::V8 => "v8",
        }
    }

    /// Returns the content type with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.as_str() == name)
    }
}

/// The body of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueBody {
    /// Its content type.
    pub content_type: ContentType,
    /// Its bytes, which are UTF-8 for text and JSON.
    pub bytes: Bytes,
}

impl QueueBody {
    /// Creates a body of this content type. Text and JSON that are not UTF-8 are repaired on delivery.
    pub fn new(content_type: ContentType, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { content_type, bytes }
    }

    /// Creates a text body.
    pub fn text(text: impl Into<String>) -> Self {
        Self::new(ContentType::Text, text.into())
    }

    /// Creates a JSON body.
    #[must_use]
    pub fn json(value: &serde_json::Value) -> Self {
        Self::new(ContentType::Json, value.to_string())
    }

    /// Bytes.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self::new(ContentType::Bytes, bytes)
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueMessage {
    /// Its id: 32 hexadecimal digits.
    pub id: String,
    /// The time when it was sent, in milliseconds since the Unix epoch.
    pub sent_ms: u64,
    /// The body.
    pub body: QueueBody,
}

impl QueueMessage {
    /// Creates a message with a random id that is sent now.
    #[must_use]
    pub fn new(body: QueueBody) -> Self {
        Self {
            id: format!("{:032x}", fastrand::u128(..)),
            sent_ms: now_ms(),
            body,
        }
    }

    /// Creates a message that was sent earlier.
    pub fn again(id: impl Into<String>, sent_ms: u64, body: QueueBody) -> Self {
        let id = id.into();
        Self { id, sent_ms, body }
    }
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outbound {
    /// The message.
    pub message: QueueMessage,
    /// The time until it is due. Default: zero.
    pub delay: Duration,
    /// True if it comes from another queue, and must not be stored twice. Default: false.
    pub is_moved: bool,
}

impl Outbound {
    /// Creates a message that is due at once.
    #[must_use]
    pub const fn new(message: QueueMessage) -> Self {
        Self {
            message,
            delay: Duration::ZERO,
            is_moved: false,
        }
    }
}

isopod_outcome::setters!(Outbound {
    delay: Duration,
    is_moved: bool,
});

/// The arguments of [`QueueStore::take`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Take {
    /// Minimum number, below which none are taken. Default: 1.
    pub at_least: usize,
    /// Maximum number. Default: 10.
    pub at_most: usize,
    /// Total length of their bodies at which no more are taken. Default: 4 MiB.
    pub bytes_max: usize,
    /// Duration of the lease. Default: 30 s.
    pub lease: Duration,
}

impl Default for Take {
    fn default() -> Self {
        Self {
            at_least: 1,
            at_most: 10,
            bytes_max: 4 << 20,
            lease: Duration::from_secs(30),
        }
    }
}

isopod_outcome::setters!(Take {
    at_least: usize,
    at_most: usize,
    bytes_max: usize,
    lease: Duration,
});

/// The result of [`QueueStore::take`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Taken {
    /// The messages, each leased.
    pub messages: Vec<Leased>,
    /// The number of due messages that were not taken, because they are fewer than the minimum.
    pub waiting: usize,
    /// The earliest time at which another message is due, in milliseconds since the Unix epoch.
    pub next_ms: Option<u64>,
    /// The backlog, including leased messages.
    pub metrics: QueueMetrics,
}

/// A taken message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leased {
    /// Identifies the lease.
    pub receipt: Receipt,
    /// The message.
    pub message: QueueMessage,
    /// The number of times that it was taken, this one included.
    pub attempts: u32,
}

impl Leased {
    /// Creates a message with this number of attempts.
    #[must_use]
    pub const fn new(receipt: Receipt, message: QueueMessage, attempts: u32) -> Self {
        Self {
            receipt,
            message,
            attempts,
        }
    }
}

/// A message that was read without taking it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peeked {
    /// The message.
    pub message: QueueMessage,
    /// The number of times that it was taken.
    pub attempts: u32,
    /// The time from which it is due, in milliseconds since the Unix epoch, if it was delayed or taken.
    pub due_ms: Option<u64>,
    /// True if a consumer has leased it.
    pub is_leased: bool,
}

impl Peeked {
    /// Creates a message that was never taken, and is due.
    #[must_use]
    pub const fn new(message: QueueMessage) -> Self {
        Self {
            message,
            attempts: 0,
            due_ms: None,
            is_leased: false,
        }
    }
}

isopod_outcome::setters!(Peeked {
    attempts: u32,
    due_ms: impl Into<Option<u64>>,
    is_leased: bool,
});

/// A message's place in its queue, and its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "a store gives these two numbers their meaning")]
pub struct Receipt {
    /// The place.
    pub place: i64,
    /// The lease.
    pub lease: i64,
}

/// The end of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a pair")]
pub struct Settled {
    /// The message.
    pub receipt: Receipt,
    /// The verdict on it.
    pub verdict: Verdict,
}

/// The verdict on a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It is removed.
    Remove,
    /// It is due again after this time.
    Retry(Duration),
    /// It is due again at once, as if it had not been taken.
    Return,
}

/// The backlog of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct QueueMetrics {
    /// The number of messages, including delayed and leased ones.
    pub count: u64,
    /// The total length of their bodies.
    pub bytes: u64,
    /// The time when the oldest of them was sent, in milliseconds since the Unix epoch.
    pub oldest_ms: Option<u64>,
}

isopod_outcome::setters!(QueueMetrics {
    count: u64,
    bytes: u64,
    oldest_ms: impl Into<Option<u64>>,
});
