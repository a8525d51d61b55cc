//! A limit on the size of a value while it is read.
//!
//! A value is a graph in the script and a tree in Rust. Nested lists that refer to the same list repeatedly take a few hundred bytes of
//! heap, and any amount of memory as a tree. The size is therefore counted while a value is read.

use std::cell::Cell;

use serde::de::Error as _;
use serde::de::value::Error;

use crate::quotas::QuotaError;

/// The size charged for a value besides its text.
pub(super) const VALUE_BYTES: usize = 8;

/// The bytes that may still be read.
pub(super) struct Budget {
    left: Cell<usize>,
    max: usize,
}

impl Budget {
    pub(super) fn new(max: usize) -> Self {
        Self {
            left: Cell::new(max),
            max,
        }
    }

    pub(super) fn take(&self, bytes: usize) -> Result<(), Error> {
        let left = self.left.get().checked_sub(bytes);
        self.left
            .set(left.ok_or_else(|| Error::custom(QuotaError::Message(self.max)))?);
        Ok(())
    }
}
