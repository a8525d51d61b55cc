//! A database for each module: located by rules, opened lazily on the host's runtime, closed at the module's end. Feature
//! `sql`, on by default.

mod manager;
mod open;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::{PgPool, SqlitePool};
use tokio::runtime::Handle;

pub use manager::{DbManager, DbRule};

/// The databases of a host.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum DbOptions {
    /// No databases: a module that asks for one fails.
    #[default]
    None,
    /// A manager that provides one for each module.
    Manager(DbManager),
}

impl From<DbManager> for DbOptions {
    fn from(manager: DbManager) -> Self {
        Self::Manager(manager)
    }
}

/// A module's database. The host closes it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Database {
    /// A SQLite file, in WAL mode, with foreign keys enforced.
    Sqlite(SqlitePool),
    /// A schema in a PostgreSQL database. The first connection creates it, and it is the search path of every connection.
    Postgres(PgPool),
}

impl Database {
    /// Returns the pool, for a module that supports only SQLite.
    ///
    /// # Errors
    /// The module has another kind of database.
    pub const fn sqlite(&self) -> Result<&SqlitePool, DbError> {
        match self {
            Self::Sqlite(pool) => Ok(pool),
            Self::Postgres(_) => Err(DbError::Kind("SQLite", "PostgreSQL")),
        }
    }

    /// Returns the pool, for a module that supports only PostgreSQL.
    ///
    /// # Errors
    /// The module has another kind of database.
    pub const fn postgres(&self) -> Result<&PgPool, DbError> {
        match self {
            Self::Postgres(pool) => Ok(pool),
            Self::Sqlite(_) => Err(DbError::Kind("PostgreSQL", "SQLite")),
        }
    }

    async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// An error from getting a database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// The host has no database for this module.
    #[error("module `{0}` needs a database, but the host has none; set one with `HostBuilder::db`")]
    None(String),
    /// The folder for the file cannot be created.
    #[error("cannot create the folder `{folder}` for the database of module `{module}`: {source}")]
    Folder {
        /// The module.
        module: String,
        /// The folder.
        folder: String,
        /// The reason.
        source: std::io::Error,
    },
    /// The URL is not that of a PostgreSQL database. It may contain a password, so it is not shown.
    #[error("invalid database URL for module `{module}`: {source}; expected `postgres://user@host:port/name`")]
    Url {
        /// The module.
        module: String,
        /// The cause.
        source: sqlx::Error,
    },
    /// The module was closed.
    #[error("module `{0}` was closed together with its database")]
    Closed(String),
    /// The module supports another kind of database.
    #[error("the module needs {0}, but its database is {1}; set one with `DbManager::module`")]
    Kind(&'static str, &'static str),
}

/// A module's slot for its database.
#[derive(Debug)]
pub(crate) struct Slot {
    options: DbOptions,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Unused,
    Open(Database),
    Closed,
}

impl Slot {
    pub(crate) const fn new(options: DbOptions) -> Self {
        Self {
            options,
            state: Mutex::new(State::Unused),
        }
    }

    pub(crate) fn open(&self, module: &str, runtime: &Handle) -> Result<Database, DbError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Open(database) => return Ok(database.clone()),
            State::Closed => return Err(DbError::Closed(module.to_owned())),
            State::Unused => {}
        }
        let DbOptions::Manager(manager) = &self.options else {
            return Err(DbError::None(module.to_owned()));
        };
        let database = manager.open(module, runtime)?;
        *state = State::Open(database.clone());
        Ok(database)
    }

    /// Waits for the connections that are in use, up to a time limit.
    pub(crate) async fn close(&self, limit: Duration) {
        let state = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *state, State::Closed)
        };
        if let State::Open(database) = state
            && tokio::time::timeout(limit, database.close()).await.is_err()
        {
            tracing::warn!(?limit, "connections to the database are still in use and are left open");
        }
    }
}
