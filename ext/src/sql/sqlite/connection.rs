//! A connection, opened with SQLite's limits, and cleaned after every call.

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use deno_core::url::form_urlencoded;
use percent_encoding::percent_decode_str;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{OpenFlags, ffi};

use super::authorize::{Guard, ROWID_TABLE};
use super::functions;
use super::nesting::Nesting;
use crate::sql::call::SqlError;
use crate::sql::config::SqlConfig;
use crate::storage::sqlite::{patiently, write_ahead};

/// Number of compiled statements kept per connection.
const STATEMENTS_KEPT: usize = 100;
/// Size of the page cache of a connection that has its file to itself.
pub(super) const OWN_CACHE_KIB: i32 = 512;
/// Size to which the log of such a file is cut after a large transaction.
const OWN_LOG_BYTES: u32 = 4 << 20;

/// The location of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Memory,
    /// A file that no other connection uses.
    Own(PathBuf),
    File {
        path: PathBuf,
        flags: OpenFlags,
    },
}

impl Place {
    pub(super) fn of(url: &str) -> Result<Self, SqlError> {
        let (database, query) = url.split_once('?').unwrap_or((url, ""));
        let path = database.strip_prefix("sqlite:").unwrap_or(database);
        let path = percent_decode_str(path.strip_prefix("//").unwrap_or(path)).decode_utf8();
        let path = path.map_err(|error| SqlError::Url(format!("its path is not UTF-8: {error}")))?;
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut in_memory = database.ends_with(":memory:");
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match (&*key, &*value) {
                ("mode", "memory") => in_memory = true,
                ("mode", "ro") => flags = OpenFlags::SQLITE_OPEN_READ_ONLY,
                ("mode", "rw" | "rwc") | ("cache", "private" | "shared") | ("immutable", "0" | "false") => {}
                ("mode" | "cache", value) => {
                    return Err(SqlError::Url(format!(
                        "unknown value {value:?} of the parameter '{key}'"
                    )));
                }
                (key, _) => return Err(SqlError::Url(format!("the parameter '{key}' is not supported"))),
            }
        }
        // A connection is only used by its own thread.
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Ok(match in_memory {
            true => Self::Memory,
            false => Self::File {
                path: PathBuf::from(&*path),
                flags,
            },
        })
    }
}

/// `Connection<rusqlite::Connection>` may go to another thread, which [keeps](Connection::kept_here) it.
pub(super) struct Connection<D = Rc<rusqlite::Connection>> {
    pub(super) db: D,
    pub(super) guard: Guard,
    /// It has its file to itself. Numbers are always bound as floating point, as in Durable Objects.
    pub(super) is_own: bool,
    pub(super) timeout: Duration,
    page_size: u64,
    /// The known size of its schema.
    pub(super) nesting: Option<Nesting>,
    /// Number of changed rows when it was last cleaned.
    changes: u64,
    /// True if a statement of the call may have left a setting.
    pub(super) used_pragma: bool,
}

impl Connection<rusqlite::Connection> {
    /// Makes it one of this thread.
    pub(super) fn kept_here(self) -> Connection {
        Connection {
            db: Rc::new(self.db),
            guard: self.guard,
            is_own: self.is_own,
            timeout: self.timeout,
            page_size: self.page_size,
            nesting: self.nesting,
            changes: self.changes,
            used_pragma: self.used_pragma,
        }
    }

    /// Opens one for another thread.
    pub(super) fn open_to_pass(place: &Place, config: &SqlConfig, busy: fn(i32) -> bool) -> Result<Self, SqlError> {
        let opened = || -> rusqlite::Result<Self> {
            let db = match place {
                Place::Memory => rusqlite::Connection::open_in_memory()?,
                Place::Own(path) => {
                    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
                    let db = rusqlite::Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
                    own(&db)?;
                    db
                }
                Place::File { path, flags } => rusqlite::Connection::open_with_flags(path, *flags)?,
            };
            db.busy_handler(Some(busy))?;
            db.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
            limit(&db, config)?;
            if !matches!(place, Place::Memory) {
                write_ahead(&db)?;
            }
            db.pragma_update(None, "foreign_keys", true)?;
            // Sorting and grouping use memory, which SQLite counts, instead of files of any size.
            db.pragma_update(None, "temp_store", "memory")?;
            functions::install(&db)?;
            let page_size = db.query_row("PRAGMA page_size", [], |row| row.get::<_, u32>(0))?;
            let pages_max = (config.database_len_max / u64::from(page_size)).clamp(1, u32::MAX.into());
            db.query_row(&format!("PRAGMA max_page_count = {pages_max}"), [], |_| Ok(()))?;
            let is_own = matches!(place, Place::Own(_));
            let guard = Guard::new(is_own);
            let asked = guard.clone();
            db.authorizer(Some(move |context: rusqlite::hooks::AuthContext<'_>| {
                asked.ask(context)
            }))?;
            Ok(Self {
                changes: db.total_changes(),
                db,
                guard,
                is_own,
                page_size: page_size.into(),
                nesting: None,
                timeout: config.timeout,
                used_pragma: false,
            })
        };
        // Others may create the file at the same time.
        patiently(opened).map_err(|error| failed(&error))
    }
}

impl Connection {
    pub(super) fn open(place: &Place, config: &SqlConfig, busy: fn(i32) -> bool) -> Result<Self, SqlError> {
        Connection::open_to_pass(place, config, busy).map(Connection::kept_here)
    }

    /// Size of the database in bytes.
    pub(super) fn size(&self) -> rusqlite::Result<u64> {
        let mut pages = self.db.prepare_cached("PRAGMA page_count")?;
        let pages: u32 = pages.query_row([], |row| row.get(0))?;
        Ok(u64::from(pages) * self.page_size)
    }

    /// Removes state that a call may have left: an open transaction, settings, the numbers of the last change. Returns
    /// `false` if that fails; the connection is then closed.
    pub(super) fn clean(&mut self) -> bool {
        if !self.db.is_autocommit() {
            self.nesting = None;
        }
        let changed = self.db.total_changes() != self.changes;
        let used_pragma = std::mem::take(&mut self.used_pragma);
        let cleaned = self.guard.lifted(|| -> rusqlite::Result<()> {
            if !self.db.is_autocommit() {
                self.db.execute_batch("ROLLBACK")?;
            }
            if used_pragma {
                self.db.execute_batch("PRAGMA defer_foreign_keys = 0")?;
            }
            if changed {
                self.forget_changes()?;
            }
            Ok(())
        });
        self.changes = self.db.total_changes();
        cleaned.is_ok()
    }

    /// Resets `last_insert_rowid()` and `changes()` to zero.
    fn forget_changes(&self) -> rusqlite::Result<()> {
        let insert = format!("INSERT OR REPLACE INTO temp.{ROWID_TABLE} (rowid) VALUES (0)");
        if self
            .db
            .prepare_cached(&insert)
            .and_then(|mut insert| insert.execute([]))
            .is_err()
        {
            self.db
                .execute_batch(&format!("CREATE TEMP TABLE IF NOT EXISTS {ROWID_TABLE} (a)"))?;
            self.db.prepare_cached(&insert)?.execute([])?;
        }
        let delete = format!("DELETE FROM temp.{ROWID_TABLE} WHERE 0");
        self.db.prepare_cached(&delete)?.execute([]).map(drop)
    }
}

/// Prepares a connection that has its file to itself: without shared memory, and with a small cache. Its commits are synced by
/// its owner, so that the owner's thread does not wait for the disk.
fn own(db: &rusqlite::Connection) -> rusqlite::Result<()> {
    db.query_row("PRAGMA locking_mode = exclusive", [], |_| Ok(()))?;
    db.pragma_update(None, "synchronous", "normal")?;
    db.pragma_update(None, "cache_size", -OWN_CACHE_KIB)?;
    db.query_row(&format!("PRAGMA journal_size_limit = {OWN_LOG_BYTES}"), [], |_| Ok(()))
}

/// Sets SQLite's own limits.
fn limit(db: &rusqlite::Connection, config: &SqlConfig) -> rusqlite::Result<()> {
    let number = |limit: usize| i32::try_from(limit).unwrap_or(i32::MAX);
    for (limit, max) in [
        (Limit::SQLITE_LIMIT_LENGTH, number(config.value_len_max)),
        // Numbered parameters are longer than the original ones.
        (
            Limit::SQLITE_LIMIT_SQL_LENGTH,
            number(config.statement_len_max.saturating_mul(2).max(1_000_000)),
        ),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, number(config.pattern_len_max)),
        // Checked before; SQLite's own modules for full text and ranges bind more.
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, number(config.params_max.max(2000))),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 1000),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 500),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, 127),
        (Limit::SQLITE_LIMIT_VDBE_OP, 1_000_000),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 100),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        db.set_limit(limit, max)?;
    }
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // It can only be lowered, so the lowest value of all databases applies.
    let max = i64::try_from(config.sqlite_memory_max).unwrap_or(i64::MAX);
    db.query_row(&format!("PRAGMA hard_heap_limit = {max}"), [], |_| Ok(()))
}

/// Converts an error of SQLite to D1's form: the message and the name of the code.
pub(super) fn failed(error: &rusqlite::Error) -> SqlError {
    let (error, message) = match error {
        rusqlite::Error::SqliteFailure(error, message) => (error, message.clone().unwrap_or_else(|| error.to_string())),
        // Where in the statement, as D1 says it: https://developers.cloudflare.com/d1/observability/debug-d1/.
        rusqlite::Error::SqlInputError { error, msg, offset, .. } => (error, format!("{msg} at offset {offset}")),
        error => return SqlError::Connection(error.to_string()),
    };
    SqlError::Database {
        message,
        code: match extended(error.extended_code) {
            Some(kind) => format!("{} (extended: {kind})", code(error.extended_code)),
            None => code(error.extended_code).to_owned(),
        },
    }
}

/// The name of a result code, or of the low byte of an extended one.
fn code(extended: i32) -> &'static str {
    match extended & 0xff {
        3 => "SQLITE_PERM",
        4 => "SQLITE_ABORT",
        5 => "SQLITE_BUSY",
        6 => "SQLITE_LOCKED",
        7 => "SQLITE_NOMEM",
        8 => "SQLITE_READONLY",
        9 => "SQLITE_INTERRUPT",
        10 => "SQLITE_IOERR",
        11 => "SQLITE_CORRUPT",
        13 => "SQLITE_FULL",
        14 => "SQLITE_CANTOPEN",
        17 => "SQLITE_SCHEMA",
        18 => "SQLITE_TOOBIG",
        19 => "SQLITE_CONSTRAINT",
        20 => "SQLITE_MISMATCH",
        23 => "SQLITE_AUTH",
        25 => "SQLITE_RANGE",
        26 => "SQLITE_NOTADB",
        _ => "SQLITE_ERROR",
    }
}

/// The name of an extended result code, of those that programs may look for: https://www.sqlite.org/rescode.html.
fn extended(code: i32) -> Option<&'static str> {
    Some(match code {
        ffi::SQLITE_ABORT_ROLLBACK => "SQLITE_ABORT_ROLLBACK",
        ffi::SQLITE_CONSTRAINT_CHECK => "SQLITE_CONSTRAINT_CHECK",
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => "SQLITE_CONSTRAINT_FOREIGNKEY",
        ffi::SQLITE_CONSTRAINT_NOTNULL => "SQLITE_CONSTRAINT_NOTNULL",
        ffi::SQLITE_CONSTRAINT_PRIMARYKEY => "SQLITE_CONSTRAINT_PRIMARYKEY",
        ffi::SQLITE_CONSTRAINT_TRIGGER => "SQLITE_CONSTRAINT_TRIGGER",
        ffi::SQLITE_CONSTRAINT_UNIQUE => "SQLITE_CONSTRAINT_UNIQUE",
        ffi::SQLITE_CONSTRAINT_VTAB => "SQLITE_CONSTRAINT_VTAB",
        ffi::SQLITE_CONSTRAINT_ROWID => "SQLITE_CONSTRAINT_ROWID",
        ffi::SQLITE_CONSTRAINT_DATATYPE => "SQLITE_CONSTRAINT_DATATYPE",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Place;

    #[test]
    fn the_file_of_a_url() {
        for (url, expected) in [
            ("sqlite:data/app.sqlite", "data/app.sqlite"),
            ("sqlite:///data/app.sqlite?mode=rwc", "/data/app.sqlite"),
            ("sqlite://app.db?mode=ro&cache=shared", "app.db"),
            ("sqlite:what%3F.db", "what?.db"),
        ] {
            let Ok(Place::File { path, .. }) = Place::of(url) else {
                panic!("{url}");
            };
            assert_eq!(path, Path::new(expected), "{url}");
        }
        for url in ["sqlite::memory:", "sqlite://:memory:", "sqlite:any.db?mode=memory"] {
            assert_eq!(Place::of(url).unwrap(), Place::Memory, "{url}");
        }
    }

    #[test]
    fn parameters_that_are_not_known_are_refused() {
        for (url, expected) in [
            (
                "sqlite:a.db?mode=write",
                "unknown value \"write\" of the parameter 'mode'",
            ),
            (
                "sqlite:a.db?cache=all",
                "unknown value \"all\" of the parameter 'cache'",
            ),
            ("sqlite:a.db?immutable=1", "the parameter 'immutable' is not supported"),
            ("sqlite:a.db?vfs=x", "the parameter 'vfs' is not supported"),
            ("sqlite:%ff.db", "its path is not UTF-8"),
        ] {
            let error = Place::of(url).unwrap_err().to_string();
            assert!(error.contains(expected), "{url}: {error}");
        }
    }
}
