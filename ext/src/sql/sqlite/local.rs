//! A database with one owner, used on the owner's thread: each call returns when it is done.
//!
//! The limits and refusals are those of SQL bindings. Statements of scripts run on a stack of their own, because a hostile one
//! can make SQLite recurse deeper than a thread's stack permits.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use corosensei::on_stack;
use corosensei::stack::{DefaultStack, Stack as _};

use super::connection::{Connection, Place, failed};
use super::cursor::{Cursor, Cursors, PageSize};
use super::execute::{self, Ended};
use super::stop::Stop;
use crate::event::CpuBudget;
use crate::ledger::MemoryLedger;
use crate::sql::call::{Budget, Payer, SqlError, Work};
use crate::sql::config::SqlConfig;
use crate::sql::lexer::Dialect;
use crate::sql::statement::{Kind, StatementError, parse};
use crate::sql::value::{Param, ResultSet};

/// Instructions of SQLite's virtual machine between checks for a stop; some tens of microseconds.
const INSTRUCTIONS_BETWEEN_CHECKS: i32 = 10_000;
/// Number of queries whose plans are remembered.
const QUERIES_MAX: usize = 100;
/// Maximum size of a row, as on the platform: that of a value of 2 MiB with some bytes around it.
pub(crate) const ROW_BYTES_MAX: usize = 2_200_000;
/// A time limit that no statement reaches.
const FOREVER: Duration = Duration::from_secs(1 << 32);

/// Stack for SQLite's work on statements and schemas: up to 2 KB for each level that `nesting.rs` permits.
const STACK_BYTES: usize = 32 << 20;
/// Stack per byte of the maximum value length: SQLite's JSON functions recurse into binary JSON, in which a level has
/// five bytes, and use up to 650 bytes per level (`json_extract` with an equally deep path, compiled without
/// optimization).
const STACK_BYTES_PER_VALUE_BYTE: usize = 160;

/// The stack that statements need. Only the part in use takes memory.
pub(super) fn stack_bytes(config: &SqlConfig) -> usize {
    STACK_BYTES + config.value_len_max.saturating_mul(STACK_BYTES_PER_VALUE_BYTE)
}

/// The stack on which the databases of a thread run statements. Created on first use.
#[derive(Default)]
pub(crate) struct StatementStack(RefCell<Option<DefaultStack>>);

impl StatementStack {
    /// Runs statements of a database with these limits.
    pub(super) fn run<T>(&self, config: &SqlConfig, run: impl FnOnce() -> T) -> Result<T, SqlError> {
        let mut stack = self.0.borrow_mut();
        let stack = match &mut *stack {
            Some(stack) if stack.base().get() - stack.limit().get() >= stack_bytes(config) => stack,
            other => {
                let made = DefaultStack::new(stack_bytes(config));
                let made = made.map_err(|error| SqlError::Connection(format!("no room for its stack: {error}")))?;
                other.insert(made)
            }
        };
        Ok(on_stack(stack, run))
    }
}

/// A database of one owner.
pub(crate) struct LocalDatabase {
    cursors: Cursors,
    /// The queries of which [`holds_rows`](Self::holds_rows) is known, up to [`QUERIES_MAX`].
    queries: HashMap<String, bool>,
    connection: Connection,
    config: SqlConfig,
}

impl LocalDatabase {
    /// Opens a file, and creates it if it is missing. No other connection may use it meanwhile. `bytes_max`: its maximum size.
    pub(crate) fn open(path: PathBuf, bytes_max: u64) -> Result<Self, SqlError> {
        let config = SqlConfig::new("")
            .database_len_max(bytes_max)
            .value_len_max(ROW_BYTES_MAX);
        let connection = Connection::open(&Place::Own(path), &config, |_| false)?;
        Ok(Self {
            cursors: Cursors::default(),
            queries: HashMap::new(),
            connection,
            config,
        })
    }

    /// Runs statements of the owner, without restrictions.
    pub(crate) fn own<T>(&self, run: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T>) -> Result<T, SqlError> {
        let done = self.connection.guard.lifted(|| run(&self.connection.db));
        done.map_err(|error| failed(&error))
    }

    /// Returns true unless a transaction is open.
    pub(crate) fn is_autocommit(&self) -> bool {
        self.connection.db.is_autocommit()
    }

    /// Size in bytes.
    pub(crate) fn size(&self) -> Result<u64, SqlError> {
        let size = self.connection.guard.lifted(|| self.connection.size());
        size.map_err(|error| failed(&error))
    }

    /// Checks a text of statements of a script, whose last one has these parameters.
    pub(crate) fn check(&self, sql: &str, params: Vec<Param>) -> Result<Checked, SqlError> {
        let max = self.config.statement_len_max;
        if sql.len() > max {
            return Err(SqlError::StatementTooLong { len: sql.len(), max });
        }
        let parsed = parse(sql, Dialect::Sqlite, self.config.params_max);
        let mut statements = parsed.map_err(|error| match error {
            StatementError::Transaction(_) => SqlError::Transaction,
            error => error.into(),
        })?;
        if statements.len() > self.config.statements_max {
            return Err(SqlError::Statements(self.config.statements_max));
        }
        let Some(last) = statements.pop() else {
            return Err(StatementError::Empty.into());
        };
        let without = |statement| Work {
            statement,
            params: Vec::new(),
        };
        let mut work: Vec<_> = statements.into_iter().map(without).collect();
        work.push(Work {
            statement: last,
            params,
        });
        match work.iter().all(|work| work.statement.params == work.params.len()) {
            true => Ok(Checked(work)),
            false => Err(SqlError::Bindings),
        }
    }

    /// Runs statements, and returns the result of the last: its first row and a cursor of the others, if SQLite needs no memory for
    /// them before they are read, or all rows. They end when the charged event has used up its CPU time.
    pub(crate) fn run(
        &mut self,
        checked: Checked,
        payer: Payer,
        stack: &StatementStack,
    ) -> Result<ResultSet, SqlError> {
        self.interruptible(payer, stack, |db, budget, memory, stop| {
            let mut statements = checked.0;
            let last = statements.pop();
            let mut changes = 0;
            for work in statements {
                changes += db.one(work, budget, stop)?.changes;
            }
            let mut result = match last {
                Some(work) if work.statement.is_query() => db.query(work, budget, memory, stop)?,
                Some(work) => db.one(work, budget, stop)?,
                None => ResultSet::default(),
            };
            result.changes += changes;
            Ok(result)
        })
    }

    /// Reads the next rows of a cursor: a few, or as many as fit, if the reader takes all.
    pub(crate) fn read(
        &mut self,
        cursor: u32,
        takes_all: bool,
        payer: Payer,
        stack: &StatementStack,
    ) -> Result<ResultSet, SqlError> {
        self.interruptible(payer, stack, |db, budget, _, stop| {
            let read = db.cursors.read(cursor, takes_all, budget);
            read.map_err(|ended| ended.error(&db.connection, stop))
        })
    }

    pub(crate) fn close_cursor(&mut self, cursor: u32) {
        self.cursors.close(cursor);
    }

    pub(crate) fn close_cursors(&mut self) {
        self.cursors.close_all();
    }

    /// Runs statements of a script on their stack, until the charged event has used up its CPU time.
    fn interruptible(
        &mut self,
        Payer { memory, cpu }: Payer,
        stack: &StatementStack,
        run: impl FnOnce(&mut Self, &mut Budget, &MemoryLedger, &Stop) -> Result<ResultSet, SqlError>,
    ) -> Result<ResultSet, SqlError> {
        let config = self.config.clone();
        let mut budget = Budget::new(&config, memory.clone());
        let (ending, interrupted) = (cpu.clone(), cpu.clone());
        // They run on the event's own thread, so the limit on the event's time applies.
        let stop = Stop::new(Instant::now() + FOREVER, CpuBudget::new(cpu, Duration::MAX));
        let stop = Arc::new(stop);
        stop.begin(self.connection.db.get_interrupt_handle());
        let asked = Arc::clone(&stop);
        let db = &self.connection.db;
        db.progress_handler(
            INSTRUCTIONS_BETWEEN_CHECKS,
            Some(move || ending.is_ending() || asked.reason().is_some()),
        )
        .map_err(|error| failed(&error))?;
        // Full-text search runs so few instructions for much work that the handler is rarely called.
        let handle = self.connection.db.get_interrupt_handle();
        let result = interrupted.interruptible(
            move || handle.interrupt(),
            || stack.run(&config, || run(self, &mut budget, &memory, &stop)),
        );
        stop.end();
        // The owner's own statements are short.
        let cleared = self.connection.db.progress_handler(0, None::<fn() -> bool>);
        cleared.map_err(|error| failed(&error))?;
        result?
    }

    fn query(
        &mut self,
        work: Work,
        budget: &mut Budget,
        memory: &MemoryLedger,
        stop: &Stop,
    ) -> Result<ResultSet, SqlError> {
        let sql = work.statement.sql.clone();
        let begun = (|| -> Result<_, Ended> {
            let (mut cursor, columns) = Cursor::open(&self.connection.db, work, memory)?;
            let mut result = ResultSet {
                columns,
                ..ResultSet::default()
            };
            cursor.read(PageSize::FIRST, budget, &mut result)?;
            if cursor.is_done() {
                return Ok((result, None));
            }
            if !self.holds_rows(&sql)? {
                return Ok((result, Some(cursor)));
            }
            while !cursor.is_done() {
                cursor.read(PageSize::WHOLE, budget, &mut result)?;
            }
            Ok((result, None))
        })();
        let (mut result, cursor) = begun.map_err(|ended| ended.error(&self.connection, stop))?;
        result.cursor = cursor.map(|cursor| self.cursors.keep(cursor));
        Ok(result)
    }

    /// Returns whether SQLite keeps rows of a query in memory while it is open: to sort them, to know which there were, or for a
    /// virtual table.
    fn holds_rows(&mut self, sql: &str) -> rusqlite::Result<bool> {
        if let Some(known) = self.queries.get(sql) {
            return Ok(*known);
        }
        let mut explain = self.connection.db.prepare(&format!("EXPLAIN {sql}"))?;
        let mut instructions = explain.raw_query();
        let mut holds_rows = false;
        while let Some(instruction) = instructions.next()? {
            let code = instruction.get_ref(1)?.as_str()?;
            holds_rows |= matches!(code, "SorterOpen" | "OpenEphemeral" | "OpenAutoindex" | "VOpen");
        }
        if self.queries.len() >= QUERIES_MAX {
            self.queries.clear();
        }
        self.queries.insert(sql.to_owned(), holds_rows);
        Ok(holds_rows)
    }

    fn one(&mut self, work: Work, budget: &mut Budget, stop: &Stop) -> Result<ResultSet, SqlError> {
        // Another plan may be better afterwards.
        if work.statement.kind == Kind::Schema || work.statement.is_pragma() {
            self.queries.clear();
        }
        if work.statement.kind != Kind::Schema {
            return execute::one(&mut self.connection, work, budget, stop);
        }
        // A refused schema is rolled back, because it is only checked after the statement has run.
        self.own(|db| db.execute_batch("SAVEPOINT isopod_schema"))?;
        let result = execute::one(&mut self.connection, work, budget, stop);
        if self.is_autocommit() {
            return result;
        }
        // The cursor of a table that was not dropped for its sake goes on.
        let is_locked = matches!(&result, Err(SqlError::Database { code, .. }) if code == "SQLITE_LOCKED");
        if result.is_err() && !is_locked {
            self.connection.nesting = None;
            self.own(|db| db.execute_batch("ROLLBACK TO isopod_schema"))?;
        }
        self.own(|db| db.execute_batch("RELEASE isopod_schema"))?;
        result
    }
}

/// Statements that were checked, and the values of their parameters.
pub(crate) struct Checked(Vec<Work>);

impl Checked {
    /// Returns true if one of them may change the database.
    pub(crate) fn writes(&self) -> bool {
        self.0.iter().any(|work| work.statement.kind != Kind::Read)
    }
}
