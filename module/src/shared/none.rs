//! Programs without shared memory: types without values, so that the code around them is the same.

use std::ops::{Deref, DerefMut};

use bytes::Bytes;

use super::error::SharedError;
use super::terms::SharedTerms;

/// One side's access to shared memory. Does not exist in this program.
#[derive(Debug)]
pub enum End {}

/// A slot that is being written. Does not exist in this program.
#[derive(Debug)]
pub enum Loan {}

impl End {
    /// Opens the memory that a host offers.
    ///
    /// # Errors
    /// Always.
    pub const fn open(_: &SharedTerms) -> Result<Self, SharedError> {
        Err(SharedError::Absent)
    }

    /// Returns the host's offer.
    #[must_use]
    pub const fn terms(&self) -> &SharedTerms {
        match *self {}
    }

    /// Connects to the other side.
    ///
    /// # Errors
    /// None.
    pub const fn connect(&self) -> Result<(), SharedError> {
        match *self {}
    }

    /// Returns whether bodies of this length go through the memory.
    #[must_use]
    pub const fn takes(&self, _: usize) -> bool {
        match *self {}
    }

    /// Copies a body into a slot.
    #[must_use]
    pub const fn loan(&self, _: &[u8]) -> Option<Loan> {
        match *self {}
    }

    /// Takes an empty slot.
    #[must_use]
    pub const fn slot(&self, _: usize) -> Option<Loan> {
        match *self {}
    }

    /// Receives the next body, in shared memory if possible.
    ///
    /// # Errors
    /// None.
    pub const fn receive(&self, _: usize) -> Result<Bytes, SharedError> {
        match *self {}
    }

    /// Receives a copy of the next body.
    ///
    /// # Errors
    /// None.
    pub const fn receive_copy(&self, _: usize) -> Result<Bytes, SharedError> {
        match *self {}
    }
}

impl Loan {
    /// Sends the slot to the other side.
    #[must_use]
    pub const fn send(self) -> bool {
        match self {}
    }
}

impl Deref for Loan {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match *self {}
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut [u8] {
        match *self {}
    }
}
