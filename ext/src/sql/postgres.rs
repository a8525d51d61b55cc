//! Runs statements on PostgreSQL.

use std::time::Instant;

use futures::TryStreamExt;
use sqlx::postgres::{PgArguments, PgConnection, PgTypeInfo};
use sqlx::{Arguments, AssertSqlSafe, Column, Either, Executor, Row, SqlSafeStr, Statement as _, TypeInfo};

use super::call::{Budget, Call, Mode, SqlError, Work};
use super::config::SqlConfig;
use super::postgres_error::error;
use super::postgres_flow::Flow;
use super::postgres_pool::Connections;
use super::postgres_types;
use super::statement::Kind;
use super::value::{Param, ResultSet, integer};

/// The connections of a database.
#[derive(Clone)]
pub(super) struct Pool(Connections);

impl Pool {
    /// Creates a pool, which connects on first use. Called inside the I/O runtime.
    pub(super) fn new(config: &SqlConfig) -> Result<Self, SqlError> {
        Connections::new(config).map(Self)
    }

    /// Runs a call. Dropping the future cancels it on the server.
    pub(super) async fn run(&self, call: Call) -> Result<Vec<ResultSet>, SqlError> {
        let Call {
            work, mode, mut budget, ..
        } = call;
        let mut lent = self.0.lend().await?;
        let (connection, flow) = lent.connection()?;
        flow.row_taken();
        let mut results = all(connection, work, mode, &mut budget, &flow).await;
        if flow.is_exceeded() {
            results = Err(budget.too_large());
        }
        match &results {
            // The rest of the result is canceled on the server.
            Err(SqlError::Rows(_) | SqlError::ResultBytes(_) | SqlError::ColumnType { .. }) => drop(lent),
            Err(SqlError::Connection(_)) => lent.close(),
            // SQL of a worker deallocated the statements that sqlx has prepared.
            Err(SqlError::Database { code, .. }) if code == "SQLSTATE 26000" => lent.close(),
            _ => lent.back(mode == Mode::Transaction && results.is_err()),
        }
        results
    }
}

async fn all(
    connection: &mut PgConnection,
    work: Vec<Work>,
    mode: Mode,
    budget: &mut Budget,
    flow: &Flow,
) -> Result<Vec<ResultSet>, SqlError> {
    let mut results = Vec::with_capacity(work.len());
    match mode {
        Mode::Dump => return Err(SqlError::Dump),
        Mode::Each => {
            for work in work {
                results.push(one(connection, work, budget, flow).await?);
            }
        }
        // After an error, it is rolled back when the connection is cleaned.
        Mode::Transaction => {
            connection.execute("BEGIN").await.map_err(error)?;
            for work in work {
                results.push(one(connection, work, budget, flow).await?);
            }
            connection.execute("COMMIT").await.map_err(error)?;
        }
    }
    Ok(results)
}

async fn one(
    connection: &mut PgConnection,
    work: Work,
    budget: &mut Budget,
    flow: &Flow,
) -> Result<ResultSet, SqlError> {
    let started = Instant::now();
    let mut sql = work.statement.sql;
    let mut arguments = PgArguments::default();
    if !work.params.is_empty() {
        // The server reports the type of each parameter; both statements stay prepared on the connection.
        let prepared = connection
            .prepare(AssertSqlSafe(sql.clone()).into_sql_str())
            .await
            .map_err(error)?;
        let Some(Either::Left(types)) = prepared.parameters() else {
            return Err(SqlError::Bindings);
        };
        let mut casts = vec![None; work.params.len()];
        for ((param, kind), cast) in work.params.into_iter().zip(types).zip(&mut casts) {
            *cast = bind(&mut arguments, param, kind)?;
        }
        if casts.iter().any(Option::is_some) {
            sql = with_casts(&sql, &casts)?;
            // Prepared separately; otherwise the type of the bound value (text, for a null) would become the
            // parameter's type.
            connection
                .prepare(AssertSqlSafe(sql.clone()).into_sql_str())
                .await
                .map_err(error)?;
        }
    }
    let mut result = ResultSet::default();
    {
        let mut stream = connection.fetch_many(sqlx::query_with(AssertSqlSafe(sql.clone()), arguments));
        while let Some(item) = stream.try_next().await.map_err(error)? {
            match item {
                Either::Right(row) => {
                    if result.columns.is_empty() {
                        result.columns = row.columns().iter().map(|column| column.name().to_owned()).collect();
                    }
                    flow.row_taken();
                    let row = postgres_types::values(&row)?;
                    budget.take(&row, &mut result)?;
                    result.rows.push(row);
                }
                Either::Left(done) => result.changes = done.rows_affected(),
            }
        }
    }
    if result.rows.is_empty() {
        // Prepared already: no round trip.
        let prepared = connection
            .prepare(AssertSqlSafe(sql).into_sql_str())
            .await
            .map_err(error)?;
        result.columns = prepared
            .columns()
            .iter()
            .map(|column| column.name().to_owned())
            .collect();
    }
    if work.statement.kind != Kind::Change {
        // PostgreSQL counts the rows of a SELECT as well.
        result.changes = 0;
    }
    result.changed_db = result.changes > 0 || work.statement.kind == Kind::Schema;
    result.duration = started.elapsed().as_secs_f64() * 1000.0;
    Ok(result)
}

/// Binds a value. If it does not match the parameter's type, it is sent as text, and the type is returned for the
/// server to cast to. Thus every type with a text form can be bound, and the server validates the text.
fn bind(arguments: &mut PgArguments, param: Param, kind: &PgTypeInfo) -> Result<Option<String>, SqlError> {
    let name = kind.name();
    let mut cast = None;
    match (param, name) {
        (Param::Null, _) => arguments.add(None::<String>),
        (Param::Blob(blob), "BYTEA") => arguments.add(blob),
        (Param::Blob(_), _) => return Err(SqlError::BlobParameter(name.to_owned())),
        (Param::Text(text), "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "JSON" | "UNKNOWN") => arguments.add(text),
        (Param::Number(number), "FLOAT8") => arguments.add(number),
        (Param::Number(number), "INT8") if integer(number).is_some() => arguments.add(integer(number)),
        (Param::Number(number), "INT4") if whole::<i32>(number).is_some() => arguments.add(whole::<i32>(number)),
        (Param::Number(number), "INT2") if whole::<i16>(number).is_some() => arguments.add(whole::<i16>(number)),
        (Param::Number(number), "TEXT" | "VARCHAR" | "CHAR" | "UNKNOWN") => arguments.add(written(number)),
        (Param::Number(number), _) => {
            cast = Some(kind.to_string());
            arguments.add(written(number))
        }
        (Param::Text(text), _) => {
            cast = Some(kind.to_string());
            arguments.add(text)
        }
    }
    .map_err(|error| SqlError::Connection(error.to_string()))?;
    Ok(cast)
}

fn whole<T: TryFrom<i64>>(number: f64) -> Option<T> {
    integer(number).and_then(|number| T::try_from(number).ok())
}

fn written(number: f64) -> String {
    integer(number).map_or_else(|| number.to_string(), |number| number.to_string())
}

/// Writes `($1::text)::type` for every parameter that has a cast.
fn with_casts(sql: &str, casts: &[Option<String>]) -> Result<String, SqlError> {
    use super::lexer::{Dialect, Token, tokens};

    // Parsed before, so it cannot fail; if it did, the statement would not be the one that was checked.
    let tokens = tokens(sql, Dialect::Postgres).map_err(|_| super::statement::StatementError::Incomplete)?;
    let (mut out, mut copied) = (String::with_capacity(sql.len() + 32), 0);
    for (token, range) in tokens {
        if let Token::Param(Some(number)) = token
            && let Some(Some(cast)) = number.checked_sub(1).and_then(|at| casts.get(at))
        {
            out.push_str(&sql[copied..range.start]);
            out.push_str(&format!("(${number}::text)::{cast}"));
            copied = range.end;
        }
    }
    out.push_str(&sql[copied..]);
    Ok(out)
}
