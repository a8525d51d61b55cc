//! The place where a worker runs.

use serde::{Deserialize, Serialize};

/// The place where a worker runs, which determines what its crash costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Isolation {
    /// On a thread of the pool's process. The default.
    #[default]
    Thread,
    /// In a process of its own, a *cell*. Code that cannot be interrupted, takes all memory or crashes V8 costs the cell alone.
    Process,
    /// In a cell that reaches no files, no network, no program and no other process, whatever its code does with V8. Its `fetch`,
    /// sockets and databases are those of the pool's process.
    Sandbox,
}

impl Isolation {
    /// Returns whether the worker has a process of its own.
    #[must_use]
    pub const fn is_cell(self) -> bool {
        matches!(self, Self::Process | Self::Sandbox)
    }
}
