//! Errors of PostgreSQL, with their SQLSTATE.

use super::call::SqlError;

pub(super) fn error(error: sqlx::Error) -> SqlError {
    match error {
        sqlx::Error::Database(error) => SqlError::Database {
            message: error.message().to_owned(),
            code: error
                .code()
                .map_or_else(|| "SQLSTATE".to_owned(), |code| format!("SQLSTATE {code}")),
        },
        error => SqlError::Connection(error.to_string()),
    }
}

/// The error for an invalid URL.
pub(super) fn invalid(error: &sqlx::Error) -> SqlError {
    SqlError::Url(match error {
        sqlx::Error::Configuration(cause) => cause.to_string(),
        _ => "it cannot be parsed".to_owned(),
    })
}
