//! The connections of a PostgreSQL database: lent out for one call, and cleaned when they come back.
//!
//! The pool is our own rather than sqlx's for three reasons. A connection knows its process on the server, so that what nobody
//! waits for any more is ended there. It is cleaned after a call, while its caller has the answer already. And it is
//! asked whether it still lives only where it has been idle, not before every call.

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

/// What any SQL may have left with a session, taken away: `DISCARD ALL` but for plans and the statements that sqlx keeps prepared. Has a
/// row more than the one of the unlocking where a statement was prepared by SQL; the session is closed then.
const CLEAN: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; RESET ALL; UNLISTEN *; \
     SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES; \
     SELECT FROM pg_prepared_statements WHERE from_sql LIMIT 1";
/// A connection that takes longer to be cleaned, or to say that it lives, is closed.
const CLEAN_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was idle for longer is asked whether it lives.
const TRUSTED: Duration = Duration::from_secs(1);
/// Connections that end what nobody waits for, at one time.
const ENDING_MAX: usize = 2;

#[derive(Clone)]
pub(super) struct Connections(Arc<Shared>);

struct Shared {
    options: PgConnectOptions,
    idle_timeout: Duration,
    permits: Arc<Semaphore>,
    ending: Arc<Semaphore>,
    /// The most recently used is the last.
    idle: Mutex<Vec<Session>>,
    /// The I/O runtime that the connections belong to.
    runtime: Handle,
}

struct Session {
    connection: PgConnection,
    /// Its process on the server.
    process: i32,
    used: Instant,
}

impl Connections {
    /// Connects when it is first used. Called inside the I/O runtime.
    pub(super) fn new(config: &SqlConfig) -> Result<Self, SqlError> {
        let options = PgConnectOptions::from_str(&config.url).map_err(|error| invalid(&error))?;
        // Should the server not be told, it ends what nobody waits for any more.
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
            idle_timeout: config.idle_timeout,
            permits: Arc::new(Semaphore::new(config.max_connections.max(1) as usize)),
            ending: Arc::new(Semaphore::new(ENDING_MAX)),
            idle: Mutex::default(),
            runtime,
        })))
    }

    /// Lends a connection. It must be given [`back`](Lent::back): dropped, what it runs is ended on the server.
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

    /// An idle connection that still lives.
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
        let mut connection = self.options.connect().await.map_err(error)?;
        let process = sqlx::query_scalar("SELECT pg_backend_pid()");
        let process = process.fetch_one(&mut connection).await.map_err(error)?;
        Ok(Session {
            connection,
            process,
            used: Instant::now(),
        })
    }

    /// Cleans a session and puts it on the list of those that are idle; drops it where that fails.
    async fn clean(&self, mut session: Session, in_transaction: bool) {
        let connection = &mut session.connection;
        let cleaned = tokio::time::timeout(CLEAN_TIMEOUT, async {
            // Where there is no transaction, it would be a warning in the server's log.
            if in_transaction {
                connection.execute("ROLLBACK").await?;
            }
            connection.fetch_all(sqlx::raw_sql(CLEAN)).await
        });
        if matches!(cleaned.await, Ok(Ok(rows)) if rows.len() == 1) {
            session.used = Instant::now();
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        }
    }

    /// Ends a process on the server whose answer nobody waits for, by a connection of its own.
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

/// A connection for one call.
pub(super) struct Lent {
    shared: Arc<Shared>,
    lent: Option<(Session, OwnedSemaphorePermit)>,
}

impl Lent {
    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, SqlError> {
        let lent = self.lent.as_mut().map(|(session, _)| &mut session.connection);
        lent.ok_or_else(|| SqlError::Connection("the connection was returned".to_owned()))
    }

    /// Gives it back once what it ran has ended, in a transaction or not. Its place is taken until it is clean.
    pub(super) fn back(mut self, in_transaction: bool) {
        if let Some((session, permit)) = self.lent.take() {
            let shared = self.shared.clone();
            self.shared.runtime.spawn(async move {
                shared.clean(session, in_transaction).await;
                drop(permit);
            });
        }
    }

    /// Closes it: it is not known what state it is in.
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
