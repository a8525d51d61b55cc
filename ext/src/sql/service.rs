//! Runs statements on the thread's pools: limits and timeouts. Knows nothing of V8.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::config::SqlConfig;
use super::lexer::Dialect;
use super::meter::{CpuBudget, CpuMeter};
#[cfg(feature = "postgres")]
use super::postgres;
use super::sqlite;
use super::statement::{self, Statement, StatementError};
use super::value::{Param, ResultSet, Value};
use crate::io::{Io, IoError};
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
    /// Whoever waited for it has left. Seen by nobody.
    #[error("the statement was interrupted, because its event has ended")]
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
    fn new(config: &SqlConfig, ledger: MemoryLedger) -> Self {
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

/// The pool of a database. It connects when it is first used.
#[derive(Clone)]
pub(super) enum Pool {
    Sqlite(sqlite::Pool),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Pool),
}

/// One database of a worker.
pub(super) struct SqlService {
    io: Rc<Io>,
    config: SqlConfig,
    cpu_max: Duration,
    dialect: Dialect,
    payer: Payer,
}

impl SqlService {
    pub(super) fn new(io: Rc<Io>, mut config: SqlConfig, payer: Payer) -> Result<Self, SqlError> {
        let dialect = match config.url.split_once(':') {
            Some(("sqlite", _)) => Dialect::Sqlite,
            Some(("postgres" | "postgresql", _)) if cfg!(feature = "postgres") => Dialect::Postgres,
            Some(("postgres" | "postgresql", _)) => return Err(SqlError::NoPostgres),
            _ => return Err(SqlError::Url("unknown scheme".to_owned())),
        };
        // Workers with other limits of CPU time share the connections.
        let cpu_max = std::mem::replace(&mut config.cpu, Duration::MAX);
        Ok(Self {
            io,
            config,
            cpu_max,
            dialect,
            payer,
        })
    }

    /// Runs prepared statements.
    pub(super) async fn run(&self, queries: Vec<Query>, mode: Mode) -> Result<Vec<ResultSet>, SqlError> {
        self.count(queries.len())?;
        let work = queries
            .into_iter()
            .map(|query| self.prepare(query))
            .collect::<Result<_, _>>()?;
        self.execute(work, mode).await
    }

    /// Runs every statement of a text, without parameters.
    pub(super) async fn exec(&self, sql: String) -> Result<Vec<ResultSet>, SqlError> {
        self.check_len(&sql)?;
        let statements = statement::parse(&sql, self.dialect, 0)?;
        self.count(statements.len())?;
        let work = statements
            .into_iter()
            .map(|statement| Work {
                statement,
                params: Vec::new(),
            })
            .collect();
        self.execute(work, Mode::Each).await
    }

    fn prepare(&self, (sql, params): Query) -> Result<Work, SqlError> {
        self.check_len(&sql)?;
        let statement = statement::parse_one(&sql, self.dialect, self.config.params_max)?;
        if statement.params != params.len() {
            return Err(SqlError::Bindings);
        }
        Ok(Work { statement, params })
    }

    fn check_len(&self, sql: &str) -> Result<(), SqlError> {
        let (len, max) = (sql.len(), self.config.statement_len_max);
        if len > max {
            Err(SqlError::StatementTooLong { len, max })
        } else {
            Ok(())
        }
    }

    fn count(&self, statements: usize) -> Result<(), SqlError> {
        let max = self.config.statements_max;
        if statements > max {
            Err(SqlError::Statements(max))
        } else {
            Ok(())
        }
    }

    async fn execute(&self, work: Vec<Work>, mode: Mode) -> Result<Vec<ResultSet>, SqlError> {
        let pool = self.io.client(&self.config, build)?;
        let timeout = self.config.timeout;
        let call = Call {
            work,
            mode,
            budget: Budget::new(&self.config, self.payer.memory.clone()),
            deadline: Instant::now() + timeout,
            cpu: CpuBudget::new(self.payer.cpu.clone(), self.cpu_max),
        };
        pool.run(move |pool| async move {
            let deadline = call.deadline;
            let run = async {
                match pool {
                    Pool::Sqlite(pool) => pool.run(call).await,
                    #[cfg(feature = "postgres")]
                    Pool::Postgres(pool) => pool.run(call).await,
                }
            };
            let result = tokio::time::timeout_at(deadline.into(), run)
                .await
                .unwrap_or(Err(SqlError::Timeout(timeout)));
            match result {
                // The database noticed first.
                Err(_) if Instant::now() >= deadline => Err(SqlError::Timeout(timeout)),
                result => result,
            }
        })
        .await?
    }
}

/// Builds the pool. Called on the worker thread, inside the I/O runtime.
fn build(config: &SqlConfig) -> Result<Pool, SqlError> {
    #[cfg(feature = "postgres")]
    if !config.url.starts_with("sqlite:") {
        return postgres::Pool::new(config).map(Pool::Postgres);
    }
    sqlite::Pool::new(config).map(Pool::Sqlite)
}
