//! Stubs and parts of messages among the resources of a worker.

use std::cell::{Cell, RefCell};

use deno_core::Resource;

use super::message::{Part, Stub};
use crate::event::Body;
use crate::values::Outgoing;

/// A stub among the resources of a worker.
pub(super) struct StubResource(pub(super) Stub);

impl Resource for StubResource {}

/// The parts of a message that have arrived.
pub(super) struct Parcel(pub(super) RefCell<Vec<Part>>);

impl Resource for Parcel {}

/// A stream of the script for a message, and the task that moves it to its reader.
pub(super) struct OutgoingStream {
    pub(super) body: Cell<Option<Body>>,
    pub(super) outgoing: Cell<Option<Outgoing>>,
}

impl Resource for OutgoingStream {}
