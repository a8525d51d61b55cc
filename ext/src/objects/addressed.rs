//! Messages between the process of a pool and that of a worker, which calls an object or has one.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// A request or a call, and the object that it is for.
#[derive(Serialize, Deserialize)]
pub(super) struct Addressed {
    /// The id of the object.
    pub(super) id: String,
    /// The name that it was derived from.
    pub(super) name: Option<String>,
    /// The request or the call.
    pub(super) bytes: ByteBuf,
}

/// The storage of an object on its way to its worker.
#[derive(Serialize, Deserialize)]
pub(super) struct WrittenObject {
    pub(super) folder: PathBuf,
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) bytes_max: u64,
}

/// A question of an object's worker to the alarms.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum AlarmAsked {
    Set(Option<i64>),
    BringForward(i64),
}
