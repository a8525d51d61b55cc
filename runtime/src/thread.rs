//! State of a worker thread that outlives its workers.

use std::rc::Rc;
use std::sync::Arc;

use isopod_ext::io::{Io, IoOptions};

use crate::{Watchdog, WorkerTemplate};

/// A worker thread's I/O runtime with the clients bound to it, and the watchdog that all threads of the pool share.
///
/// `!Send`: it stays on the thread that created it.
pub struct WorkerThread {
    pub(crate) io: Rc<Io>,
    pub(crate) watchdog: Arc<Watchdog>,
    pub(crate) template: WorkerTemplate,
}

impl WorkerThread {
    /// The thread's I/O runtime, which owns its clients: see [`Io::client`].
    pub fn io(&self) -> &Io {
        &self.io
    }

    /// Creates the state of the calling thread. Its I/O runtime starts at its first use.
    pub fn new(io: IoOptions, watchdog: Arc<Watchdog>) -> Self {
        Self {
            io: Rc::new(Io::new(io)),
            watchdog,
            template: WorkerTemplate::default(),
        }
    }

    /// Sets the template of the thread's workers.
    #[must_use]
    pub fn with_template(mut self, template: WorkerTemplate) -> Self {
        self.template = template;
        self
    }
}
