//! A SQL binding: its database and its limits.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use deno_core::OpState;
use serde_json::Value;

use crate::bindings::{Binding, EnvValue, Installed, NewWorker};

/// One SQL binding: where its database is, and what a worker may ask of it.
///
/// ```
/// # mod isopod { pub use isopod_ext::sql::SqlConfig; }
/// use isopod::SqlConfig;
/// let local = SqlConfig::new("sqlite:data/app.sqlite");
/// let served = SqlConfig::new("postgres://app@db.internal/app").max_connections(8);
/// # assert!(local.rows_max == served.rows_max);
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqlConfig {
    /// `sqlite:` and a path, `sqlite::memory:`, or a `postgres://` URL. A SQLite file is created when it is missing. A
    /// database in memory belongs to one worker thread: workers on other threads see another one.
    pub url: String,
    /// Connections a worker thread opens at most. A SQLite database in memory has one always. Default: 4.
    pub max_connections: u32,
    /// Bytes of a statement. Default: 100 KB.
    pub statement_len_max: usize,
    /// Parameters of a statement. Default: 100.
    pub params_max: usize,
    /// Statements of one `batch` or `exec`. Default: 1000.
    pub statements_max: usize,
    /// Rows of one result; of all results of a batch together. Default: 100,000.
    pub rows_max: usize,
    /// Bytes of the values of one result; of all results of a batch together. Default: 32 MiB.
    pub result_bytes_max: usize,
    /// From the call to its result, waiting for a connection included. What runs longer is interrupted. Default: 30 s.
    pub timeout: Duration,
    /// CPU time that SQLite uses for the statements of one event. The worker's own limit of CPU time holds where it is
    /// lower. Default: that of the worker alone.
    pub cpu: Duration,
    /// Bytes of one text, blob or row in SQLite. The stack of a connection's thread grows with it. Default: 2 MB.
    pub value_len_max: usize,
    /// Bytes of a pattern of `LIKE` or `GLOB` in SQLite. Default: 500.
    pub pattern_len_max: usize,
    /// Bytes of a SQLite file. Default: 10 GB.
    pub database_len_max: u64,
    /// Bytes of memory that SQLite uses in the whole process. The lowest value of all databases holds. Default: 512 MiB.
    pub sqlite_memory_max: u64,
    /// Time after which a connection that is not used is closed. A database in memory keeps its connection. Default: 60 s.
    pub idle_timeout: Duration,
}

crate::setters!(SqlConfig {
    url: impl Into<String>,
    max_connections: u32,
    statement_len_max: usize,
    params_max: usize,
    statements_max: usize,
    rows_max: usize,
    result_bytes_max: usize,
    timeout: Duration,
    cpu: Duration,
    value_len_max: usize,
    pattern_len_max: usize,
    database_len_max: u64,
    sqlite_memory_max: u64,
    idle_timeout: Duration,
});

impl fmt::Debug for SqlConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest of the URL may hold a password.
        let scheme = self.url.split_once(':').map_or("", |(scheme, _)| scheme);
        f.debug_struct("SqlConfig")
            .field("url", &format_args!("{scheme}:…"))
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

impl SqlConfig {
    /// The defaults for a database.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 4,
            statement_len_max: 100_000,
            params_max: 100,
            statements_max: 1000,
            rows_max: 100_000,
            result_bytes_max: 32 << 20,
            timeout: Duration::from_secs(30),
            cpu: Duration::MAX,
            value_len_max: 2_000_000,
            pattern_len_max: 500,
            database_len_max: 10_000_000_000,
            sqlite_memory_max: 512 << 20,
            idle_timeout: Duration::from_secs(60),
        }
    }

    /// The file of a SQLite database.
    fn file(&self) -> Option<PathBuf> {
        let path = self.url.strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        // What follows a question mark is for SQLite.
        let path = path.split('?').next().unwrap_or_default();
        (!path.is_empty() && path != ":memory:").then(|| PathBuf::from(path))
    }
}

impl Binding for SqlConfig {
    fn kind(&self) -> &'static str {
        "SQL"
    }

    fn install(&self, name: &str, worker: &NewWorker<'_>, state: &mut OpState) -> EnvValue<'_> {
        let mut config = self.clone();
        config.cpu = config.cpu.min(worker.cpu);
        Installed::put(state, name, config);
        EnvValue::made("ext:isopod_sql/sql.js", &Value::Null)
    }

    fn missing_feature(&self) -> Option<&'static str> {
        cfg!(not(feature = "sql")).then_some("sql")
    }

    fn withheld(&self) -> Vec<PathBuf> {
        self.file().into_iter().collect()
    }
}
