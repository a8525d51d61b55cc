//! Statements on SQLite.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures::TryStreamExt;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Column, Connection, Either, Executor, Row, SqlitePool, TypeInfo, ValueRef};

use super::service::{Budget, Mode, SqlError, Work, failed};
use super::statement::Kind;
use super::value::{Param, ResultSet, Value, integer};

/// Instructions of SQLite's machine between two looks at the clock; some tens of microseconds.
const INSTRUCTIONS_BETWEEN_CHECKS: i32 = 10_000;

pub(super) async fn run(
    pool: &SqlitePool,
    work: Vec<Work>,
    mode: Mode,
    budget: &mut Budget,
    deadline: Instant,
) -> Result<Vec<ResultSet>, SqlError> {
    let mut connection = pool.acquire().await.map_err(error)?;
    let _interrupt = Interrupt::arm(&mut connection, deadline).await?;
    let mut results = Vec::with_capacity(work.len());
    match mode {
        Mode::Each => {
            for work in work {
                results.push(one(&mut connection, work, budget).await?);
            }
        }
        Mode::Transaction => {
            // A transaction that begins as a reader and then writes cannot wait for another writer; it would fail.
            let writes = work.iter().any(|work| work.statement.kind != Kind::Read);
            let begin = if writes { "BEGIN IMMEDIATE" } else { "BEGIN" };
            let mut transaction = connection.begin_with(begin).await.map_err(error)?;
            for work in work {
                results.push(one(&mut transaction, work, budget).await?);
            }
            transaction.commit().await.map_err(error)?;
        }
    }
    Ok(results)
}

async fn one(connection: &mut SqliteConnection, work: Work, budget: &mut Budget) -> Result<ResultSet, SqlError> {
    let started = Instant::now();
    let arguments = arguments(work.params)?;
    let kind = work.statement.kind;
    let query = sqlx::query_with(AssertSqlSafe(work.statement.sql), arguments);
    let mut result = ResultSet::default();
    {
        let mut stream = connection.fetch_many(query);
        while let Some(item) = stream.try_next().await.map_err(error)? {
            match item {
                Either::Right(row) => {
                    if result.columns.is_empty() {
                        result.columns = row.columns().iter().map(|column| column.name().to_owned()).collect();
                    }
                    let row = values(&row)?;
                    budget.take(&row)?;
                    result.rows.push(row);
                }
                // SQLite keeps both numbers of the last change until the next one; they are only this statement's if it changes.
                Either::Left(done) if kind == Kind::Change => {
                    result.changes = done.rows_affected();
                    result.last_row_id = done.last_insert_rowid();
                }
                Either::Left(_) => {}
            }
        }
    }
    result.duration = started.elapsed().as_secs_f64() * 1000.0;
    Ok(result)
}

fn arguments(params: Vec<Param>) -> Result<SqliteArguments, SqlError> {
    let mut arguments = SqliteArguments::default();
    for param in params {
        match param {
            Param::Null => arguments.add(None::<i64>),
            Param::Number(number) => match integer(number) {
                Some(whole) => arguments.add(whole),
                None => arguments.add(number),
            },
            Param::Text(text) => arguments.add(text),
            Param::Blob(blob) => arguments.add(blob),
        }
        .map_err(|error| SqlError::Connection(error.to_string()))?;
    }
    Ok(arguments)
}

fn values(row: &SqliteRow) -> Result<Vec<Value>, SqlError> {
    (0..row.len())
        .map(|at| {
            let value = row.try_get_raw(at).map_err(error)?;
            if value.is_null() {
                return Ok(Value::Null);
            }
            // The type of the value itself: a column of SQLite may hold any.
            let kind = value.type_info().name().to_owned();
            match kind.as_str() {
                "INTEGER" | "BOOLEAN" => row.try_get_unchecked(at).map(Value::Integer),
                "REAL" => row.try_get_unchecked(at).map(Value::Real),
                "BLOB" => row.try_get_unchecked(at).map(Value::Blob),
                _ => row.try_get_unchecked(at).map(Value::Text),
            }
            .map_err(error)
        })
        .collect()
}

/// Interrupts what runs on a connection when the deadline has passed, or when this guard is dropped because nobody waits.
struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    async fn arm(connection: &mut SqliteConnection, deadline: Instant) -> Result<Self, SqlError> {
        let abandoned = Arc::new(AtomicBool::new(false));
        let flag = abandoned.clone();
        // Replaces the handler of the call before.
        connection
            .lock_handle()
            .await
            .map_err(error)?
            .set_progress_handler(INSTRUCTIONS_BETWEEN_CHECKS, move || {
                !flag.load(Ordering::Relaxed) && Instant::now() < deadline
            });
        Ok(Self(abandoned))
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn error(error: sqlx::Error) -> SqlError {
    failed(error, |error| {
        code(error.code().and_then(|code| code.parse::<u32>().ok()).unwrap_or(1)).to_owned()
    })
}

/// The name of a result code; the low byte of an extended one.
fn code(extended: u32) -> &'static str {
    match extended & 0xff {
        3 => "SQLITE_PERM",
        4 => "SQLITE_ABORT",
        5 => "SQLITE_BUSY",
        6 => "SQLITE_LOCKED",
        7 => "SQLITE_NOMEM",
        8 => "SQLITE_READONLY",
        9 => "SQLITE_INTERRUPT",
        10 => "SQLITE_IOERR",
        11 => "SQLITE_CORRUPT",
        13 => "SQLITE_FULL",
        14 => "SQLITE_CANTOPEN",
        17 => "SQLITE_SCHEMA",
        18 => "SQLITE_TOOBIG",
        19 => "SQLITE_CONSTRAINT",
        20 => "SQLITE_MISMATCH",
        23 => "SQLITE_AUTH",
        25 => "SQLITE_RANGE",
        26 => "SQLITE_NOTADB",
        _ => "SQLITE_ERROR",
    }
}
