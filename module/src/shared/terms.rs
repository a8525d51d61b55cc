//! The terms of shared memory, which the host sends to the module.

use serde::{Deserialize, Serialize};

/// Shared memory that a host offers to a module's process. In each direction it has slots, each for one body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharedTerms {
    /// The library that it is made with, and its version.
    pub library: String,
    /// The folder with the library's files.
    pub folder: String,
    /// The name of this memory, with which the names of its objects begin.
    pub name: String,
    /// Size of the smallest body that goes through it, in bytes.
    pub body_bytes_min: u32,
    /// Size of the largest body that goes through it, in bytes: the size of a slot.
    pub body_bytes_max: u32,
    /// The number of slots in each direction.
    pub slots: u32,
}
