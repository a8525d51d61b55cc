//! Common parts of storage bindings: errors, memory for values, SQLite files with their threads, PostgreSQL and NATS
//! servers, threads for other files, and runtimes for clients; and the record of cron ticks, which scripts do not see. Free
//! of V8.

#[cfg(any(feature = "nats", feature = "postgres", feature = "s3"))]
pub(crate) mod contact;
#[cfg(feature = "sql")]
pub(crate) mod files;
#[cfg(any(feature = "nats", feature = "postgres", feature = "s3"))]
pub(crate) mod hosted;
#[cfg(feature = "nats")]
pub(crate) mod nats;
#[cfg(feature = "sql")]
pub(crate) mod owner_thread;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "sql")]
pub(crate) mod sqlite;
pub mod ticks;
#[cfg(any(feature = "nats", feature = "postgres"))]
mod tries;
#[cfg(any(feature = "nats", feature = "postgres"))]
pub(crate) mod wake;

mod written;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::ledger::{Charge, MemoryLedger};
use crate::quotas::QuotaError;

#[cfg(feature = "nats")]
pub use self::nats::NatsServer;
#[cfg(feature = "postgres")]
pub use self::postgres::PostgresServer;
pub(crate) use self::written::WrittenStorageError;

/// The future of an operation on a store.
///
/// It is polled by the event loop of the calling worker, and dropped when the event ends. It must not depend on the Tokio
/// runtime that polls it.
pub type StorageFuture<T> = Pin<Box<dyn Future<Output = Result<T, StorageError>> + Send>>;

/// The reason why an operation of a store failed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageError {
    /// Too many operations wait. The same operation may succeed later.
    #[error("{0} operations are waiting already (`queue_len_max`)")]
    Overloaded(usize),
    /// There is no room for more data.
    #[error("its limit of {0} bytes is reached (`bytes_max`)")]
    Full(u64),
    /// The worker has no memory for the value.
    #[error(transparent)]
    Memory(#[from] QuotaError),
    /// The server does not answer. It may later.
    #[error("{0}")]
    Unreachable(String),
    /// The operation failed.
    #[error("{0}")]
    Failed(String),
}

/// Returns the current time in milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Converts a number to SQL's signed type, saturating.
#[cfg(any(feature = "nats", feature = "sql"))]
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The memory of a worker for values that are being read.
///
/// A store [reserves](Self::reserve) a value's size before it reads the value, so that a script cannot make the process
/// exceed the worker's limit.
#[derive(Clone, Debug)]
pub struct ReadRoom {
    ledger: MemoryLedger,
    bytes_max: usize,
    /// The bytes that were asked for in vain, if that is of interest.
    wanted: Option<Arc<AtomicUsize>>,
}

/// Memory reserved for a value.
#[derive(Debug)]
pub struct Reserved(Charge);

impl ReadRoom {
    /// Creates room for a number of bytes, for a program that reads a store itself.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self::of(MemoryLedger::default(), bytes_max)
    }

    pub(crate) fn of(ledger: MemoryLedger, bytes_max: usize) -> Self {
        Self {
            ledger,
            bytes_max,
            wanted: None,
        }
    }

    /// Creates room that tells how many bytes were asked for in vain.
    pub(crate) fn probe(bytes_max: usize) -> Self {
        Self {
            wanted: Some(Arc::default()),
            ..Self::new(bytes_max)
        }
    }

    /// The bytes of all values at the time when one of them found no room; 0 if there was room for all.
    pub(crate) fn wanted(&self) -> usize {
        self.wanted.as_ref().map_or(0, |wanted| wanted.load(Ordering::Relaxed))
    }

    /// Reserves memory for a value of this size.
    ///
    /// # Errors
    /// [`StorageError::Memory`] if there is not enough.
    pub fn reserve(&self, bytes: usize) -> Result<Reserved, StorageError> {
        // Charged before the check, because several threads may read for a worker.
        let charge = self.ledger.charge(bytes);
        let held = self.ledger.held();
        if held > self.bytes_max {
            if let Some(wanted) = &self.wanted {
                wanted.fetch_max(held, Ordering::Relaxed);
            }
            return Err(QuotaError::NativeBytes(self.bytes_max).into());
        }
        Ok(Reserved(charge))
    }
}

impl Reserved {
    /// Keeps the memory reserved until the last reference to the value is dropped.
    #[must_use]
    pub fn keep(self, value: Bytes) -> Bytes {
        self.0.attach(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_reserved_until_the_value_is_dropped() {
        let room = ReadRoom::new(10_000);
        let value = room.reserve(6_000).unwrap().keep(vec![0; 6_000].into());
        assert_eq!(
            room.reserve(6_000).unwrap_err(),
            StorageError::Memory(QuotaError::NativeBytes(10_000))
        );
        drop(value);
        assert!(room.reserve(6_000).is_ok());
    }
}
