//! The bytes that a value may count while it is read.
//!
//! A value is a graph in the script and a tree in Rust: ten lists of ten lists that are one and the same take a few hundred
//! bytes of heap, and as a tree whatever there is. So what is read is counted while it is read.

use std::cell::Cell;

use serde::de::Error as _;
use serde::de::value::Error;

use crate::quotas::QuotaError;

/// The size that a value is charged beside its text: a number, a flag, a place in a list.
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
