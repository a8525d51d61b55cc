//! The record of past cron ticks, by which each tick runs in one of several processes.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sql")]
mod sqlite;

use std::sync::Arc;
use std::time::SystemTime;
#[cfg(feature = "sql")]
use std::time::{Duration, UNIX_EPOCH};

use super::StorageFuture;

#[cfg(feature = "postgres")]
pub use self::postgres::PostgresTicks;
#[cfg(feature = "sql")]
pub use self::sqlite::SqliteTicks;

/// A recorded time further in the future was written with a wrong clock.
#[cfg(feature = "sql")]
const SET_BACK_MAX: Duration = Duration::from_secs(3600);

/// A record of cron ticks.
///
/// `SqliteTicks` stores it in a file, for the processes of a machine, and `PostgresTicks` on a server. A program may supply
/// its own:
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::Mutex;
/// use std::time::SystemTime;
///
/// use isopod_ext::storage::StorageFuture;
/// use isopod_ext::storage::ticks::{Tick, TickStore};
///
/// /// Keeps the record in memory, for the schedulers of a process.
/// #[derive(Default)]
/// struct Memory(Mutex<HashMap<(String, String), SystemTime>>);
///
/// impl TickStore for Memory {
///     fn take(&self, tick: Tick) -> StorageFuture<bool> {
///         let mut last = self.0.lock().unwrap();
///         let last = last.entry((tick.worker, tick.cron)).or_insert(SystemTime::UNIX_EPOCH);
///         let is_ours = tick.time > *last;
///         *last = tick.time.max(*last);
///         Box::pin(async move { Ok(is_ours) })
///     }
/// }
///
/// let ticks = Memory::default();
/// let tick = Tick::new("mail", "0 * * * *", SystemTime::now());
/// assert!(futures::executor::block_on(ticks.take(tick.clone()))?);
/// assert!(!futures::executor::block_on(ticks.take(tick))?);
/// # Ok::<(), isopod_ext::storage::StorageError>(())
/// ```
///
/// A call starts the operation and must not block; its future may be polled on any runtime.
pub trait TickStore: Send + Sync + 'static {
    /// Claims a tick. Returns false if another process has claimed it, or a later tick of the same expression and worker. A
    /// claimed tick never runs again, even if this process ends before running it.
    fn take(&self, tick: Tick) -> StorageFuture<bool>;
}

impl<S: TickStore + ?Sized> TickStore for Arc<S> {
    fn take(&self, tick: Tick) -> StorageFuture<bool> {
        (**self).take(tick)
    }
}

/// A time at which a worker's `scheduled` handler runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tick {
    /// The name of the worker.
    pub worker: String,
    /// The cron expression.
    pub cron: String,
    /// The time, in whole seconds.
    pub time: SystemTime,
}

impl Tick {
    /// Creates the tick of a worker's expression at a time.
    pub fn new(worker: impl Into<String>, cron: impl Into<String>, time: SystemTime) -> Self {
        Self {
            worker: worker.into(),
            cron: cron.into(),
            time,
        }
    }

    /// Returns its time in seconds since the Unix epoch.
    #[cfg(feature = "sql")]
    fn seconds(&self) -> i64 {
        let since = self.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }
}

#[cfg(feature = "sql")]
fn set_back_max() -> i64 {
    i64::try_from(SET_BACK_MAX.as_secs()).unwrap_or(i64::MAX)
}
