//! The events of an object besides calls: its start, its alarm, and its eviction.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::crossing::cross;
use super::id::ObjectId;
use super::namespace::ObjectClass;
use super::stored::StoredObject;
use crate::handlers::{HandlerInput, Input};

/// The script with the JavaScript rows of these events.
const SCRIPT: Option<&str> = Some("ext:isopod_objects/objects.js");

/// The error class of an event whose object had ended before the event reached its worker. The event was not begun.
pub const OBJECT_GONE: &str = "IsopodObjectGone";

/// Returns the entry point of an object in its worker, a name that no entry point of a script can have.
#[must_use]
pub fn entry_point(class: &ObjectClass, id: &ObjectId) -> String {
    format!("\0{}/{id}", class.class)
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
