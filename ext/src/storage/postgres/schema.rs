//! Creation of missing tables.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::Failed;
use crate::storage::StorageError;

/// The number of this schema, kept in the database.
const VERSION: i64 = 1;

/// Serializes processes that create the tables at the same time.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7380962451338207)";

/// Keys are bytes, because they are ordered as bytes and may contain NUL, unlike text. A message that was never taken is due
/// at 0, so that the order does not depend on clocks. The backlog is the sum of `isopod_queue_changes`: transactions append
/// rows, which are merged from time to time, so that no transaction waits for another's row.
const CREATE: &str = "
    CREATE TABLE isopod_kv (
        namespace TEXT NOT NULL,
        key BYTEA NOT NULL,
        expiration BIGINT,
        metadata TEXT,
        value BYTEA NOT NULL,
        PRIMARY KEY (namespace, key)
    );
    CREATE INDEX isopod_kv_expirations ON isopod_kv (expiration) WHERE expiration IS NOT NULL;
    CREATE TABLE isopod_queue_messages (
        queue TEXT NOT NULL,
        place BIGINT GENERATED ALWAYS AS IDENTITY,
        due BIGINT NOT NULL,
        lease BIGINT,
        attempts INTEGER NOT NULL DEFAULT 0,
        id TEXT NOT NULL,
        sent BIGINT NOT NULL,
        content_type SMALLINT NOT NULL,
        body BYTEA NOT NULL,
        PRIMARY KEY (queue, place)
    );
    CREATE UNIQUE INDEX isopod_queue_ids ON isopod_queue_messages (queue, id);
    CREATE INDEX isopod_queue_due ON isopod_queue_messages (queue, due, place);
    CREATE TABLE isopod_queue_changes (queue TEXT NOT NULL, count BIGINT NOT NULL, bytes BIGINT NOT NULL);
    CREATE INDEX isopod_queue_changes_of ON isopod_queue_changes (queue);
    CREATE TABLE isopod_ticks (
        worker TEXT NOT NULL,
        cron TEXT NOT NULL,
        time BIGINT NOT NULL,
        taker BIGINT NOT NULL,
        PRIMARY KEY (worker, cron)
    );
    CREATE TABLE isopod_storage (version BIGINT NOT NULL);
    INSERT INTO isopod_storage VALUES (1);";

/// Connects, and creates missing tables.
pub(super) async fn prepare(options: &PgConnectOptions) -> Result<(), Failed> {
    let options = options.clone().application_name("isopod").disable_statement_logging();
    let mut connection = options.connect().await?;
    let version = match version(&mut connection).await? {
        Some(version) => version,
        None => create(&mut connection).await?,
    };
    connection.close().await?;
    match version {
        VERSION => Ok(()),
        other => {
            let message =
                format!("the database has version {other} of Isopod's tables, and this build needs {VERSION}");
            Err(StorageError::Failed(message).into())
        }
    }
}

/// Returns the version of the tables, if they exist.
async fn version(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    // Not `to_regclass`, which may answer from a cache that is older than another process's last commit.
    let found = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_tables
             WHERE tablename = 'isopod_storage' AND schemaname = ANY (current_schemas(false)))",
    );
    match found.fetch_one(&mut *connection).await? {
        true => {
            let version = sqlx::query_scalar("SELECT version FROM isopod_storage");
            version.fetch_one(connection).await.map(Some)
        }
        false => Ok(None),
    }
}

async fn create(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query(LOCK).execute(&mut *transaction).await?;
    // Another process may have created them meanwhile.
    if let Some(version) = version(&mut transaction).await? {
        return Ok(version);
    }
    sqlx::raw_sql(CREATE).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(VERSION)
}
