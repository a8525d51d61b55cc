//! Errors of PostgreSQL.

use crate::storage::StorageError;
use crate::storage::tries::Tried;

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
    /// Converts to the error for the caller of an operation on this server.
    pub(super) fn into_error(self, server: &str) -> StorageError {
        match self {
            Self::Sql(sqlx::Error::Database(error)) => StorageError::Failed(format!("{server}: {}", error.message())),
            Self::Sql(error) => StorageError::Failed(format!("{server}: {error}")),
            Self::Storage(error) => error,
        }
    }

    /// The error of an attempt to reach this server.
    pub(super) fn missed(self, server: &str) -> StorageError {
        let is_full = |error: &sqlx::Error| {
            let code = error.as_database_error().and_then(|error| error.code());
            code.is_some_and(|code| code == "53300")
        };
        match self {
            Self::Sql(error) if is_lost(&error) || is_full(&error) => {
                StorageError::Unreachable(format!("{server}: {error}"))
            }
            failed => failed.into_error(server),
        }
    }

    /// Converts to the failure of an attempt on this server.
    pub(super) fn tried(self, server: &str) -> Tried {
        match self {
            Self::Sql(error) if is_lost(&error) => Tried::Lost(error.to_string()),
            failed => Tried::Failed(failed.into_error(server)),
        }
    }
}

/// Returns whether a retry may succeed, because the connection was lost, the server stops or starts, or another transaction
/// conflicted.
fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        // Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P03" | "40001" | "40P01" | "25006")
        }),
        _ => false,
    }
}
