//! The connection pool of a PostgreSQL database: connections are lent for one call, and cleaned afterwards.
//!
//! It replaces sqlx's pool for four reasons. The amount that a server sends at a time is bounded. A connection knows its
//! process on the server, so that abandoned statements can be canceled there. It is cleaned after a call, when the caller
//! already has the result. And it is only tested after being idle, not before every call.

use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Executor};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::call::SqlError;
use super::config::SqlConfig;
use super::postgres_error::{error, invalid};
use super::postgres_flow::{self, Flow};

/// Removes all session state that SQL may have left: `DISCARD ALL` except for plans and the statements that sqlx keeps
/// prepared; and what that does not reset, the seed of `random()`, by which one caller would choose another's numbers. It
/// returns an additional row if SQL prepared a statement; the session is then closed.
fn clean_statements() -> String {
    let seed = fastrand::f64();
    format!(
        "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; UNLISTEN *; \
         SELECT pg_advisory_unlock_all(), setseed({seed}); DISCARD TEMP; DISCARD SEQUENCES; \
         SELECT FROM pg_prepared_statements WHERE from_sql LIMIT 1"
    )
}

/// Limit for cleaning or testing a connection; then it is closed.
const CLEAN_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle time after which a connection is tested before use.
const TRUSTED: Duration = Duration::from_secs(1);
/// Concurrent connections for canceling abandoned statements.
const ENDING_MAX: usize = 2;

#[derive(Clone)]
pub(super) struct Connections(Arc<Shared>);

struct Shared {
    options: PgConnectOptions,
    /// Maximum size of a row in bytes.
    row_max: usize,
    idle_timeout: Duration,
    permits: Arc<Semaphore>,
    ending: Arc<Semaphore>,
    /// The most recently used one is last.
    idle: Mutex<Vec<Session>>,
    /// The connections' I/O runtime.
    runtime: Handle,
}

struct Session {
    connection: PgConnection,
    flow: Flow,
    /// The session's process on the server.
    process: i32,
    used: Instant,
}

impl Connections {
    /// Creates a pool, which connects on first use. Called inside the I/O runtime.
    pub(super) fn new(config: &SqlConfig) -> Result<Self, SqlError> {
        let options = PgConnectOptions::from_str(&config.url).map_err(|error| invalid(&error))?;
        // The server ends abandoned statements itself if canceling fails.
        let options = options
            .application_name("isopod")
            .options([("statement_timeout", config.timeout.as_millis())]);
        #[expect(
            clippy::disallowed_methods,
            reason = "clients are built inside the I/O runtime they belong to"
        )]
        let runtime = Handle::current();
        Ok(Self(Arc::new(Shared {
            options,
            row_max: config.result_bytes_max,
            idle_timeout: config.idle_timeout,
            permits: Arc::new(Semaphore::new(config.max_connections.max(1) as usize)),
            ending: Arc::new(Semaphore::new(ENDING_MAX)),
            idle: Mutex::default(),
            runtime,
        })))
    }

    /// Lends a connection, to be returned with [`back`](Lent::back). If it is dropped, its statement is canceled on the
    /// server.
    pub(super) async fn lend(&self) -> Result<Lent, SqlError> {
        let closed = || SqlError::Connection("the pool has ended".to_owned());
        let permit = self.0.permits.clone().acquire_owned().await.map_err(|_| closed())?;
        let session = match self.0.living().await {
            Some(session) => session,
            None => self.0.connect().await?,
        };
        Ok(Lent {
            shared: self.0.clone(),
            lent: Some((session, permit)),
        })
    }
}

impl Shared {
    fn take_idle(&self) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|session| session.used.elapsed() < self.idle_timeout);
        idle.pop()
    }

    /// An idle connection that still works.
    async fn living(&self) -> Option<Session> {
        while let Some(mut session) = self.take_idle() {
            if session.used.elapsed() < TRUSTED {
                return Some(session);
            }
            let ping = tokio::time::timeout(CLEAN_TIMEOUT, session.connection.ping());
            if matches!(ping.await, Ok(Ok(()))) {
                return Some(session);
            }
        }
        None
    }

    async fn connect(&self) -> Result<Session, SqlError> {
        let connected = postgres_flow::connect(&self.options, self.row_max, &self.runtime).await;
        let (mut connection, flow) = connected.map_err(error)?;
        let process = sqlx::query_scalar("SELECT pg_backend_pid()");
        let process = process.fetch_one(&mut connection).await.map_err(error)?;
        Ok(Session {
            connection,
            flow,
            process,
            used: Instant::now(),
        })
    }

    /// Cleans a session and puts it on the idle list; drops it if that fails.
    async fn clean(&self, mut session: Session, in_transaction: bool) {
        let connection = &mut session.connection;
        let cleaned = tokio::time::timeout(CLEAN_TIMEOUT, async {
            // Without a transaction, the server would log a warning.
            if in_transaction {
                connection.execute("ROLLBACK").await?;
            }
            connection
                .fetch_all(sqlx::raw_sql(sqlx::AssertSqlSafe(clean_statements())))
                .await
        });
        if matches!(cleaned.await, Ok(Ok(rows)) if rows.len() == 1) {
            session.used = Instant::now();
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        }
    }

    /// Ends a process on the server whose result is no longer awaited, through a separate connection.
    async fn end(&self, session: Session) {
        let process = session.process;
        drop(session);
        let Ok(_one_of_few) = self.ending.acquire().await else {
            return;
        };
        let ended = async {
            let mut connection = self.options.connect().await?;
            let end = sqlx::query("SELECT pg_terminate_backend($1)").bind(process);
            connection.execute(end).await?;
            connection.close().await
        };
        match tokio::time::timeout(CLEAN_TIMEOUT, ended).await {
            Ok(Ok(())) => {}
            // The server ends it at its own timeout.
            Ok(Err(error)) => tracing::debug!(%error, "an abandoned statement was not ended"),
            Err(_) => tracing::debug!("an abandoned statement was not ended in time"),
        }
    }
}

/// A connection lent for one call.
pub(super) struct Lent {
    shared: Arc<Shared>,
    lent: Option<(Session, OwnedSemaphorePermit)>,
}

impl Lent {
    pub(super) fn connection(&mut self) -> Result<(&mut PgConnection, Flow), SqlError> {
        let lent = self.lent.as_mut();
        let lent = lent.map(|(session, _)| (&mut session.connection, session.flow.clone()));
        lent.ok_or_else(|| SqlError::Connection("the connection was returned".to_owned()))
    }

    /// Returns it after its statements have ended, in a transaction or not. It counts as in use until it is clean.
    pub(super) fn back(mut self, in_transaction: bool) {
        if let Some((session, permit)) = self.lent.take() {
            let shared = self.shared.clone();
            self.shared.runtime.spawn(async move {
                shared.clean(session, in_transaction).await;
                drop(permit);
            });
        }
    }

    /// Closes it, because its state is unknown.
    pub(super) fn close(mut self) {
        self.lent = None;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some((session, permit)) = self.lent.take() {
            let shared = self.shared.clone();
            self.shared.runtime.spawn(async move {
                shared.end(session).await;
                drop(permit);
            });
        }
    }
}
