//! The messages of a call: a value with its parts.

mod stub;

use std::fmt;

use futures::future::BoxFuture;
use isopod_outcome::Failure;

use self::stub::Owner;
use crate::bindings::Held;
use crate::event::Body;
use crate::ledger::Charge;

pub(crate) use self::stub::{Away, Stub, StubError, StubFuture};

/// The arguments of a call, or its result: a value of the structured clone algorithm, with the stubs and streams in it.
///
/// Its bytes count as memory of the worker that created it until the other side has read it.
#[derive(Default)]
pub struct RpcMessage {
    pub(crate) bytes: Vec<u8>,
    pub(crate) parts: Vec<Part>,
    /// Its bytes in the memory of the worker that made it.
    pub(super) charge: Option<Charge>,
    /// Its room in the memory of this process, if it came from another one.
    pub(crate) held: Held,
}

/// A part of a message that is more than data.
pub(crate) enum Part {
    Stub(Stub),
    Stream(Body),
}

impl RpcMessage {
    /// Returns a message of another process.
    pub(crate) fn new(bytes: Vec<u8>, parts: Vec<Part>) -> Self {
        Self {
            bytes,
            parts,
            ..Self::default()
        }
    }

    /// Returns the size of its data in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns true if it has no data. No value is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns true if it contains stubs or streams, which keep their event open.
    #[must_use]
    pub fn has_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Sets the future that resolves with the reason if the worker of the stubs is lost. Stubs that are reached through them
    /// inherit it. It is dropped with the last of them.
    #[must_use]
    pub fn owned_by(self, lost: BoxFuture<'static, Failure>) -> Self {
        self.owned(&Owner::new(lost))
    }

    fn owned(mut self, owner: &Owner) -> Self {
        for part in &mut self.parts {
            if let Part::Stub(stub) = part {
                stub.owner.get_or_insert_with(|| owner.clone());
            }
        }
        self
    }
}

impl fmt::Debug for RpcMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcMessage")
            .field("bytes", &self.bytes.len())
            .field("parts", &self.parts.len())
            .finish()
    }
}
