//! Conversions between the failures of a pool's events and the faults of a worker.

use isopod_outcome::Failure;
use isopod_runtime::handlers::Fault;

pub(super) fn failure(fault: Fault) -> Failure {
    let mut failure = Failure::new(fault.kind.into(), fault.message);
    failure.detail = fault.detail;
    failure.retry_after = fault.retry_after;
    failure.source = fault.thrown.map(|thrown| thrown as _);
    failure
}

pub(super) fn fault(failure: Failure) -> Fault {
    let mut fault = Fault::new(failure.outcome.into(), failure.message);
    fault.detail = failure.detail;
    fault.retry_after = failure.retry_after;
    fault
}
