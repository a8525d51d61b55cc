//! The place where a worker runs.

use serde::{Deserialize, Serialize};

/// The place where a worker runs, which determines the extent of a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Isolation {
    /// On a thread of the pool's process. The default.
    #[default]
    Thread,
    /// In a process of its own, a *cell*. Code that cannot be interrupted, takes all memory or crashes V8 ends only the cell.
    Process,
    /// In a cell without access to files, the network, programs and other processes, even if its code breaks out of V8. Its
    /// `fetch`, sockets and databases are those of the pool's process.
    Sandbox,
}

impl Isolation {
    /// Returns whether the worker has a process of its own.
    #[must_use]
    pub const fn is_cell(self) -> bool {
        matches!(self, Self::Process | Self::Sandbox)
    }
}
