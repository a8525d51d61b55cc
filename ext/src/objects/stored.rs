//! The storage of an object, as it is given to the object's worker.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::id::ObjectId;
use crate::storage::StorageFuture;

/// A function that is called once, when an object has ended, so that its storage may be opened elsewhere.
pub struct OnEnd(Option<Box<dyn FnOnce() + Send>>);

impl OnEnd {
    /// Creates a guard that calls `then` when it is dropped.
    pub fn new(then: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(then)))
    }
}

impl Drop for OnEnd {
    fn drop(&mut self) {
        if let Some(then) = self.0.take() {
            then();
        }
    }
}

impl fmt::Debug for OnEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnEnd(…)")
    }
}

/// Stores the times of alarms outside their objects, so that due ones are found without opening each object.
pub trait AlarmStore: Send + Sync + 'static {
    /// Stores the time of an object's alarm, in milliseconds since the Unix epoch, or removes it. Resolves when the change
    /// is on disk. Calls take effect in order.
    fn set(&self, id: &ObjectId, at_ms: Option<i64>) -> StorageFuture<()>;

    /// Stores the time of an object's alarm, unless an earlier one is stored. Returns whether it was stored.
    fn bring_forward(&self, id: &ObjectId, at_ms: i64) -> StorageFuture<bool>;
}

/// The storage of an object, which is passed to its worker.
pub struct StoredObject {
    /// The folder of its file.
    pub folder: PathBuf,
    /// Its id.
    pub id: ObjectId,
    /// Maximum size of the file, in bytes.
    pub bytes_max: u64,
    /// The alarms of its class.
    pub alarms: Arc<dyn AlarmStore>,
    /// Called when the storage is closed.
    pub on_end: OnEnd,
}
