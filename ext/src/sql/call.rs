//! The statements of a call, their limits, and their errors.

use std::time::{Duration, Instant};

use super::config::SqlConfig;
use super::statement::{Statement, StatementError};
use super::value::{Param, ResultSet, Value};
use crate::event::{CpuBudget, CpuMeter};
use crate::io::IoError;
use crate::ledger::MemoryLedger;

/// The reason why a statement has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// The statement is not permitted. The message ends like one of SQLite's, which programs written for D1 look for.
    #[error("{statement}{code}", statement = .0, code = .0.code())]
    Statement(#[from] StatementError),
    /// A transaction of statements in the storage of a Durable Object.
    #[error(
        "To execute a transaction, please use the state.storage.transaction() or state.storage.transactionSync() APIs instead of \
         the SQL BEGIN TRANSACTION or SAVEPOINT statements. The JavaScript API is safer because it will automatically roll back \
         on exceptions, and because it interacts correctly with Durable Objects' automatic atomic write coalescing."
    )]
    Transaction,
    /// The statement is too long.
    #[error("statement too long: {len} bytes, the limit is {max} (statement_len_max): SQLITE_TOOBIG")]
    StatementTooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit.
        max: usize,
    },
    /// The numbers of bound values and parameters differ.
    #[error("Wrong number of parameter bindings for SQL query.")]
    Bindings,
    /// The call has too many statements.
    #[error("more than {0} statements in one call (statements_max)")]
    Statements(usize),
    /// The result has too many rows.
    #[error("the result has more than {0} rows (rows_max); use LIMIT")]
    Rows(usize),
    /// The result has too many bytes.
    #[error("the result is larger than {0} bytes (result_bytes_max); select less, or use LIMIT")]
    ResultBytes(usize),
    /// The cursor was closed before its last row.
    #[error(
        "the SQL cursor was closed before its last row: its object hibernated, or opened more than 256 cursors after it; read a cursor \
         to its end, or use toArray()"
    )]
    CursorClosed,
    /// The time limit was reached.
    #[error("no result within {0:?} (timeout); the statement was interrupted")]
    Timeout(Duration),
    /// The CPU limit was reached.
    #[error("the statements of this event used more than {0:?} of CPU time in the database; the last was interrupted")]
    Cpu(Duration),
    /// The event that awaited the statement has ended, so no script sees this error.
    #[error("the statement was interrupted because its event has ended")]
    Abandoned,
    /// SQLite would recurse too deeply into views, triggers or foreign keys.
    #[error("the database would have more than {1} {0}")]
    Nesting(&'static str, i64),
    /// The database reported an error.
    #[error("{message}: {code}")]
    Database {
        /// Its message.
        message: String,
        /// SQLite's name of the error, or PostgreSQL's SQLSTATE.
        code: String,
    },
    /// The column's type has no counterpart in JavaScript.
    #[error("column '{column}' has the type {kind}, which is not supported; cast it in the statement: {column}::text")]
    ColumnType {
        /// The column.
        column: String,
        /// The type.
        kind: String,
    },
    /// The value's type does not match the parameter's.
    #[error("a blob cannot be bound to a parameter of type {0}")]
    BlobParameter(String),
    /// The URL is neither SQLite's nor PostgreSQL's, or invalid. It is not repeated, because it may contain a password.
    #[error("the URL of this database is invalid: {0}; use sqlite:PATH, sqlite::memory: or postgres://…")]
    Url(String),
    /// A database of another kind than SQLite.
    #[error("only SQLite databases can be dumped")]
    Dump,
    /// A PostgreSQL database in a build without it.
    #[error("this build has no PostgreSQL; enable the feature `postgres` of `isopod`, or use sqlite:PATH")]
    NoPostgres,
    /// The connection failed.
    #[error("database connection failed: {0}")]
    Connection(String),
    /// The process that has the database reported an error.
    #[error("{0}")]
    Elsewhere(String),
    /// An error of the I/O runtime.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// A statement of user code, and its bound values.
pub(super) type Query = (String, Vec<Param>);

/// The relation between the statements of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Independent; the first error ends the call.
    Each,
    /// All or none.
    Transaction,
    /// No statements: the result is the database file, as the one value of one row.
    Dump,
}

/// A checked statement and its values.
pub(super) struct Work {
    pub(super) statement: Statement,
    pub(super) params: Vec<Param>,
}

/// The remaining limits of a call while rows arrive.
pub(super) struct Budget {
    rows: usize,
    bytes: usize,
    rows_max: usize,
    bytes_max: usize,
    /// Rows are charged to the worker's memory from the first on.
    ledger: MemoryLedger,
}

impl Budget {
    pub(super) fn new(config: &SqlConfig, ledger: MemoryLedger) -> Self {
        Self::up_to(config.rows_max, config.result_bytes_max, ledger)
    }

    /// Creates the budget of a call with other limits than its database's.
    pub(super) fn up_to(rows_max: usize, bytes_max: usize, ledger: MemoryLedger) -> Self {
        Self {
            ledger,
            rows: rows_max,
            bytes: bytes_max,
            rows_max,
            bytes_max,
        }
    }

    /// Checks and charges bytes that are about to be copied. The charge is the result's.
    pub(super) fn reserve(&self, bytes: u64, result: &mut ResultSet) -> Result<(), SqlError> {
        let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= self.bytes);
        let bytes = bytes.ok_or(SqlError::ResultBytes(self.bytes_max))?;
        result.charge = Some(self.ledger.charge(bytes));
        Ok(())
    }

    /// The error of a result with too many bytes.
    pub(super) fn too_large(&self) -> SqlError {
        SqlError::ResultBytes(self.bytes_max)
    }

    /// Counts a row, before the next one is requested. Returns its size.
    pub(super) fn take(&mut self, row: &[Value], result: &mut ResultSet) -> Result<usize, SqlError> {
        self.rows = self.rows.checked_sub(1).ok_or(SqlError::Rows(self.rows_max))?;
        let bytes: usize = row.iter().map(Value::bytes).sum();
        self.bytes = self.bytes.checked_sub(bytes).ok_or_else(|| self.too_large())?;
        let held = size_of::<Vec<Value>>() + row.iter().map(Value::held).sum::<usize>();
        let charge = result.charge.get_or_insert_with(|| self.ledger.charge(0));
        charge.resize(charge.bytes() + held);
        Ok(bytes)
    }
}

/// The statements of a call, and their limits.
pub(super) struct Call {
    pub(super) work: Vec<Work>,
    pub(super) mode: Mode,
    pub(super) budget: Budget,
    pub(super) deadline: Instant,
    pub(super) cpu: CpuBudget,
}

/// The worker and event that are charged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Payer {
    pub(crate) memory: MemoryLedger,
    pub(crate) cpu: CpuMeter,
}
