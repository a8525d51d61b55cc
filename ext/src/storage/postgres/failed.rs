//! Errors of PostgreSQL.

use std::time::Duration;

use crate::storage::StorageError;

/// An error in the body of an operation.
#[derive(Debug)]
pub(crate) enum Failed {
    Sql(sqlx::Error),
    Storage(StorageError),
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StorageError> for Failed {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl Failed {
    /// The error for the caller of an operation on the server at this address.
    pub(super) fn told(self, address: &str) -> StorageError {
        match self {
            Self::Sql(sqlx::Error::Database(error)) => {
                StorageError::Failed(format!("PostgreSQL at {address}: {}", error.message()))
            }
            Self::Sql(error) => StorageError::Failed(format!("PostgreSQL at {address}: {error}")),
            Self::Storage(error) => error,
        }
    }

    /// The error for the caller of an operation that exceeded its time limit.
    pub(super) fn late(address: &str, timeout: Duration, last: Option<&str>) -> StorageError {
        let last = last.map(|last| format!("; the last error: {last}")).unwrap_or_default();
        StorageError::Failed(format!(
            "PostgreSQL at {address} has not answered within {timeout:?}{last}"
        ))
    }
}

/// Returns true if the operation may succeed when it is retried: its connection was lost, the server is stopping or starting, or
/// the operation conflicted with another transaction.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        // Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P03" | "40001" | "40P01" | "25006")
        }),
        _ => false,
    }
}
