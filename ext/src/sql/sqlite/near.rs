//! Short reads on the worker's own thread, which saves waking a connection's thread and the worker's.
//!
//! A read that turns out to be long is abandoned, which changes nothing, and runs on a connection's thread like any other
//! statement. So does one that fails, and its error is reported from there.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hashlink::LruCache;

use super::connection::{Connection, Place};
use super::execute;
use super::local::StatementStack;
use super::stop::Stop;
use crate::event::CpuBudget;
use crate::sql::call::{Budget, Payer};
use crate::sql::config::SqlConfig;
use crate::sql::lexer::Dialect;
use crate::sql::statement::{Kind, Statement, parse_one};
use crate::sql::value::{Param, ResultSet};

/// SQLite's instructions between two looks at a read. The second look ends it: after some tens of microseconds.
const INSTRUCTIONS: i32 = 1_000;
/// Time that a read may take, should its instructions be slow.
const TIME_MAX: Duration = Duration::from_micros(500);
/// Number of reads in a row of one statement that may take longer: its thread may have waited for a processor.
const SLOW_MAX: u32 = 3;
/// Rows of a result, and bytes of its values.
const ROWS_MAX: usize = 100;
const BYTES_MAX: usize = 64 << 10;
/// Number of reads on a connection's thread after one that was abandoned, by the same statement.
const PAUSE: u32 = 100;
/// Number of reads in a row, so that a script that only reads gives way to the other events of its worker.
const IN_A_ROW: u32 = 64;
/// Size of the connection's page cache, which a worker has for itself.
const CACHE_KIB: i32 = 512;
/// Number of statements whose checks are kept, and the length of each at most.
const STATEMENTS_KEPT: usize = 100;
const STATEMENT_LEN_MAX: usize = 4 << 10;

/// The connection of a worker for short reads of a database. A connection's thread opens it.
pub(crate) struct Near {
    config: SqlConfig,
    offered: Offered,
    is_asked_for: Cell<bool>,
    connection: RefCell<Option<NearConnection>>,
    statements: RefCell<LruCache<String, Known>>,
    in_a_row: Cell<u32>,
}

/// The place for a connection of another thread.
pub(crate) type Offered = Arc<Mutex<Option<Opened>>>;

/// A connection on its way to the thread of its worker.
pub(crate) struct Opened(Connection<rusqlite::Connection>);

struct NearConnection {
    connection: Connection,
    /// Number of looks at the read that runs.
    looks: Arc<AtomicU32>,
}

/// A statement, or `None` for one that does not only read.
struct Known {
    statement: Option<Arc<Statement>>,
    pause: u32,
    /// Number of reads in a row that took too long.
    slow: u32,
}

impl Opened {
    /// Opens a connection that does not wait for others.
    pub(super) fn new(place: &Place, config: &SqlConfig) -> Option<Self> {
        Connection::open_to_pass(place, config, |_| false).ok().map(Self)
    }
}

impl NearConnection {
    /// Makes it one that cannot write.
    fn of(Opened(connection): Opened) -> Option<Self> {
        let connection = connection.kept_here();
        let looks = Arc::<AtomicU32>::default();
        let counted = Arc::clone(&looks);
        let prepared = connection.guard.lifted(|| {
            connection.db.pragma_update(None, "query_only", true)?;
            connection.db.pragma_update(None, "cache_size", -CACHE_KIB)?;
            connection
                .db
                .progress_handler(INSTRUCTIONS, Some(move || counted.fetch_add(1, Ordering::Relaxed) > 0))
        });
        prepared.ok().map(|()| Self { connection, looks })
    }
}

impl Near {
    /// Creates it without a connection.
    pub(crate) fn new(config: &SqlConfig) -> Self {
        Self {
            config: config.clone(),
            offered: Offered::default(),
            is_asked_for: Cell::new(false),
            connection: RefCell::new(None),
            statements: RefCell::new(LruCache::new(STATEMENTS_KEPT)),
            in_a_row: Cell::new(0),
        }
    }

    /// Returns, once, the place for a connection that a thread is to open.
    pub(crate) fn asks(&self) -> Option<Offered> {
        self.in_a_row.set(0);
        (!self.is_asked_for.replace(true)).then(|| Arc::clone(&self.offered))
    }

    /// Runs a statement that reads little. `None`: it has to run on a connection's thread. `is_sized`: the result has the size of the
    /// database.
    pub(crate) fn read(
        &self,
        sql: &str,
        params: Vec<Param>,
        is_sized: bool,
        payer: Payer,
        stack: &StatementStack,
    ) -> Option<ResultSet> {
        let mut near = self.connection.try_borrow_mut().ok()?;
        if near.is_none() {
            *near = self.offered.try_lock().ok()?.take().and_then(NearConnection::of);
        }
        let near = near.as_mut()?;
        if self.in_a_row.get() >= IN_A_ROW || payer.cpu.used() > self.config.cpu {
            return None;
        }
        let statement = self.known(sql)?;
        if statement.params != params.len() {
            return None;
        }
        self.in_a_row.set(self.in_a_row.get() + 1);
        let began = Instant::now();
        let run = || near.run(&statement, params, is_sized, &self.config, payer);
        let result = stack.run(&self.config, run).ok().and_then(Result::ok);
        let took = began.elapsed();
        self.ran(sql, result.is_some(), took);
        let mut result = result?;
        result.duration = took.as_secs_f64() * 1000.0;
        Some(result)
    }

    /// Returns a checked statement, unless it does more than read or was long lately.
    fn known(&self, sql: &str) -> Option<Arc<Statement>> {
        if sql.len() > STATEMENT_LEN_MAX.min(self.config.statement_len_max) {
            return None;
        }
        let mut statements = self.statements.borrow_mut();
        if let Some(known) = statements.get_mut(sql) {
            if let Some(pause) = known.pause.checked_sub(1) {
                known.pause = pause;
                return None;
            }
            return known.statement.clone();
        }
        let statement = parse_one(sql, Dialect::Sqlite, self.config.params_max).ok();
        let statement = statement.filter(|statement| statement.kind == Kind::Read && !statement.is_pragma());
        let statement = statement.map(Arc::new);
        let known = Known {
            statement: statement.clone(),
            pause: 0,
            slow: 0,
        };
        statements.insert(sql.to_owned(), known);
        statement
    }

    /// Records a read, which decides about the next ones.
    fn ran(&self, sql: &str, is_done: bool, took: Duration) {
        let mut statements = self.statements.borrow_mut();
        let Some(known) = statements.get_mut(sql) else { return };
        known.slow = if took > TIME_MAX { known.slow + 1 } else { 0 };
        if !is_done || known.slow >= SLOW_MAX {
            (known.pause, known.slow) = (PAUSE, 0);
        }
    }
}

impl NearConnection {
    fn run(
        &mut self,
        statement: &Statement,
        params: Vec<Param>,
        is_sized: bool,
        config: &SqlConfig,
        payer: Payer,
    ) -> Result<ResultSet, execute::Ended> {
        let Payer { memory, cpu } = payer;
        let mut budget = Budget::up_to(
            ROWS_MAX.min(config.rows_max),
            BYTES_MAX.min(config.result_bytes_max),
            memory,
        );
        let interrupt = self.connection.db.get_interrupt_handle();
        // For native code, which asks that in its loops.
        let stop = Arc::new(Stop::new(
            Instant::now() + TIME_MAX,
            CpuBudget::new(cpu.clone(), config.cpu),
        ));
        self.looks.store(0, Ordering::Relaxed);
        stop.begin(self.connection.db.get_interrupt_handle());
        let mut result = ResultSet::default();
        let done = cpu.interruptible(
            move || interrupt.interrupt(),
            || execute::rows(&self.connection, statement, params, &mut budget, &mut result),
        );
        stop.end();
        done?;
        if is_sized {
            self.looks.store(0, Ordering::Relaxed);
            result.size_after = Some(self.connection.guard.lifted(|| self.connection.size())?);
        }
        Ok(result)
    }
}
