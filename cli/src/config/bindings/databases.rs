//! `[[databases]]`, and `d1_databases` of wrangler's files: SQL databases.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use isopod::SqlConfig;
use isopod::bindings::Binding;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stored::{GivenUrl, default_file, given_url, is_local};
use super::{Configured, Materials, Row, WranglerKey, WranglerRow};
use crate::config::document::KeyPath;
use crate::config::problem::Fault;
use crate::config::reading::Reading;
use crate::config::text::{Size, Time};
use crate::config::values::DatabaseUrl;

impl Row for Database {
    const KEY: &'static str = "databases";
    const ABOUT: &'static str = "SQL databases in `env`.";
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Vec<D1>>()];
    type Binding = SqlDatabase;

    fn name(&self) -> &str {
        &self.binding
    }

    fn resolve(self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<SqlDatabase> {
        let url: DatabaseUrl = match given_url(self.url, self.url_from, "sqlite:data/app.db", at, reading)? {
            GivenUrl::Here(url) => url,
            GivenUrl::Variable(key, value) => {
                let problem = |reason| Fault::BadValue {
                    key,
                    value: "(not shown)".to_owned(),
                    reason,
                };
                let parsed = value.reveal().parse();
                parsed
                    .map_err(|reason| {
                        reading.tell(&at.key("url_from"), problem(reason), "change the variable's value");
                    })
                    .ok()?
            }
        };
        let url = match url {
            DatabaseUrl::Sqlite(file) => DatabaseUrl::Sqlite(reading.data_path(&file)),
            elsewhere => elsewhere,
        };
        Some(SqlDatabase {
            name: self.name,
            config: self.limits.of(&url),
            file: match url {
                DatabaseUrl::Sqlite(file) => Some(file),
                DatabaseUrl::SqliteMemory | DatabaseUrl::Postgres(_) => None,
            },
            migrations_dir: reading.source.folder().join(self.migrations.migrations_dir),
            migrations_table: self.migrations.migrations_table,
            migrations_pattern: self.migrations.migrations_pattern,
        })
    }
}

/// A SQL database, and the files of its migrations.
#[derive(Clone, Debug)]
pub struct SqlDatabase {
    /// Its name for commands, in addition to the name in `env`.
    pub name: Option<String>,
    /// The binding.
    pub config: SqlConfig,
    /// Its file, if it is a SQLite file.
    pub file: Option<PathBuf>,
    /// Folder of its migrations.
    pub migrations_dir: PathBuf,
    /// Table that records them.
    pub migrations_table: String,
    /// The pattern of their names, if a wrangler file has one.
    pub migrations_pattern: Option<String>,
}

impl Configured for SqlDatabase {
    fn kind(&self) -> &'static str {
        Binding::kind(&self.config)
    }

    fn typescript(&self) -> String {
        "D1Database".to_owned()
    }

    fn make(&self, _from: &Materials<'_>) -> Result<Arc<dyn Binding>> {
        for file in Binding::withheld(&self.config) {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("cannot create the folder of the database {}", file.display()))?;
            }
        }
        Ok(Arc::new(self.config.clone()))
    }

    fn withheld(&self) -> Vec<PathBuf> {
        Binding::withheld(&self.config)
    }
}

/// A SQL database with the D1 API.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct Database {
    /// Name in `env`.
    binding: String,
    /// Database URL; a relative SQLite path is relative to this file's folder.
    #[serde(default)]
    url: Option<DatabaseUrl>,
    /// Environment variable that contains the URL, to keep a password out of this file.
    #[serde(default)]
    url_from: Option<String>,
    /// Name for `isopod d1`. Default: the name in `env`.
    #[serde(default)]
    name: Option<String>,
    #[serde(flatten)]
    migrations: Migrations,
    #[serde(flatten)]
    limits: Limits,
}

/// Migrations of a database.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Migrations {
    /// Folder of the SQL files that `isopod d1 migrations` applies, relative to this file's folder.
    migrations_dir: PathBuf,
    /// Table that records which of them were applied.
    migrations_table: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    migrations_pattern: Option<String>,
}

impl Default for Migrations {
    fn default() -> Self {
        Self {
            migrations_dir: "migrations".into(),
            migrations_table: "d1_migrations".to_owned(),
            migrations_pattern: None,
        }
    }
}

/// Limits of a database.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Limits {
    /// Maximum number of connections of each worker thread.
    #[schemars(range(min = 1))]
    max_connections: u32,
    /// Time of one call, including the wait for a connection.
    #[serde(with = "Time")]
    timeout: Duration,
    /// Maximum number of rows of a result.
    #[schemars(range(min = 1))]
    rows_max: usize,
    /// Maximum size of a result.
    #[serde(with = "Size")]
    result_bytes_max: u64,
    /// Maximum size of a statement.
    #[serde(with = "Size")]
    statement_bytes_max: u64,
    /// Maximum number of parameters of a statement.
    #[schemars(range(min = 1))]
    params_max: usize,
    /// Maximum number of statements of a `batch` or `exec`.
    #[schemars(range(min = 1))]
    statements_max: usize,
    /// Maximum size of a text, blob or row in SQLite.
    #[serde(with = "Size")]
    value_bytes_max: u64,
    /// Maximum size of a `LIKE` or `GLOB` pattern in SQLite.
    #[serde(with = "Size")]
    pattern_bytes_max: u64,
    /// Maximum size of a SQLite file.
    #[serde(with = "Size")]
    database_bytes_max: u64,
    /// Maximum memory of SQLite in the whole process; the lowest value of all databases applies.
    #[serde(with = "Size")]
    sqlite_memory_max: u64,
    /// Time after which an idle connection is closed.
    #[serde(with = "Time")]
    idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let library = SqlConfig::new("sqlite::memory:");
        Self {
            max_connections: library.max_connections,
            timeout: library.timeout,
            rows_max: library.rows_max,
            result_bytes_max: library.result_bytes_max as u64,
            statement_bytes_max: library.statement_len_max as u64,
            params_max: library.params_max,
            statements_max: library.statements_max,
            value_bytes_max: library.value_len_max as u64,
            pattern_bytes_max: library.pattern_len_max as u64,
            database_bytes_max: library.database_len_max,
            sqlite_memory_max: library.sqlite_memory_max,
            idle_timeout: library.idle_timeout,
        }
    }
}

impl Limits {
    fn of(self, url: &DatabaseUrl) -> SqlConfig {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        SqlConfig::new(url.reveal())
            .max_connections(self.max_connections)
            .timeout(self.timeout)
            .rows_max(self.rows_max)
            .result_bytes_max(size(self.result_bytes_max))
            .statement_len_max(size(self.statement_bytes_max))
            .params_max(self.params_max)
            .statements_max(self.statements_max)
            .value_len_max(size(self.value_bytes_max))
            .pattern_len_max(size(self.pattern_bytes_max))
            .database_len_max(self.database_bytes_max)
            .sqlite_memory_max(self.sqlite_memory_max)
            .idle_timeout(self.idle_timeout)
    }
}

/// A D1 database, which is a SQLite file next to the wrangler file.
#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "keys that are checked, and have no effect here")]
struct D1 {
    binding: String,
    #[serde(default)]
    database_name: Option<String>,
    #[serde(default)]
    database_id: Option<String>,
    #[serde(default)]
    database_internal_env: Option<String>,
    #[serde(default)]
    jurisdiction: Option<String>,
    #[serde(default)]
    preview_database_id: Option<String>,
    #[serde(default)]
    migrations_table: Option<String>,
    #[serde(default)]
    migrations_dir: Option<String>,
    #[serde(default)]
    migrations_pattern: Option<String>,
    #[serde(default)]
    remote: bool,
}

impl WranglerRow for D1 {
    const KEY: &'static str = "d1_databases";
    type Row = Database;

    fn translate(self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<Database> {
        if !is_local(
            self.remote,
            "D1 binding",
            "database is a local SQLite file",
            at,
            reading,
        ) {
            return None;
        }
        let defaults = Migrations::default();
        let migrations = Migrations {
            migrations_dir: self.migrations_dir.map_or(defaults.migrations_dir, PathBuf::from),
            migrations_table: self.migrations_table.unwrap_or(defaults.migrations_table),
            migrations_pattern: self.migrations_pattern,
        };
        let name = self.database_name.or(self.database_id);
        let name = name.unwrap_or_else(|| self.binding.clone());
        let file = default_file("d1", &name, &at.key("database_name"), reading)?;
        Some(Database {
            binding: self.binding,
            url: Some(DatabaseUrl::Sqlite(file)),
            url_from: None,
            name: Some(name),
            migrations,
            limits: Limits::default(),
        })
    }
}
