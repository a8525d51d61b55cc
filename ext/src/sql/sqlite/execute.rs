//! Runs the statements of a call, on the thread of its connection.

use std::sync::Arc;
use std::time::Instant;

use rusqlite::types::ValueRef;
use rusqlite::{ErrorCode, Row, Statement as Prepared};

use super::authorize::ROWID_TABLE;
use super::connection::{Connection, failed};
use super::nesting;
use super::stop::Stop;
use crate::sql::call::{Budget, Call, Mode, SqlError, Work};
use crate::sql::statement::{Kind, Statement, StatementError};
use crate::sql::value::{Param, ResultSet, Value, integer};

/// Instructions of SQLite's virtual machine between checks for a stop; some tens of microseconds.
const INSTRUCTIONS_BETWEEN_CHECKS: i32 = 10_000;
/// Runs the statements of a call.
pub(super) fn run(connection: &mut Connection, call: Call, stop: &Arc<Stop>) -> Result<Vec<ResultSet>, SqlError> {
    let Call {
        work, mode, mut budget, ..
    } = call;
    stop.begin(connection.db.get_interrupt_handle());
    let asked = stop.clone();
    let watched = connection
        .db
        .progress_handler(INSTRUCTIONS_BETWEEN_CHECKS, Some(move || asked.reason().is_some()));
    let results = watched
        .map_err(|error| failed(&error))
        .and_then(|()| all(connection, work, mode, &mut budget, stop));
    stop.end();
    results
}

fn all(
    connection: &mut Connection,
    work: Vec<Work>,
    mode: Mode,
    budget: &mut Budget,
    stop: &Stop,
) -> Result<Vec<ResultSet>, SqlError> {
    if mode == Mode::Dump {
        return dump(connection, budget, stop).map(|result| vec![result]);
    }
    if mode == Mode::Each {
        let each = work.into_iter().map(|work| match work.statement.kind {
            // The schema is checked before the change is committed.
            Kind::Schema => transaction(connection, vec![work], budget, stop).map(|mut results| results.pop()),
            _ => one(connection, work, budget, stop).map(Some),
        });
        return each.filter_map(Result::transpose).collect();
    }
    transaction(connection, work, budget, stop)
}

/// Copies the database file as of its last transaction.
fn dump(connection: &Connection, budget: &Budget, stop: &Stop) -> Result<ResultSet, SqlError> {
    let mut result = ResultSet::default();
    let sized = connection.guard.lifted(|| connection.size());
    let size = sized.map_err(|error| sql_error(connection, &error, stop))?;
    // SQLite's copy, and ours.
    budget.reserve(size * 2, &mut result)?;
    let dumped = connection
        .guard
        .lifted(|| connection.db.serialize(rusqlite::MAIN_DB).map(|data| data.to_vec()));
    let dumped = dumped.map_err(|error| sql_error(connection, &error, stop))?;
    result.rows.push(vec![Value::Blob(dumped)]);
    Ok(result)
}

fn transaction(
    connection: &mut Connection,
    work: Vec<Work>,
    budget: &mut Budget,
    stop: &Stop,
) -> Result<Vec<ResultSet>, SqlError> {
    // A transaction that begins as a reader cannot wait for another writer when it begins to write; it would fail.
    let writes = work.iter().any(|work| work.statement.kind != Kind::Read);
    own(connection, if writes { "BEGIN IMMEDIATE" } else { "BEGIN" }, stop)?;
    let results = work
        .into_iter()
        .map(|work| one(connection, work, budget, stop))
        .collect();
    match results {
        Ok(results) => own(connection, "COMMIT", stop).map(|()| results),
        // Rolled back immediately afterwards, when the connection is cleaned.
        Err(error) => Err(error),
    }
}

/// Runs one of our own statements.
fn own(connection: &Connection, sql: &str, stop: &Stop) -> Result<(), SqlError> {
    let run = || connection.db.prepare_cached(sql)?.execute([]).map(drop);
    connection
        .guard
        .lifted(run)
        .map_err(|error| sql_error(connection, &error, stop))
}

pub(super) fn one(
    connection: &mut Connection,
    work: Work,
    budget: &mut Budget,
    stop: &Stop,
) -> Result<ResultSet, SqlError> {
    let started = Instant::now();
    if let Some(reason) = stop.reason() {
        return Err(stop.error(reason, connection.timeout));
    }
    let kind = work.statement.kind;
    let is_pragma = work.statement.is_pragma();
    connection.used_pragma |= is_pragma;
    let before = connection.guard.lifted(|| Before::of(connection, kind));
    let before = before.map_err(|error| sql_error(connection, &error, stop))?;
    let schema = (kind == Kind::Schema).then(|| work.statement.sql.clone());
    let mut result = ResultSet::default();
    rows(connection, &work.statement, work.params, budget, &mut result)
        .map_err(|ended| ended.error(connection, stop))?;
    if is_pragma {
        hide_own_table(&mut result);
    }
    let guard = connection.guard.clone();
    let described = guard.lifted(|| describe(connection, kind, &before, &mut result, schema.as_deref()));
    match described {
        Ok(None) => {}
        Ok(Some(refused)) => return Err(refused),
        Err(error) => return Err(sql_error(connection, &error, stop)),
    }
    result.duration = started.elapsed().as_secs_f64() * 1000.0;
    Ok(result)
}

/// Counters before a statement, to determine what it changed.
struct Before {
    changes: u64,
    last_row_id: i64,
    schema_version: i64,
}

impl Before {
    fn of(connection: &Connection, kind: Kind) -> rusqlite::Result<Self> {
        Ok(Self {
            changes: connection.db.total_changes(),
            last_row_id: connection.db.last_insert_rowid(),
            schema_version: schema_version(connection, kind)?,
        })
    }
}

/// Records what the statement changed. Returns an error if the change must not be committed.
fn describe(
    connection: &mut Connection,
    kind: Kind,
    before: &Before,
    result: &mut ResultSet,
    schema: Option<&str>,
) -> rusqlite::Result<Option<SqlError>> {
    result.changes = connection.db.total_changes() - before.changes;
    result.last_row_id = connection.db.last_insert_rowid();
    let version = schema_version(connection, kind)?;
    result.changed_db =
        result.changes > 0 || result.last_row_id != before.last_row_id || version != before.schema_version;
    result.size_after = Some(connection.size()?);
    match schema {
        Some(sql) => nesting::check(
            &connection.db,
            &mut connection.nesting,
            sql,
            before.schema_version,
            version,
        ),
        None => Ok(None),
    }
}

/// A number that changes with the schema; only read for statements that change it.
fn schema_version(connection: &Connection, kind: Kind) -> rusqlite::Result<i64> {
    match kind {
        Kind::Schema => connection
            .db
            .prepare_cached("PRAGMA schema_version")?
            .query_row([], |row| row.get(0)),
        Kind::Read | Kind::Change => Ok(0),
    }
}

/// The reason why a statement has no result.
pub(super) enum Ended {
    Sqlite(rusqlite::Error),
    Limit(SqlError),
}

impl Ended {
    pub(super) fn error(self, connection: &Connection, stop: &Stop) -> SqlError {
        match self {
            Self::Sqlite(error) => sql_error(connection, &error, stop),
            Self::Limit(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Ended {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Runs a statement, and collects its rows.
pub(super) fn rows(
    connection: &Connection,
    statement: &Statement,
    params: Vec<Param>,
    budget: &mut Budget,
    result: &mut ResultSet,
) -> Result<(), Ended> {
    let sql = &statement.sql;
    // A statement that changes the schema is run once.
    let (mut kept, mut once);
    let prepared: &mut Prepared<'_> = match statement.kind {
        Kind::Schema => {
            once = connection.db.prepare(sql)?;
            &mut once
        }
        Kind::Read | Kind::Change => {
            kept = connection.db.prepare_cached(sql)?;
            &mut kept
        }
    };
    bind(prepared, params, connection.is_own)?;
    result.columns = names(prepared);
    let mut rows = prepared.raw_query();
    while let Some(row) = rows.next()? {
        if result.rows.is_empty() {
            // The schema may have changed since it was compiled, in which case it is compiled again.
            result.columns = names(row.as_ref());
        }
        let values = values(row, result.columns.len())?;
        budget.take(&values, result).map_err(Ended::Limit)?;
        result.rows.push(values);
    }
    Ok(())
}

/// Binds the values of a statement. `as_real`: all numbers are bound as floating point.
pub(super) fn bind(statement: &mut Prepared<'_>, params: Vec<Param>, as_real: bool) -> rusqlite::Result<()> {
    for (at, param) in params.into_iter().enumerate() {
        match param {
            Param::Null => statement.raw_bind_parameter(at + 1, rusqlite::types::Null)?,
            Param::Number(number) => match integer(number).filter(|_| !as_real) {
                Some(whole) => statement.raw_bind_parameter(at + 1, whole)?,
                None => statement.raw_bind_parameter(at + 1, number)?,
            },
            Param::Text(text) => statement.raw_bind_parameter(at + 1, text)?,
            Param::Blob(blob) => statement.raw_bind_parameter(at + 1, blob)?,
        }
    }
    Ok(())
}

/// Copies the first values of a row.
pub(super) fn values(row: &Row<'_>, count: usize) -> rusqlite::Result<Vec<Value>> {
    (0..count).map(|at| row.get_ref(at).map(value)).collect()
}

pub(super) fn names(statement: &Prepared<'_>) -> Vec<String> {
    statement.column_names().into_iter().map(str::to_owned).collect()
}

/// Converts a value. Invalid UTF-8 in text becomes replacement characters, as in D1.
fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(blob) => Value::Blob(blob.to_vec()),
    }
}

/// Removes our table from `PRAGMA table_list`, which lists temporary tables.
fn hide_own_table(result: &mut ResultSet) {
    let own = Value::Text(ROWID_TABLE.to_owned());
    result.rows.retain(|row| row.get(1) != Some(&own));
}

/// Converts an error of SQLite, or the reason for stopping it.
fn sql_error(connection: &Connection, error: &rusqlite::Error, stop: &Stop) -> SqlError {
    let refused = connection.guard.take_refused();
    let stopped = match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted | ErrorCode::DatabaseBusy | ErrorCode::OutOfMemory) => stop.reason(),
        Some(ErrorCode::AuthorizationForStatementDenied) => {
            return refused.map_or_else(|| failed(error), |refused| StatementError::NotAllowed(refused).into());
        }
        _ => None,
    };
    stopped.map_or_else(|| failed(error), |reason| stop.error(reason, connection.timeout))
}
