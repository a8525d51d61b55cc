//! What belongs to a worker thread and outlives its workers.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use isopod_ext::io::{Io, IoOptions};

use crate::{Watchdog, WorkerTemplate};

/// The worker thread's own things: its I/O runtime, with the clients bound to it, and the watchdog it shares with the
/// pool's other threads.
///
/// `!Send`: it is made on the thread it belongs to, and stays there.
pub struct WorkerThread {
    pub(crate) io: Rc<Io>,
    pub(crate) watchdog: Arc<Watchdog>,
    pub(crate) template: WorkerTemplate,
}

impl WorkerThread {
    /// The thread's I/O runtime, through which the clients bound to it are reached: see [`Io::client`].
    pub fn io(&self) -> &Io {
        &self.io
    }

    /// Starts the I/O runtime of the calling thread.
    ///
    /// # Errors
    /// When the operating system refuses a thread or a reactor.
    pub fn start(io: IoOptions, watchdog: Arc<Watchdog>) -> io::Result<Self> {
        Ok(Self {
            io: Rc::new(Io::start(io)?),
            watchdog,
            template: WorkerTemplate::default(),
        })
    }

    /// Makes its workers from this template.
    #[must_use]
    pub fn with_template(mut self, template: WorkerTemplate) -> Self {
        self.template = template;
        self
    }
}
