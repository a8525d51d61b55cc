//! Pools that connect at their first use.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Executor};

use super::{Database, DbError};

/// Limits of a module's connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pooling {
    pub(super) connections_max: u32,
    pub(super) acquire_timeout: Duration,
}

pub(super) fn sqlite(module: &str, file: &Path, pooling: Pooling) -> Result<Database, DbError> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).map_err(|source| DbError::Folder {
            module: module.to_owned(),
            folder: folder.display().to_string(),
            source,
        })?;
    }
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // As intended for WAL: a crash of the process loses nothing, a crash of the machine at most the last transactions.
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(pooling.acquire_timeout);
    let pool = SqlitePoolOptions::new()
        .max_connections(pooling.connections_max)
        .acquire_timeout(pooling.acquire_timeout)
        .connect_lazy_with(options);
    Ok(Database::Sqlite(pool))
}

pub(super) fn postgres(module: &str, url: &str, schema: &str, pooling: Pooling) -> Result<Database, DbError> {
    let options = PgConnectOptions::from_str(url).map_err(|source| DbError::Url {
        module: module.to_owned(),
        source,
    })?;
    let schema: Arc<str> = schema.into();
    let pool = PgPoolOptions::new()
        .max_connections(pooling.connections_max)
        .acquire_timeout(pooling.acquire_timeout)
        .after_connect(move |connection, _| {
            let schema = Arc::clone(&schema);
            Box::pin(async move { enter(connection, &schema).await })
        })
        .connect_lazy_with(options.application_name(module));
    Ok(Database::Postgres(pool))
}

/// Selects the schema for the connection. It is created only if it does not exist, because creating one needs a privilege
/// that the user of a schema need not have.
async fn enter(connection: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    let quoted = format!("\"{}\"", schema.replace('"', "\"\""));
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
        .bind(schema)
        .fetch_one(&mut *connection)
        .await?;
    if !there {
        let create = AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {quoted}"));
        match connection.execute(create).await {
            // If two connections create it at the same time, the server lets one of them fail.
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {}
            done => {
                done?;
            }
        }
    }
    sqlx::query("SELECT set_config('search_path', $1, false)")
        .bind(quoted)
        .execute(connection)
        .await?;
    Ok(())
}
