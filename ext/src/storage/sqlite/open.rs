//! Opening of a file, with creation of missing folders and tables.

use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::Options;
use crate::storage::StorageError;

/// Time to wait for the lock of another connection.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Time to wait for another process that creates the file.
const CREATION_WAIT: Duration = Duration::from_secs(5);
/// Size to which the log is cut after a large transaction.
const LOG_BYTES_MAX: i64 = 64 << 20;
/// Number of compiled statements kept for a connection.
const STATEMENTS_KEPT: usize = 32;

/// The tables of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schema {
    /// The number of this schema, kept in the file.
    pub(crate) version: i64,
    /// The statements that create it in an empty file.
    pub(crate) create: &'static str,
}

/// The use of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Reads,
    Writes,
}

/// Opens the file for a thread.
pub(super) fn open(options: &Options, used: Use) -> Result<Connection, StorageError> {
    let path = options.path.display();
    if let Some(folder) = options.path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| StorageError::Failed(format!("cannot create the folder of {path}: {error}")))?;
    }
    let opened = patiently(|| connect(options, used));
    let connection = opened.map_err(|error| StorageError::Failed(format!("cannot open {path}: {error}")))?;
    let created = patiently(|| create(&connection, options.schema));
    let version = created.and_then(|version| {
        // After the tables were created.
        connection.pragma_update(None, "query_only", used == Use::Reads)?;
        Ok(version)
    });
    let version = version.map_err(|error| StorageError::Failed(format!("cannot prepare {path}: {error}")))?;
    if version != options.schema.version {
        return Err(StorageError::Failed(format!(
            "{path} has version {version} of its format, and this build needs {}",
            options.schema.version
        )));
    }
    Ok(connection)
}

fn connect(options: &Options, used: Use) -> rusqlite::Result<Connection> {
    // A connection is only used by its own thread.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&options.path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    write_ahead(&connection)?;
    // A committed transaction is on disk, and not only in the system's memory.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
    if used == Use::Writes {
        let page_size = connection.query_row("PRAGMA page_size", [], |row| row.get::<_, u32>(0))?;
        let pages_max = (options.bytes_max / u64::from(page_size)).clamp(1, u32::MAX.into());
        connection.query_row(&format!("PRAGMA max_page_count = {pages_max}"), [], |_| Ok(()))?;
    }
    Ok(connection)
}

/// Creates the tables in an empty file. Returns the version of the file's schema.
fn create(connection: &Connection, schema: Schema) -> rusqlite::Result<i64> {
    let version = || connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    match version()? {
        0 => {}
        version => return Ok(version),
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let created = || -> rusqlite::Result<i64> {
        // Another connection may have created them meanwhile.
        if version()? == 0 {
            connection.execute_batch(schema.create)?;
            connection.pragma_update(None, "user_version", schema.version)?;
        }
        connection.execute_batch("COMMIT")?;
        version()
    };
    created().inspect_err(|_| drop(connection.execute_batch("ROLLBACK")))
}

/// Enables WAL mode, for readers beside a writer. The mode is stored in the file; changing it requires exclusive access once.
pub(crate) fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    patiently(|| {
        let mode = connection.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0))?;
        if mode == "wal" || connection.is_readonly("main")? {
            return Ok(());
        }
        connection.query_row("PRAGMA journal_mode = wal", [], |_| Ok(()))
    })
}

/// Repeats a step while another process holds locks that the creation of a file needs. SQLite does not wait for all of them
/// itself.
pub(crate) fn patiently<T>(step: impl Fn() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let began = Instant::now();
    loop {
        match step() {
            Err(rusqlite::Error::SqliteFailure(error, _))
                if matches!(error.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
                    && began.elapsed() < CREATION_WAIT =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}
