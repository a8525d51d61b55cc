use super::{Dialect, Kind, StatementError, parse, parse_one};

fn sqlite(sql: &str) -> Result<(String, Kind, usize), StatementError> {
    parse_one(sql, Dialect::Sqlite, 100).map(|statement| (statement.sql, statement.kind, statement.params))
}

fn postgres(sql: &str) -> Result<(String, Kind, usize), StatementError> {
    parse_one(sql, Dialect::Postgres, 100).map(|statement| (statement.sql, statement.kind, statement.params))
}

#[test]
fn parameters_are_numbered_outside_of_quotes_and_comments() {
    let sql = "SELECT '?', \"?\", ?, ?3, /* ? */ ? -- ?\n, ?1;";
    assert_eq!(
        sqlite(sql).unwrap().0,
        "SELECT '?', \"?\", ?1, ?3, /* ? */ ?4 -- ?\n, ?1"
    );
    assert_eq!(
        postgres(sql).unwrap().0,
        "SELECT '?', \"?\", $1, $3, /* ? */ $4 -- ?\n, $1"
    );
    assert_eq!(
        postgres("SELECT $$ ? $$, $a$ $$ ? $a$, E'\\'?', data ?? 'k', $2::text /* /* ? */ ? */")
            .unwrap()
            .0,
        "SELECT $$ ? $$, $a$ $$ ? $a$, E'\\'?', data ? 'k', $2::text"
    );
    assert_eq!(sqlite("SELECT [?], `?`, ?").unwrap().2, 1);
    // Not `SELECT$1and`, which is one word without a parameter.
    assert_eq!(postgres("SELECT?and?").unwrap().0, "SELECT $1 and $2");
    assert_eq!(sqlite("SELECT :a"), Err(StatementError::NamedParameter));
    assert_eq!(sqlite("SELECT ?101"), Err(StatementError::ParameterNumber(100)));
    assert_eq!(sqlite("SELECT ?0"), Err(StatementError::ParameterNumber(100)));
}

#[test]
fn statements_that_leave_the_database_are_refused() {
    for sql in [
        "ATTACH 'x' AS y",
        "attach database 'x' as y",
        "/* c */ ATTACH 'x' AS y",
        "-- c\nATTACH 'x' AS y",
        "DETACH y",
        "VACUUM",
        "VACUUM INTO 'x'",
        "EXPLAIN ATTACH 'x' AS y",
        "EXPLAIN QUERY PLAN ATTACH 'x' AS y",
        "\u{feff}ATTACH 'x' AS y",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA main.writable_schema = 1",
        "PRAGMA temp_store_directory='/tmp'",
        "PRAGMA database_list",
        "SELECT * FROM pragma_database_list",
        "SELECT load_extension('x')",
        "SELECT \"load_extension\" ('x')",
        "SELECT fts3_tokenizer('x', 'y')",
        "CREATE TEMP TABLE t(a)",
        "CREATE TABLE temp.t(a)",
        "CREATE TABLE 'temp' . t(a)",
        "INSERT INTO [temp].t VALUES (1)",
        "CREATE VIRTUAL TABLE t USING csv(filename='x')",
        "(SELECT 1)",
    ] {
        assert!(
            matches!(sqlite(sql), Err(StatementError::NotAllowed(_))),
            "{sql}: {:?}",
            sqlite(sql)
        );
    }
    for sql in [
        "COPY t TO PROGRAM 'x'",
        "SET role x",
        "DO $$ $$",
        "LISTEN x",
        "CREATE TEMP TABLE t()",
        "ALTER SYSTEM SET a = 1",
        "PREPARE x AS SELECT 1",
    ] {
        assert!(matches!(postgres(sql), Err(StatementError::NotAllowed(_))), "{sql}");
    }
    for sql in ["BEGIN", "commit", "SAVEPOINT a", "Rollback", "END"] {
        assert!(matches!(sqlite(sql), Err(StatementError::Transaction(_))), "{sql}");
        assert!(matches!(postgres(sql), Err(StatementError::Transaction(_))), "{sql}");
    }
}

#[test]
fn ordinary_statements_pass_with_their_kind() {
    for (sql, kind) in [
        ("SELECT replace(a, 'x', 'y') FROM t", Kind::Read),
        ("PRAGMA table_info('t')", Kind::Read),
        ("PRAGMA main.page_count", Kind::Read),
        ("EXPLAIN QUERY PLAN SELECT 1", Kind::Read),
        ("WITH c AS (SELECT 1) SELECT replace(a, 'x', '') FROM c", Kind::Read),
        ("WITH c AS (SELECT 1) INSERT INTO t SELECT * FROM c", Kind::Change),
        ("REPLACE INTO t VALUES (1)", Kind::Change),
        ("CREATE VIRTUAL TABLE t USING fts5(a)", Kind::Schema),
    ] {
        assert_eq!(sqlite(sql).unwrap().1, kind, "{sql}");
    }
}

#[test]
fn statements_are_split_at_their_ends_only() {
    let sql = "CREATE TABLE t(a); ;INSERT INTO t VALUES (';'); CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET a = 1; DELETE FROM t; END; SELECT 1";
    let statements = parse(sql, Dialect::Sqlite, 100).unwrap();
    assert_eq!(statements.len(), 4);
    assert!(statements[2].sql.ends_with("DELETE FROM t; END"));
    assert_eq!(sqlite("SELECT 1; SELECT 2"), Err(StatementError::Several));
    assert_eq!(sqlite(" ; -- nothing"), Err(StatementError::Empty));
    assert_eq!(sqlite("SELECT 'open"), Err(StatementError::Incomplete));
    assert_eq!(sqlite("SELECT 1 /* open"), Err(StatementError::Incomplete));
    assert_eq!(sqlite("SELECT 1\0; ATTACH 'x' AS y"), Err(StatementError::Nul));
    assert_eq!(
        sqlite("SELECT 1; ATTACH 'x' AS y"),
        Err(StatementError::NotAllowed("ATTACH".into()))
    );
}

/// <https://sqlite.org/c3ref/complete.html>, and psql's scanner for PostgreSQL.
#[test]
fn bodies_are_not_split() {
    let count = |sql: &str, dialect| parse(sql, dialect, 100).map(|statements| statements.len());
    for (sql, statements) in [
        (
            "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT CASE WHEN 1 THEN 2 END; END; SELECT 1",
            2,
        ),
        (
            "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT CASE 1 WHEN 1 THEN CASE 2 WHEN 3 THEN 4 END END; END",
            1,
        ),
        (
            "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1 AS \"END\"; SELECT ';'; end ; SELECT 1",
            2,
        ),
        (
            "CREATE TRIGGER IF NOT EXISTS main.g UPDATE ON t BEGIN SELECT 1; -- END\n /* ; */ END;",
            1,
        ),
        ("CREATE TABLE trigger_log (a); CREATE TABLE t (a)", 2),
    ] {
        assert_eq!(count(sql, Dialect::Sqlite), Ok(statements), "{sql}");
    }
    for (sql, statements) in [
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 1",
            2,
        ),
        ("CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC DELETE FROM t; END", 1),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; SELECT 2 $$; SELECT 1",
            2,
        ),
        (
            "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM u; DELETE FROM v); SELECT 1",
            2,
        ),
        ("CREATE TABLE t (a int); SELECT CASE WHEN true THEN 1 END; SELECT 2", 3),
    ] {
        assert_eq!(count(sql, Dialect::Postgres), Ok(statements), "{sql}");
    }
}
