//! The database that a command works on.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use rusqlite::Connection;

use crate::choice::{choose, names};
use crate::config::{BoundAs, SqlDatabase};
use crate::project::ProjectArguments;

/// Time to wait for the transaction of a server or another command.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Arguments that name a database. None are needed if the configuration has one.
#[derive(Args)]
pub(super) struct Target {
    /// Name of the database, in `env` or of its own
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Worker that has the database
    #[arg(long, value_name = "NAME")]
    worker: Option<String>,
    #[command(flatten)]
    project: ProjectArguments,
}

/// A SQLite database of the configuration.
pub(super) struct Found {
    pub(super) database: SqlDatabase,
    /// Its name for messages.
    pub(super) name: String,
}

impl Target {
    /// Finds the database.
    pub(super) fn find(self, environment: &BTreeMap<String, String>) -> Result<Found> {
        let config = self.project.read(environment)?;
        let all = config.bound::<SqlDatabase>();
        let keys = "`databases`, or to `d1_databases` of a wrangler file";
        let (BoundAs { name, binding, .. }, others) =
            choose(&all, ("database", keys), self.worker.as_deref(), |found| {
                let is_named = |wanted: &str| wanted == found.name || found.binding.name.as_deref() == Some(wanted);
                self.database.as_deref().is_none_or(is_named)
            })?;
        let database = *binding;
        // Workers may share a database.
        if others.iter().any(|other| other.config.url != database.config.url) {
            bail!(
                "there are several databases: {}; name one with --database or --worker",
                names(&all)
            );
        }
        if database.file.is_none() {
            bail!("the database {name} is not a SQLite file; for PostgreSQL, use its own tools, such as psql");
        }
        Ok(Found {
            database: database.clone(),
            name: database.name.clone().unwrap_or_else(|| (*name).to_owned()),
        })
    }
}

impl Found {
    /// Opens the file, and creates it if it is missing.
    pub(super) fn open(&self) -> Result<Connection> {
        let file = self.database.file.as_deref().unwrap_or(Path::new(""));
        let opened = || -> Result<Connection> {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let connection = Connection::open(file)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            // With the same settings as in a server.
            connection.query_row("PRAGMA journal_mode = wal", [], |_| Ok(()))?;
            connection.pragma_update(None, "foreign_keys", true)?;
            Ok(connection)
        };
        opened().with_context(|| format!("cannot open the database {}", file.display()))
    }
}
