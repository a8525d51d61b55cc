//! The lock under the bus's queue, exchanged where the schedules of its users are explored (the feature `shuttle`).

#[cfg(not(feature = "shuttle"))]
pub(super) use std::sync::{Mutex, MutexGuard};

#[cfg(feature = "shuttle")]
pub(super) use shuttle::sync::{Mutex, MutexGuard};
