//! Errors of stores in written form, for workers in other processes.

use serde::{Deserialize, Serialize};

use super::StorageError;

/// A [`StorageError`] in written form.
#[derive(Serialize, Deserialize)]
pub(crate) enum WrittenStorageError {
    Overloaded(usize),
    Full(u64),
    Unreachable(String),
    Failed(String),
}

impl From<StorageError> for WrittenStorageError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Overloaded(operations) => Self::Overloaded(operations),
            StorageError::Full(bytes) => Self::Full(bytes),
            StorageError::Memory(error) => Self::Failed(error.to_string()),
            StorageError::Unreachable(error) => Self::Unreachable(error),
            StorageError::Failed(error) => Self::Failed(error),
        }
    }
}

impl From<WrittenStorageError> for StorageError {
    fn from(written: WrittenStorageError) -> Self {
        match written {
            WrittenStorageError::Overloaded(operations) => Self::Overloaded(operations),
            WrittenStorageError::Full(bytes) => Self::Full(bytes),
            WrittenStorageError::Unreachable(error) => Self::Unreachable(error),
            WrittenStorageError::Failed(error) => Self::Failed(error),
        }
    }
}
