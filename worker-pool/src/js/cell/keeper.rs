//! The thread that supervises the cells of a pool.

use isopod_runtime::network::Broker;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

/// The thread that starts and supervises cells. A cell has the kernel kill it when the thread that started it ends, so no cell
/// outlives its pool, however the pool's process ends.
#[derive(Clone)]
pub(super) struct Keeper {
    pub(super) handle: Handle,
    /// Opens connections for workers in sandboxes.
    pub(super) broker: Broker,
    /// True once the pool has ended.
    pub(super) ends: watch::Receiver<bool>,
    /// Held by each live process, so that the thread ends after all of them.
    pub(super) lives: mpsc::Sender<()>,
}
