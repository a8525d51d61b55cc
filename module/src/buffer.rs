//! Buffers that results are written into.

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::shared::Loan;

/// Bytes to be written and then emitted as a result by [`TaskContext::emit_buffer`](crate::TaskContext::emit_buffer). They are in
/// the memory that the module shares with its host, if there is any with a free slot and the length fits one: the result
/// then reaches the host without a copy. Otherwise they are in the process's own memory.
///
/// Dropping a buffer discards it.
pub struct Buffer(Memory);

pub(crate) enum Memory {
    Own(Vec<u8>),
    Shared(Loan),
}

impl Buffer {
    pub(crate) fn new(length: usize, slot: Option<Loan>) -> Self {
        Self(match slot {
            Some(loan) => Memory::Shared(loan),
            None => Memory::Own(vec![0; length]),
        })
    }

    /// Returns whether it is in shared memory.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.0, Memory::Shared(_))
    }

    pub(crate) fn into_memory(self) -> Memory {
        self.0
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Memory::Own(bytes) => bytes,
            Memory::Shared(loan) => loan,
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Memory::Own(bytes) => bytes,
            Memory::Shared(loan) => loan,
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("len", &self.len())
            .field("is_shared", &self.is_shared())
            .finish()
    }
}
