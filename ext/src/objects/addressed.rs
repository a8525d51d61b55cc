//! Messages between a pool's process and the process of a worker that calls or hosts an object.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// A request or a call, and its object.
#[derive(Serialize, Deserialize)]
pub(super) struct Addressed {
    /// The id of the object.
    pub(super) id: String,
    /// The name that it was derived from.
    pub(super) name: Option<String>,
    /// The request or the call.
    pub(super) bytes: ByteBuf,
}

/// The storage of an object, sent to its worker.
#[derive(Serialize, Deserialize)]
pub(super) struct WrittenObject {
    pub(super) folder: PathBuf,
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) bytes_max: u64,
}

/// A request of an object's worker to the alarm store.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) enum AlarmCall {
    Set(Option<i64>),
    BringForward(i64),
}
