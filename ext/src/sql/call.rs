//! The statements of one call, what they may use, and why one of them has no result.

use std::time::{Duration, Instant};

use super::config::SqlConfig;
use super::statement::{Statement, StatementError};
use super::value::{Param, ResultSet, Value};
use crate::event::{CpuBudget, CpuMeter};
use crate::io::IoError;
use crate::ledger::MemoryLedger;

/// Why a statement has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// The statement may not be run. Ends as an error of SQLite does, for that is what programs written for D1 look for.
    #[error("{0}: SQLITE_ERROR")]
    Statement(#[from] StatementError),
    /// The text is too long.
    #[error("statement too long: {len} bytes, the limit is {max} (statement_len_max): SQLITE_TOOBIG")]
    StatementTooLong {
        /// Its bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// Bound values and parameters do not agree.
    #[error("Wrong number of parameter bindings for SQL query.")]
    Bindings,
    /// More statements than a call may have.
    #[error("more than {0} statements in one call (statements_max)")]
    Statements(usize),
    /// More rows than a result may have.
    #[error("the result has more than {0} rows (rows_max); use LIMIT")]
    Rows(usize),
    /// More bytes than a result may have.
    #[error("the result is larger than {0} bytes (result_bytes_max); select less, or use LIMIT")]
    ResultBytes(usize),
    /// It took too long.
    #[error("no result within {0:?} (timeout); the statement was interrupted")]
    Timeout(Duration),
    /// It used too much CPU time.
    #[error("the statements of this event used more than {0:?} of CPU time in the database; the last was interrupted")]
    Cpu(Duration),
    /// The event that awaited the statement has ended, so no script sees this error.
    #[error("the statement was interrupted because its event has ended")]
    Abandoned,
    /// Views, triggers or foreign keys that SQLite would take too long to follow.
    #[error("the database would have more than {1} {0}")]
    Nesting(&'static str, i64),
    /// The database said no.
    #[error("{message}: {code}")]
    Database {
        /// What it said.
        message: String,
        /// SQLite's name for it, or PostgreSQL's SQLSTATE.
        code: String,
    },
    /// A column of a type that has no counterpart in JavaScript here.
    #[error("column '{column}' has the type {kind}, which is not supported; cast it in the statement: {column}::text")]
    ColumnType {
        /// Its name.
        column: String,
        /// Its type.
        kind: String,
    },
    /// A value that cannot be bound where it is.
    #[error("a blob cannot be bound to a parameter of type {0}")]
    BlobParameter(String),
    /// The URL is neither SQLite's nor PostgreSQL's, or cannot be read. It may hold a password and is not repeated.
    #[error("the URL of this database is invalid: {0}; use sqlite:PATH, sqlite::memory: or postgres://…")]
    Url(String),
    /// A PostgreSQL database, in a build without it.
    #[error("this build has no PostgreSQL; enable the feature `postgres` of `isopod`, or use sqlite:PATH")]
    NoPostgres,
    /// The connection failed.
    #[error("database connection failed: {0}")]
    Connection(String),
    /// The I/O runtime has no result.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// One statement and its bound values, as user code gave them.
pub(super) type Query = (String, Vec<Param>);

/// How the statements of a call belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Each for itself; the first error ends the call.
    Each,
    /// All or none.
    Transaction,
}

/// A checked statement and its values.
pub(super) struct Work {
    pub(super) statement: Statement,
    pub(super) params: Vec<Param>,
}

/// What is left of the limits of a call while its rows come in.
pub(super) struct Budget {
    rows: usize,
    bytes: usize,
    rows_max: usize,
    bytes_max: usize,
    /// What the rows take is memory of this worker, from the first of them on.
    ledger: MemoryLedger,
}

impl Budget {
    pub(super) fn new(config: &SqlConfig, ledger: MemoryLedger) -> Self {
        let (rows_max, bytes_max) = (config.rows_max, config.result_bytes_max);
        Self {
            ledger,
            rows: rows_max,
            bytes: bytes_max,
            rows_max,
            bytes_max,
        }
    }

    /// Counts a row of a result, before the next one is asked for.
    pub(super) fn take(&mut self, row: &[Value], result: &mut ResultSet) -> Result<(), SqlError> {
        self.rows = self.rows.checked_sub(1).ok_or(SqlError::Rows(self.rows_max))?;
        let bytes: usize = row.iter().map(Value::bytes).sum();
        self.bytes = self
            .bytes
            .checked_sub(bytes)
            .ok_or(SqlError::ResultBytes(self.bytes_max))?;
        let held = size_of::<Vec<Value>>() + row.iter().map(Value::held).sum::<usize>();
        let charge = result.charge.get_or_insert_with(|| self.ledger.charge(0));
        charge.resize(charge.bytes() + held);
        Ok(())
    }
}

/// The statements of a call, and what they may use.
pub(super) struct Call {
    pub(super) work: Vec<Work>,
    pub(super) mode: Mode,
    pub(super) budget: Budget,
    pub(super) deadline: Instant,
    pub(super) cpu: CpuBudget,
}

/// Whose call it is: what it uses is counted there.
#[derive(Clone, Debug, Default)]
pub(super) struct Payer {
    pub(super) memory: MemoryLedger,
    pub(super) cpu: CpuMeter,
}
