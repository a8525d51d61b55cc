//! Synchronization primitives: the operating system's, or shuttle's for tests of thread interleavings.

#[cfg(not(feature = "shuttle"))]
mod real;
#[cfg(feature = "shuttle")]
mod simulated;

#[cfg(not(feature = "shuttle"))]
pub(crate) use real::{Mutex, MutexGuard, channel, clock, thread};
#[cfg(feature = "shuttle")]
pub(crate) use simulated::{Mutex, MutexGuard, channel, clock, thread};
