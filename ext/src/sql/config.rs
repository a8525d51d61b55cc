//! A SQL binding: its database and its limits.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use deno_core::OpState;
use serde_json::Value;

use crate::bindings::{Binding, EnvValue, Installed, NewWorker, WrittenBinding};

/// A SQL binding: the location of its database, and its limits.
///
/// ```
/// # mod isopod { pub use isopod_ext::sql::SqlConfig; }
/// use isopod::SqlConfig;
/// let local = SqlConfig::new("sqlite:data/app.sqlite");
/// let served = SqlConfig::new("postgres://app@db.internal/app").max_connections(8);
/// # assert!(local.rows_max == served.rows_max);
/// ```
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct SqlConfig {
    /// `sqlite:` and a path, `sqlite::memory:`, or a `postgres://` URL. A missing SQLite file is created. An in-memory
    /// database belongs to one worker thread: workers on other threads have another one.
    pub url: String,
    /// Maximum number of connections per worker thread. An in-memory database always has one. Default: 4.
    pub max_connections: u32,
    /// Length of a statement in bytes. Default: 100 KB.
    pub statement_len_max: usize,
    /// Parameters of a statement. Default: 100.
    pub params_max: usize,
    /// Statements of a `batch` or `exec`. Default: 1000.
    pub statements_max: usize,
    /// Rows of a result, or of all results of a batch. Default: 100,000.
    pub rows_max: usize,
    /// Bytes of the values of a result, or of all results of a batch. Default: 32 MiB.
    pub result_bytes_max: usize,
    /// Time limit of a call, including waiting for a connection. Statements are interrupted when it is reached.
    /// Default: 30 s.
    pub timeout: Duration,
    /// CPU time that SQLite may use for the statements of an event. The worker's own CPU limit applies as well.
    /// Default: only the worker's limit.
    pub cpu: Duration,
    /// Bytes of a text, blob or row in SQLite. The stack of a connection's thread grows with it. Default: 2 MB.
    pub value_len_max: usize,
    /// Bytes of a pattern of `LIKE` or `GLOB` in SQLite. Default: 500.
    pub pattern_len_max: usize,
    /// Size of a SQLite file in bytes. Default: 10 GB.
    pub database_len_max: u64,
    /// Memory that SQLite may use in the process, in bytes. The lowest value of all databases applies. Default: 512
    /// MiB.
    pub sqlite_memory_max: u64,
    /// Idle time after which a connection is closed. An in-memory database keeps its connection. Default: 60 s.
    pub idle_timeout: Duration,
}

isopod_outcome::setters!(SqlConfig {
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
        // The rest of the URL may contain a password.
        let scheme = self.url.split_once(':').map_or("", |(scheme, _)| scheme);
        f.debug_struct("SqlConfig")
            .field("url", &format_args!("{scheme}:…"))
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

impl SqlConfig {
    /// Creates a binding with the default limits.
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
        // The part after a question mark is for SQLite.
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

    /// A worker in a process of its own has connections of its own.
    fn written(&self) -> Option<WrittenBinding> {
        let config = postcard::to_stdvec(self).ok()?;
        Some(WrittenBinding::Sql { config })
    }

    fn missing_feature(&self) -> Option<&'static str> {
        cfg!(not(feature = "sql")).then_some("sql")
    }

    fn withheld(&self) -> Vec<PathBuf> {
        self.file().into_iter().collect()
    }
}
