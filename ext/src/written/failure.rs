//! Failures as faults, which have a written form, and back.

use std::sync::Arc;

use isopod_outcome::Failure;

use crate::event::{Fault, FaultKind, Thrown};

/// The failure of a fault.
pub(crate) fn failure_of(fault: Fault) -> Failure {
    let mut failure = Failure::new(fault.kind.into(), fault.message);
    failure.detail = fault.detail;
    failure.retry_after = fault.retry_after;
    failure.source = fault.thrown.map(|thrown| thrown as _);
    failure
}

/// The fault of a failure.
pub(crate) fn fault_of(failure: Failure) -> Fault {
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
