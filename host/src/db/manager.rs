//! Rules that give each module a database.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::runtime::Handle;

use super::open::{Pooling, postgres, sqlite};
use super::{Database, DbError};

/// Location of a module's database.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DbRule {
    /// None.
    None,
    /// The SQLite file `{folder}/{module}.sqlite`.
    SqliteFolder(PathBuf),
    /// This SQLite file.
    SqliteFile(PathBuf),
    /// A schema of its own in a PostgreSQL database.
    Postgres {
        /// The database, as `postgres://user:password@host:port/name`.
        url: String,
        /// The schema. Default: the module's name.
        schema: Option<String>,
    },
}

impl DbRule {
    /// A schema with the module's name in the PostgreSQL database of this URL.
    pub fn postgres(url: impl Into<String>) -> Self {
        Self::Postgres {
            url: url.into(),
            schema: None,
        }
    }
}

/// Omits the URL, which may contain a password.
impl fmt::Debug for DbRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::SqliteFolder(folder) => f.debug_tuple("SqliteFolder").field(folder).finish(),
            Self::SqliteFile(file) => f.debug_tuple("SqliteFile").field(file).finish(),
            Self::Postgres { schema, .. } => f
                .debug_struct("Postgres")
                .field("schema", schema)
                .finish_non_exhaustive(),
        }
    }
}

/// Resolves a database for each module: a rule for all, and exceptions for some.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// use isopod::host::db::{DbManager, DbRule};
///
/// let databases = DbManager::new(DbRule::SqliteFolder("data".into()))
///     .module("billing", DbRule::postgres("postgres://app@127.0.0.1/app"))
///     .connections_max(4);
/// # drop(databases);
/// ```
#[derive(Clone, Debug)]
pub struct DbManager {
    rule: DbRule,
    modules: BTreeMap<String, DbRule>,
    pooling: Pooling,
}

impl DbManager {
    /// Creates a manager with this rule for all modules.
    #[must_use]
    pub const fn new(rule: DbRule) -> Self {
        Self {
            rule,
            modules: BTreeMap::new(),
            pooling: Pooling {
                connections_max: 8,
                acquire_timeout: Duration::from_secs(5),
            },
        }
    }

    /// Sets another rule for one module.
    #[must_use]
    pub fn module(mut self, module: impl Into<String>, rule: DbRule) -> Self {
        self.modules.insert(module.into(), rule);
        self
    }

    /// Sets the maximum number of connections of a module. Default: 8.
    #[must_use]
    pub const fn connections_max(mut self, connections_max: u32) -> Self {
        self.pooling.connections_max = connections_max;
        self
    }

    /// Sets the time limit for getting a connection, including opening it. Default: 5 s.
    #[must_use]
    pub const fn acquire_timeout(mut self, timeout: Duration) -> Self {
        self.pooling.acquire_timeout = timeout;
        self
    }

    /// Returns the rule for a module.
    #[must_use]
    pub fn rule(&self, module: &str) -> &DbRule {
        self.modules.get(module).unwrap_or(&self.rule)
    }

    pub(super) fn open(&self, module: &str, runtime: &Handle) -> Result<Database, DbError> {
        // sqlx binds a pool to the runtime that is entered when the pool is created.
        let _entered = runtime.enter();
        match self.rule(module) {
            DbRule::None => Err(DbError::None(module.to_owned())),
            DbRule::SqliteFolder(folder) => sqlite(module, &folder.join(format!("{module}.sqlite")), self.pooling),
            DbRule::SqliteFile(file) => sqlite(module, file, self.pooling),
            DbRule::Postgres { url, schema } => {
                postgres(module, url, schema.as_deref().unwrap_or(module), self.pooling)
            }
        }
    }
}
