//! Runs statements on the thread's pools, with limits and timeouts. Free of V8.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::call::{Budget, Call, Mode, Payer, Query, SqlError, Work};
use super::config::SqlConfig;
use super::lexer::Dialect;
#[cfg(feature = "postgres")]
use super::postgres;
use super::sqlite::Offered;
use super::value::ResultSet;
use super::{sqlite, statement};
use crate::event::CpuBudget;
use crate::io::Io;

/// The pool of a database, which connects on first use.
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
    near: Option<Offered>,
}

impl SqlService {
    pub(super) fn new(io: Rc<Io>, mut config: SqlConfig, payer: Payer) -> Result<Self, SqlError> {
        let dialect = match config.url.split_once(':') {
            Some(("sqlite", _)) => Dialect::Sqlite,
            Some(("postgres" | "postgresql", _)) if cfg!(feature = "postgres") => Dialect::Postgres,
            Some(("postgres" | "postgresql", _)) => return Err(SqlError::NoPostgres),
            _ => return Err(SqlError::Url("unknown scheme".to_owned())),
        };
        // Workers with different CPU limits share the connections.
        let cpu_max = std::mem::replace(&mut config.cpu, Duration::MAX);
        Ok(Self {
            io,
            config,
            cpu_max,
            dialect,
            payer,
            near: None,
        })
    }

    /// Has a thread open a connection for short reads.
    #[must_use]
    pub(super) fn near(mut self, near: Option<Offered>) -> Self {
        self.near = near;
        self
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

    /// Returns the database file.
    pub(super) async fn dump(&self) -> Result<Vec<ResultSet>, SqlError> {
        match self.dialect {
            Dialect::Sqlite => self.execute(Vec::new(), Mode::Dump).await,
            Dialect::Postgres => Err(SqlError::Dump),
        }
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
        let near = self.near.clone();
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
                    Pool::Sqlite(pool) => pool.run(call, near).await,
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

/// Creates the pool. Called on the worker thread, inside the I/O runtime.
fn build(config: &SqlConfig) -> Result<Pool, SqlError> {
    #[cfg(feature = "postgres")]
    if !config.url.starts_with("sqlite:") {
        return postgres::Pool::new(config).map(Pool::Postgres);
    }
    sqlite::Pool::new(config).map(Pool::Sqlite)
}
