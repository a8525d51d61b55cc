//! Limits on the use of a database.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{Size, Time};

/// Limits of a SQL database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DatabaseLimits {
    /// Time of one call, including the wait for a connection.
    #[serde(with = "Time")]
    pub timeout: Duration,
    /// Maximum number of rows of a result.
    #[schemars(range(min = 1))]
    pub rows_max: usize,
    /// Maximum size of a result.
    #[serde(with = "Size")]
    pub result_bytes_max: u64,
    /// Maximum size of a statement.
    #[serde(with = "Size")]
    pub statement_bytes_max: u64,
    /// Maximum number of parameters of a statement.
    #[schemars(range(min = 1))]
    pub params_max: usize,
    /// Maximum number of statements of a `batch` or `exec`.
    #[schemars(range(min = 1))]
    pub statements_max: usize,
    /// Maximum size of a text, blob or row in SQLite.
    #[serde(with = "Size")]
    pub value_bytes_max: u64,
    /// Maximum size of a `LIKE` or `GLOB` pattern in SQLite.
    #[serde(with = "Size")]
    pub pattern_bytes_max: u64,
    /// Maximum size of a SQLite file.
    #[serde(with = "Size")]
    pub database_bytes_max: u64,
    /// Maximum memory of SQLite in the whole process; the lowest value of all databases applies.
    #[serde(with = "Size")]
    pub sqlite_memory_max: u64,
    /// Time after which an idle connection is closed.
    #[serde(with = "Time")]
    pub idle_timeout: Duration,
}

impl Default for DatabaseLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            rows_max: 100_000,
            result_bytes_max: 32 << 20,
            statement_bytes_max: 100_000,
            params_max: 100,
            statements_max: 1000,
            value_bytes_max: 2_000_000,
            pattern_bytes_max: 500,
            database_bytes_max: 10_000_000_000,
            sqlite_memory_max: 512 << 20,
            idle_timeout: Duration::from_secs(60),
        }
    }
}
