//! Conversions between the failures of a pool's events and the faults of a worker.

pub(super) use isopod_runtime::written::{failure_of as failure, fault_of as fault};
