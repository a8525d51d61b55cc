//! Results of statements of a database with one owner that are read as their reader advances.
//!
//! An open statement is one of SQLite's read transactions: it goes on while other statements run, while a transaction is committed, and
//! while one is rolled back that has changed no table's definition.

use std::collections::BTreeMap;
use std::rc::Rc;

use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator as _;
use rusqlite::{CachedStatement, Rows};
use self_cell::{MutBorrow, self_cell};

use super::execute::{Ended, bind, names, values};
use crate::ledger::{Charge, MemoryLedger};
use crate::sql::call::{Budget, SqlError, Work};
use crate::sql::value::ResultSet;

/// Maximum number of open cursors of a database.
pub(super) const CURSORS_MAX: usize = 256;
/// Memory of a cursor: SQLite's own, for the statement and its place in each table.
const CURSOR_BYTES: usize = 16 << 10;

/// Maximum size of a page, beyond its first row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageSize {
    rows: usize,
    bytes: usize,
}

impl PageSize {
    /// The first row alone.
    pub(super) const FIRST: Self = Self { rows: 1, bytes: 0 };
    /// The whole result.
    pub(super) const WHOLE: Self = Self {
        rows: usize::MAX,
        bytes: usize::MAX,
    };
    /// For a reader that takes all rows before it does anything else.
    const ALL: Self = Self {
        rows: 1000,
        bytes: 1 << 20,
    };

    /// For a reader that takes one row after another. Pages grow while the reader changes nothing in between, whose changes
    /// would not be in rows that were read already.
    fn after(before: usize, has_changes: bool) -> Self {
        const ROWS_MAX: usize = 128;
        Self {
            rows: if has_changes { 1 } else { (before * 2).min(ROWS_MAX) },
            bytes: 256 << 10,
        }
    }
}

type Statement<'db> = MutBorrow<CachedStatement<'db>>;

self_cell!(
    struct Compiled {
        owner: Rc<rusqlite::Connection>,
        #[not_covariant]
        dependent: Statement,
    }
);

self_cell!(
    struct Running {
        owner: Compiled,
        #[not_covariant]
        dependent: Rows,
    }
);

/// A statement that stands at the next row of its result.
pub(super) struct Cursor {
    running: Running,
    /// The error in reading the next row.
    failed: Option<rusqlite::Error>,
    /// The number of rows of the last page, and of all changes to the database before it.
    rows: usize,
    changes: u64,
    _memory: Charge,
}

impl Cursor {
    /// Runs a statement up to its first row. Returns the names of its columns, too.
    pub(super) fn open(
        db: &Rc<rusqlite::Connection>,
        work: Work,
        memory: &MemoryLedger,
    ) -> rusqlite::Result<(Self, Vec<String>)> {
        let mut columns = Vec::new();
        let compiled = Compiled::try_new(Rc::clone(db), |db| {
            let mut statement = db.prepare_cached(&work.statement.sql)?;
            // Numbers are bound as in Durable Objects.
            bind(&mut statement, work.params, true)?;
            columns = names(&statement);
            Ok::<_, rusqlite::Error>(MutBorrow::new(statement))
        })?;
        let mut running = Running::new(compiled, |compiled| {
            compiled.with_dependent(|_, statement| statement.borrow_mut().raw_query())
        });
        running.with_dependent_mut(|_, rows| -> rusqlite::Result<()> {
            if let Some(row) = rows.next()? {
                // It is compiled again if the schema has changed since.
                columns = names(row.as_ref());
            }
            Ok(())
        })?;
        let cursor = Self {
            running,
            failed: None,
            rows: 0,
            changes: db.total_changes(),
            _memory: memory.charge(CURSOR_BYTES),
        };
        Ok((cursor, columns))
    }

    /// The size of the next page for a reader that takes one row after another.
    fn page_size(&mut self) -> PageSize {
        let db = self.running.borrow_owner().borrow_owner();
        let changes = db.total_changes();
        PageSize::after(self.rows, std::mem::replace(&mut self.changes, changes) != changes)
    }

    /// Reads rows. Afterwards, the statement stands at the row that follows them.
    pub(super) fn read(&mut self, size: PageSize, budget: &mut Budget, result: &mut ResultSet) -> Result<(), Ended> {
        if let Some(error) = self.failed.take() {
            return Err(error.into());
        }
        let failed = &mut self.failed;
        self.running.with_dependent_mut(|_, rows| {
            let mut bytes = 0;
            while let Some(row) = rows.get() {
                let row = values(row, row.as_ref().column_count())?;
                bytes += budget.take(&row, result).map_err(Ended::Limit)?;
                result.rows.push(row);
                // The rows before an error come first.
                *failed = rows.advance().err();
                if result.rows.len() >= size.rows || bytes >= size.bytes {
                    break;
                }
            }
            Ok::<(), Ended>(())
        })?;
        self.rows = result.rows.len();
        Ok(())
    }

    /// Returns whether no row, and no error, follows.
    pub(super) fn is_done(&self) -> bool {
        self.failed.is_none() && self.running.with_dependent(|_, rows| rows.get().is_none())
    }
}

/// The open cursors of a database. With more than [`CURSORS_MAX`], the first is closed.
#[derive(Default)]
pub(super) struct Cursors {
    open: BTreeMap<u32, Cursor>,
    next: u32,
}

impl Cursors {
    /// Keeps a cursor. Returns its number.
    pub(super) fn keep(&mut self, cursor: Cursor) -> u32 {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        if self.open.len() >= CURSORS_MAX {
            self.open.pop_first();
        }
        self.open.insert(id, cursor);
        id
    }

    /// Reads the next rows of a cursor: as many as fit, if the reader takes all. Closes it after the last, and after an error.
    pub(super) fn read(&mut self, id: u32, takes_all: bool, budget: &mut Budget) -> Result<ResultSet, Ended> {
        let mut cursor = self.open.remove(&id).ok_or(Ended::Limit(SqlError::CursorClosed))?;
        let size = if takes_all { PageSize::ALL } else { cursor.page_size() };
        let mut result = ResultSet::default();
        cursor.read(size, budget, &mut result)?;
        if !cursor.is_done() {
            self.open.insert(id, cursor);
            result.cursor = Some(id);
        }
        Ok(result)
    }

    pub(super) fn close(&mut self, id: u32) {
        self.open.remove(&id);
    }

    pub(super) fn close_all(&mut self) {
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::PageSize;

    #[test]
    fn pages_grow_while_nothing_changes() {
        let rows = |before, has_changes| PageSize::after(before, has_changes).rows;
        assert_eq!([rows(1, false), rows(2, false), rows(128, false)], [2, 4, 128]);
        assert_eq!(rows(128, true), 1);
    }
}
