//! The errors of ops.

use super::condition::EtagsFault;
use super::rules::R2Fault;
use super::store::R2Error;
use crate::event::EventEnded;
use crate::fetch::FetchError;
use crate::quotas::QuotaError;
use crate::storage::StorageError;
use crate::unwind;

/// R2's error number for too many operations.
const TOO_MANY: u32 = 10058;

/// An error of an R2 op.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub(super) enum OpError {
    #[class(type)]
    #[error("this worker has no R2 bucket named '{0}'")]
    NoBinding(String),
    #[class(generic)]
    #[error(transparent)]
    Bucket(R2Error),
    /// An error with the name of the operation and R2's error number.
    #[class(generic)]
    #[error("{0}: {1} ({2})")]
    Reported(&'static str, String, u32),
    #[class(generic)]
    #[error(transparent)]
    Etags(#[from] EtagsFault),
    #[class(type)]
    #[error(
        "Provided readable stream must have a known length (request/response body or readable half of FixedLengthStream)"
    )]
    Length,
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    #[class(inherit)]
    #[error(transparent)]
    EventEnded(#[from] EventEnded),
    #[class(inherit)]
    #[error(transparent)]
    Body(#[from] FetchError),
    #[class(inherit)]
    #[error(transparent)]
    Resource(#[from] deno_core::error::ResourceError),
    #[class(inherit)]
    #[error(transparent)]
    Panicked(#[from] unwind::Panicked),
}

impl From<R2Error> for OpError {
    fn from(error: R2Error) -> Self {
        match error {
            R2Error::Storage(StorageError::Memory(quota)) => quota.into(),
            error => Self::Bucket(error),
        }
    }
}

impl From<R2Fault> for OpError {
    fn from(fault: R2Fault) -> Self {
        Self::Bucket(fault.into())
    }
}

impl OpError {
    /// Adds the name of the operation.
    pub(super) fn of(self, verb: &'static str) -> Self {
        match self {
            Self::Bucket(R2Error::Fault(fault)) => Self::Reported(verb, fault.to_string(), fault.code()),
            Self::Bucket(error @ R2Error::Storage(StorageError::Overloaded(_))) => {
                Self::Reported(verb, error.to_string(), TOO_MANY)
            }
            Self::Bucket(error) => Self::Reported(verb, error.to_string(), R2Fault::Internal.code()),
            other => other,
        }
    }
}
