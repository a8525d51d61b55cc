//! Failures as faults, which have a written form, and back.

use std::sync::Arc;

use isopod_outcome::Failure;

use crate::event::{Fault, FaultKind, Thrown};

/// Converts a fault of a worker to the failure that its event's caller gets.
#[must_use]
pub fn failure_of(fault: Fault) -> Failure {
    let mut failure = Failure::new(fault.kind.into(), fault.message);
    failure.detail = fault.detail;
    failure.retry_after = fault.retry_after;
    failure.source = fault.thrown.map(|thrown| thrown as _);
    failure
}

/// Converts a failure to a fault. An error of the script is kept.
#[must_use]
pub fn fault_of(failure: Failure) -> Fault {
    let mut fault = Fault::new(FaultKind::from(failure.outcome), failure.message);
    fault.detail = failure.detail;
    fault.retry_after = failure.retry_after;
    let thrown = failure
        .source
        .as_deref()
        .and_then(|source| source.downcast_ref::<Thrown>());
    fault.thrown = thrown.cloned().map(Arc::new);
    fault
}
