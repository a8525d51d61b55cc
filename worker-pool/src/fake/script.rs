//! Scripts of the fake engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::sync::channel;

/// Boot behavior of a script's workers.
#[derive(Clone, Debug)]
pub enum Boot {
    /// Boots at once.
    Ready,
    /// Boots after this time.
    After(Duration),
    /// Fails with this message.
    Fails(&'static str),
    /// Fails this many times, then succeeds at once.
    FailsTimes(usize),
    /// Never completes.
    Hangs,
    /// Blocks its thread, also when canceled, until the sender at the other end sends or is dropped.
    Blocks(Arc<channel::Receiver<()>>),
    /// Panics.
    Panics,
}

/// A script, with counters that a test can read.
#[derive(Debug)]
pub struct FakeScript {
    pub(super) boot: Boot,
    pub(super) memory_bytes: usize,
    pub(super) stops_code: bool,
    pub(super) events_max: u64,
    pub(super) native_max: Duration,
    pub(super) drop_blocks: Option<channel::Receiver<()>>,
    pub(super) version: u64,
    pub(super) boots: AtomicUsize,
    pub(super) alive: Arc<AtomicUsize>,
    pub(super) leftovers: Arc<AtomicUsize>,
    pub(super) trims: AtomicUsize,
    pub(super) io_ends: AtomicUsize,
}

impl Default for FakeScript {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeScript {
    /// Creates a script that boots at once.
    #[must_use]
    pub fn new() -> Self {
        Self {
            boot: Boot::Ready,
            memory_bytes: 0,
            stops_code: false,
            events_max: u64::MAX,
            native_max: Duration::ZERO,
            drop_blocks: None,
            version: 0,
            boots: AtomicUsize::new(0),
            alive: Arc::default(),
            leftovers: Arc::default(),
            trims: AtomicUsize::new(0),
            io_ends: AtomicUsize::new(0),
        }
    }

    /// Sets the boot behavior.
    #[must_use]
    pub fn boot(mut self, boot: Boot) -> Self {
        self.boot = boot;
        self
    }

    /// Sets the memory that its workers report.
    #[must_use]
    pub const fn memory_bytes(mut self, memory_bytes: usize) -> Self {
        self.memory_bytes = memory_bytes;
        self
    }

    /// Makes the engine claim that its workers stop code at its deadline, although they do not.
    #[must_use]
    pub const fn stops_code(mut self) -> Self {
        self.stops_code = true;
        self
    }

    /// Sets the time that native code of its workers may take before it returns.
    #[must_use]
    pub const fn native_max(mut self, native_max: Duration) -> Self {
        self.native_max = native_max;
        self
    }

    /// Sets the maximum number of events of a worker.
    #[must_use]
    pub const fn events_max(mut self, events_max: u64) -> Self {
        self.events_max = events_max;
        self
    }

    /// Makes the drop of its workers block until the sender at the other end sends or is dropped.
    #[must_use]
    pub fn drop_blocks(mut self, until: channel::Receiver<()>) -> Self {
        self.drop_blocks = Some(until);
        self
    }

    /// Sets the answer of [`Does::Version`](super::Does::Version).
    #[must_use]
    pub const fn version(mut self, version: u64) -> Self {
        self.version = version;
        self
    }

    /// Returns the number of begun boots.
    #[must_use]
    pub fn boots(&self) -> usize {
        self.boots.load(Ordering::SeqCst)
    }

    /// Returns the number of times that its workers were asked to release memory.
    #[must_use]
    pub fn trims(&self) -> usize {
        self.trims.load(Ordering::SeqCst)
    }

    /// Returns the number of times that its workers were asked to shut down their I/O.
    #[must_use]
    pub fn io_ends(&self) -> usize {
        self.io_ends.load(Ordering::SeqCst)
    }

    /// Returns the number of its live workers.
    #[must_use]
    pub fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }

    /// Returns the number of live tasks spawned by [`Does::Spawn`](super::Does::Spawn).
    #[must_use]
    pub fn leftovers(&self) -> usize {
        self.leftovers.load(Ordering::SeqCst)
    }
}
