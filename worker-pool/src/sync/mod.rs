//! What the pool waits on and wakes with, in one place: the operating system's, or for tests of every order in which
//! threads can take their turns, shuttle's.

#[cfg(not(feature = "shuttle"))]
mod real;
#[cfg(feature = "shuttle")]
mod simulated;

#[cfg(not(feature = "shuttle"))]
pub(crate) use real::{Mutex, MutexGuard, channel, clock, thread};
#[cfg(feature = "shuttle")]
pub(crate) use simulated::{Mutex, MutexGuard, channel, clock, thread};
