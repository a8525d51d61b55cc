//! The events of an object besides calls: its start, its alarm, and its eviction.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::addressed::{AlarmCall, WrittenObject};
use super::id::ObjectId;
use super::namespace::ObjectClass;
use crate::bindings::{Crossed, Lent, Parcel, ParcelFuture, pack, unpack};
use crate::event::Attachment;
use crate::handlers::{HandlerInput, Input};
use crate::storage::{StorageFuture, WrittenStorageError};

/// The script with the JavaScript rows of these events.
const SCRIPT: Option<&str> = Some("ext:isopod_objects/objects.js");

/// The error class of an event whose object had ended before the event reached its worker. The event was not begun.
pub const OBJECT_GONE: &str = "IsopodObjectGone";

/// Returns the entry point of an object in its worker, a name that no entry point of a script can have.
#[must_use]
pub fn entry_point(class: &ObjectClass, id: &ObjectId) -> String {
    format!("\0{}/{id}", class.class)
}

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

/// The start of an object: a standing event that is answered at once and lasts as long as the object.
pub struct ObjectStart {
    class: Arc<ObjectClass>,
    stored: StoredObject,
}

impl ObjectStart {
    /// Creates the start of an object of this class.
    #[must_use]
    pub const fn new(class: Arc<ObjectClass>, stored: StoredObject) -> Self {
        Self { class, stored }
    }
}

impl HandlerInput for ObjectStart {
    const HANDLER: &'static str = "objectStart";
    const SCRIPT: Option<&'static str> = SCRIPT;

    fn into_input(self) -> Input {
        let Self { class, stored } = self;
        let id = &stored.id;
        let given = (
            entry_point(&class, id),
            class.class.to_string(),
            id.as_hex().to_owned(),
            id.name().map(str::to_owned),
        );
        let mut input = Input::from_arguments(given);
        input.attachment = Some(Box::new(stored));
        input.cross = Some(cross);
        input
    }
}

/// Prepares the storage of an object for a worker in another process, which opens the file. The alarms and the end function
/// stay here; the latter is called when that process has closed the file or ended.
fn cross(attachment: Attachment) -> Option<Crossed> {
    let StoredObject {
        folder,
        id,
        bytes_max,
        alarms,
        on_end,
    } = *attachment.downcast::<StoredObject>().ok()?;
    let written = WrittenObject {
        folder,
        id: id.as_hex().to_owned(),
        name: id.name().map(ToOwned::to_owned),
        bytes_max,
    };
    Some(Crossed {
        bytes: pack(&written).ok()?,
        lent: Arc::new(Home {
            id,
            alarms,
            _on_end: Mutex::new(on_end),
        }),
    })
}

/// The part of an object that stays in the pool's process.
struct Home {
    id: ObjectId,
    alarms: Arc<dyn AlarmStore>,
    /// Never locked, only dropped.
    _on_end: Mutex<OnEnd>,
}

impl Lent for Home {
    fn call(&self, asked: Parcel, _bytes_max: usize) -> ParcelFuture {
        // Started at once, because calls take effect in order.
        let done: Result<StorageFuture<bool>, String> = unpack(&asked.bytes).map(|asked| match asked {
            AlarmCall::Set(at_ms) => {
                let set = self.alarms.set(&self.id, at_ms);
                Box::pin(async move { set.await.map(|()| true) }) as StorageFuture<bool>
            }
            AlarmCall::BringForward(at_ms) => self.alarms.bring_forward(&self.id, at_ms),
        });
        Box::pin(async move { pack(&done?.await.map_err(WrittenStorageError::from)).map(Parcel::new) })
    }
}

/// Asks an object to end, unless it is busy. Answered with `true` if it has ended.
pub struct ObjectEviction {
    /// Its entry point.
    pub entry_point: String,
}

impl HandlerInput for ObjectEviction {
    const HANDLER: &'static str = "objectEvict";
    const SCRIPT: Option<&'static str> = SCRIPT;

    fn into_input(self) -> Input {
        Input::from_arguments((self.entry_point,))
    }
}

/// The alarm of an object. Answered with an [`AlarmResult`].
pub struct ObjectAlarm {
    /// Its entry point.
    pub entry_point: String,
    /// The number of attempts that have failed.
    pub retry_count: u32,
    /// True for the last attempt.
    pub is_last: bool,
}

impl HandlerInput for ObjectAlarm {
    const HANDLER: &'static str = "objectAlarm";
    const SCRIPT: Option<&'static str> = Some("ext:isopod_objects/alarm.js");

    fn into_input(self) -> Input {
        Input::from_arguments((self.entry_point, self.retry_count, self.is_last))
    }
}

/// The result of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AlarmResult {
    /// The handler has succeeded, or the alarm was not due.
    Done,
    /// The handler has failed, and the alarm is still due.
    Failed,
}
