//! SQL: permitted statements change nothing in a real SQLite but their own database, and parsing the rewritten text
//! gives the same result.

use std::cell::RefCell;

use isopod_ext::fuzzing::{Dialect, Parsed, statements};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use tokio::runtime::Runtime;

use crate::engine::Target;
use crate::mutate::mutated;

const PARAMS_MAX: usize = 100;

const WORDS: &[&str] = &[
    ";",
    "'",
    "\"",
    "`",
    "[",
    "]",
    "--",
    "/*",
    "*/",
    "\n",
    "?",
    "?1",
    "??",
    "$1",
    ":a",
    "@a",
    "$$",
    "$t$",
    "\\",
    "E'",
    "x'00'",
    "ATTACH '",
    "' AS b",
    "PRAGMA ",
    "journal_mode=off",
    "main.",
    "temp.",
    "BEGIN",
    "END",
    "CREATE TRIGGER t AFTER INSERT ON a BEGIN ",
    "VACUUM INTO 'f'",
    "CREATE TEMP TABLE",
    "EXPLAIN ",
    "QUERY PLAN ",
    "WITH x AS (SELECT 1) ",
    "DETACH main",
    "INSERT INTO a VALUES(1)",
    "SELECT ",
    "load_extension(",
    "CASE WHEN 1 THEN 2 END",
    "SAVEPOINT s",
    "\u{feff}",
    "\u{0c}",
    "\u{0b}",
    "\u{a0}",
    "\0",
    "pragma_database_list",
    "(",
    ")",
    ",",
    "=",
    "temp",
];

/// SQLite's virtual machine is stopped after this many thousand instructions.
const INSTRUCTIONS_MAX: usize = 2000;

/// Queries for a connection's state, as text. The last of them fails inside a transaction.
const STATE: &[&str] = &[
    "SELECT group_concat(name) FROM pragma_database_list",
    "SELECT count(*) || ' temporary' FROM sqlite_temp_schema",
    "SELECT journal_mode FROM pragma_journal_mode",
    "SELECT foreign_keys || ' foreign keys' FROM pragma_foreign_keys",
    "SELECT query_only || ' query only' FROM pragma_query_only",
    "SELECT recursive_triggers || ' recursive triggers' FROM pragma_recursive_triggers",
    "SELECT locking_mode FROM pragma_locking_mode",
    "SELECT temp_store || ' temp store' FROM pragma_temp_store",
];

/// An in-memory database, reused as long as it is unchanged.
struct Sqlite {
    runtime: Runtime,
    connection: RefCell<Option<SqliteConnection>>,
    fresh: String,
}

impl Sqlite {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let fresh = runtime.block_on(async { state(&mut connect().await).await });
        Self {
            runtime,
            connection: RefCell::new(None),
            fresh,
        }
    }

    /// Runs statements as a worker's binding does, and compares the state afterwards.
    fn run(&self, parsed: &[Parsed]) {
        let kept = self.connection.borrow_mut().take();
        let kept = self.runtime.block_on(async {
            let mut connection = match kept {
                Some(connection) => connection,
                None => connect().await,
            };
            for statement in parsed {
                run(&mut connection, statement).await;
            }
            assert_eq!(state(&mut connection).await, self.fresh, "{parsed:?}");
            // A changed table would affect the next text.
            let untouched = "SELECT count(*) || sql FROM sqlite_schema";
            let as_before = text(&mut connection, untouched).await == "1CREATE TABLE a(x)";
            as_before.then_some(connection)
        });
        *self.connection.borrow_mut() = kept;
    }
}

async fn run(connection: &mut SqliteConnection, statement: &Parsed) {
    let mut left = INSTRUCTIONS_MAX;
    let count = move || {
        left = left.saturating_sub(1);
        left > 0
    };
    connection
        .lock_handle()
        .await
        .expect("the connection")
        .set_progress_handler(1000, count);
    let before = text(connection, "SELECT total_changes()").await;
    let query = sqlx::query(AssertSqlSafe(statement.sql.clone()));
    let query = (0..statement.params).fold(query, |query, _| query.bind(1));
    // Most of them are invalid, which only the database can detect.
    let ran = query.fetch_all(&mut *connection).await.is_ok();
    connection
        .lock_handle()
        .await
        .expect("the connection")
        .remove_progress_handler();
    if ran && !statement.changes {
        assert_eq!(
            text(connection, "SELECT total_changes()").await,
            before,
            "it only reads: {}",
            statement.sql
        );
    }
}

async fn connect() -> SqliteConnection {
    let options = SqliteConnectOptions::new().in_memory(true).disable_statement_logging();
    let mut connection = options.connect().await.expect("a database in memory");
    let table = sqlx::query("CREATE TABLE a(x)").execute(&mut connection).await;
    table.expect("a table");
    // Reading the temporary schema creates one, which is listed from then on.
    text(&mut connection, STATE[1]).await;
    connection
}

/// The first value of the first row.
async fn text(connection: &mut SqliteConnection, sql: &'static str) -> String {
    let row = sqlx::query(sql)
        .fetch_one(connection)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let number = || row.try_get::<i64, _>(0).map(|number| number.to_string());
    row.try_get::<String, _>(0).or_else(|_| number()).unwrap_or_default()
}

async fn state(connection: &mut SqliteConnection) -> String {
    let mut parts = Vec::new();
    for sql in STATE {
        parts.push(text(connection, sql).await);
    }
    let outside = connection.begin().await;
    outside
        .expect("no transaction is open")
        .rollback()
        .await
        .expect("the end of it");
    parts.join(", ")
}

fn check(sqlite: &Sqlite, text: &str) {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let Ok(parsed) = statements(text, dialect, PARAMS_MAX) else {
            continue;
        };
        for statement in &parsed {
            assert!(statement.params <= PARAMS_MAX);
            // An operator written as two characters is a parameter when written as one.
            if matches!(dialect, Dialect::Postgres) && text.contains("??") {
                continue;
            }
            let again = statements(&statement.sql, dialect, PARAMS_MAX);
            assert_eq!(
                again.as_deref(),
                Ok(std::slice::from_ref(statement)),
                "{dialect:?}: {text:?}"
            );
        }
        if matches!(dialect, Dialect::Sqlite) {
            sqlite.run(&parsed);
        }
    }
}

#[test]
fn sql() {
    let sqlite = Sqlite::new();
    Target::new("sql").run(|corpus| mutated(corpus, WORDS), |text| check(&sqlite, text));
}
