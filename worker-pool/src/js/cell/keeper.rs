//! The thread that looks after the cells of a pool.

use isopod_runtime::network::Broker;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

/// The thread that starts the cells and looks after them. A cell asks the system to be killed when the thread that started it
/// ends, so that none outlives its pool, whatever becomes of the pool's process.
#[derive(Clone)]
pub(super) struct Keeper {
    pub(super) handle: Handle,
    /// Connects for the workers in sandboxes.
    pub(super) broker: Broker,
    /// Told when the pool has ended.
    pub(super) ends: watch::Receiver<bool>,
    /// Held by each process that lives: the thread ends after them.
    pub(super) lives: mpsc::Sender<()>,
}
