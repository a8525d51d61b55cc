//! What a worker may ask of one database.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{Size, Time};

/// The limits of one SQL database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DatabaseLimits {
    /// Time of one call, waiting for a connection included.
    #[serde(with = "Time")]
    pub timeout: Duration,
    /// Rows of a result at most.
    #[schemars(range(min = 1))]
    pub rows_max: usize,
    /// Size of a result at most.
    #[serde(with = "Size")]
    pub result_bytes_max: u64,
    /// Size of a statement at most.
    #[serde(with = "Size")]
    pub statement_bytes_max: u64,
    /// Parameters of a statement at most.
    #[schemars(range(min = 1))]
    pub params_max: usize,
    /// Statements of one `batch` or `exec` at most.
    #[schemars(range(min = 1))]
    pub statements_max: usize,
    /// Size of a text, blob or row in SQLite at most.
    #[serde(with = "Size")]
    pub value_bytes_max: u64,
    /// Size of a pattern of `LIKE` or `GLOB` in SQLite at most.
    #[serde(with = "Size")]
    pub pattern_bytes_max: u64,
    /// Size of a SQLite file at most.
    #[serde(with = "Size")]
    pub database_bytes_max: u64,
    /// Memory that SQLite may use in the whole process; the lowest of all databases holds.
    #[serde(with = "Size")]
    pub sqlite_memory_max: u64,
    /// Time after which a connection that is not used is closed.
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
