//! `isopod d1 execute` and `import`: statements in one transaction.

use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, Statement, Transaction, TransactionBehavior};
use serde_json::{Map, Value as Json, json};

use crate::output::{print, print_json, table};

/// The part of a statement that an error shows.
const SHOWN_CHARS: usize = 200;

/// The result of a statement.
struct Ran {
    columns: Vec<String>,
    rows: Vec<Vec<Json>>,
    changes: u64,
    millis: f64,
}

/// Runs statements, and prints all their rows once all statements have succeeded.
pub(super) fn execute(connection: &mut Connection, sql: &str, json: bool) -> Result<()> {
    let mut results = Vec::new();
    in_transaction(connection, |transaction| {
        let mut batch = Batch::new(transaction, sql);
        while let Some(statement) = batch.next()? {
            results.push(run(transaction, statement)?);
        }
        anyhow::ensure!(!results.is_empty(), "there are no statements");
        Ok(())
    })?;
    match json {
        true => print_json(&results.iter().map(shown).collect()),
        false => print(results.iter().map(describe).collect::<String>().as_bytes()),
    }
}

/// Runs the statements of a file, and returns their number. Statements about transactions are skipped, because there is one
/// transaction.
pub(super) fn import(connection: &mut Connection, sql: &str) -> Result<usize> {
    let mut count = 0_usize;
    // Tables may come in any order: references are checked at the end.
    connection.pragma_update(None, "foreign_keys", false)?;
    in_transaction(connection, |transaction| {
        let mut batch = Batch::new(transaction, sql);
        while let Some(statement) = batch.next()? {
            let text = statement.expanded_sql().unwrap_or_default();
            if !is_about_transactions(&text) {
                run(transaction, statement)?;
                count += 1;
            }
        }
        check_references(transaction)
    })?;
    Ok(count)
}

/// Checks that all references have a target.
fn check_references(transaction: &Transaction<'_>) -> Result<()> {
    let mut check = transaction.prepare("SELECT \"table\", rowid, parent FROM pragma_foreign_key_check")?;
    let mut broken = check.query([])?;
    let Some(row) = broken.next()? else { return Ok(()) };
    let (table, rowid, parent): (String, Option<i64>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let row = rowid.map_or_else(|| "a row".to_owned(), |rowid| format!("row {rowid}"));
    bail!("{row} of the table \"{table}\" refers to a row of \"{parent}\" that does not exist; nothing was changed")
}

/// Runs `body` in a transaction, which is undone if it fails.
pub(super) fn in_transaction(
    connection: &mut Connection,
    body: impl FnOnce(&Transaction<'_>) -> Result<()>,
) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    body(&transaction)?;
    transaction.commit().context("cannot commit: nothing was changed")
}

/// Runs all statements of a text in a transaction.
pub(super) fn run_all(transaction: &Transaction<'_>, sql: &str) -> Result<()> {
    let mut batch = Batch::new(transaction, sql);
    while let Some(statement) = batch.next()? {
        run(transaction, statement)?;
    }
    Ok(())
}

fn run(transaction: &Transaction<'_>, mut statement: Statement<'_>) -> Result<Ran> {
    let began = Instant::now();
    let before = transaction.total_changes();
    let columns: Vec<_> = statement.column_names().iter().map(|name| (*name).to_owned()).collect();
    let text = statement.expanded_sql().unwrap_or_default();
    let rows = rows(&mut statement, columns.len());
    let rows = rows.with_context(|| format!("in the statement: {}", first_part(&text)))?;
    Ok(Ran {
        columns,
        rows,
        changes: transaction.total_changes() - before,
        millis: began.elapsed().as_secs_f64() * 1000.0,
    })
}

fn rows(statement: &mut Statement<'_>, columns: usize) -> rusqlite::Result<Vec<Vec<Json>>> {
    let mut found = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|column| row.get_ref(column).map(json_of));
        found.push(values.collect::<Result<_, _>>()?);
    }
    Ok(found)
}

fn first_part(sql: &str) -> String {
    let sql = sql.trim();
    match sql.char_indices().nth(SHOWN_CHARS) {
        Some((at, _)) => format!("{}…", &sql[..at]),
        None => sql.to_owned(),
    }
}

/// Returns true if a statement begins or ends a transaction, or sets what an export sets for itself.
fn is_about_transactions(sql: &str) -> bool {
    let words: Vec<_> = sql
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    let is = |at: usize, word: &str| words.get(at).is_some_and(|found| found.eq_ignore_ascii_case(word));
    is(0, "BEGIN")
        || is(0, "COMMIT")
        || is(0, "END")
        || (is(0, "PRAGMA") && (is(1, "foreign_keys") || is(1, "defer_foreign_keys")))
}

fn json_of(value: ValueRef<'_>) -> Json {
    match value {
        ValueRef::Null => Json::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

fn shown(ran: &Ran) -> Json {
    let row = |row: &Vec<Json>| -> Map<String, Json> { ran.columns.iter().cloned().zip(row.iter().cloned()).collect() };
    json!({
        "results": ran.rows.iter().map(row).collect::<Vec<_>>(),
        "success": true,
        "meta": { "changes": ran.changes, "duration": ran.millis },
    })
}

fn describe(ran: &Ran) -> String {
    if ran.columns.is_empty() {
        return format!("{} rows changed in {:.1} ms\n", ran.changes, ran.millis);
    }
    let cell = |value: &Json| match value {
        Json::String(text) => text.clone(),
        Json::Null => "NULL".to_owned(),
        Json::Object(blob) => blob.get("base64").and_then(Json::as_str).unwrap_or_default().to_owned(),
        other => other.to_string(),
    };
    let mut rows = vec![ran.columns.clone()];
    rows.extend(ran.rows.iter().map(|row| row.iter().map(cell).collect()));
    format!("{}{} rows in {:.1} ms\n", table(&rows), ran.rows.len(), ran.millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    #[test]
    fn a_failure_rolls_back_and_names_the_statement() {
        let mut db = database();
        let error = execute(
            &mut db,
            "CREATE TABLE a (x UNIQUE); INSERT INTO a VALUES (1); INSERT INTO a VALUES (1)",
            false,
        );
        let error = format!("{:#}", error.unwrap_err());
        assert!(
            error.starts_with("in the statement: INSERT INTO a VALUES (1): UNIQUE"),
            "{error}"
        );
        let error = execute(&mut db, "SELECT * FROM a", false).unwrap_err();
        assert!(format!("{error:#}").contains("no such table: a"));
    }

    #[test]
    fn a_dump_of_sqlite3_is_imported_with_its_transaction_left_out() {
        let mut db = database();
        db.pragma_update(None, "foreign_keys", true).unwrap();
        let dump = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\nCREATE TABLE b (a REFERENCES a);\nINSERT INTO b VALUES(1);\n\
                    CREATE TABLE a (id INTEGER PRIMARY KEY);\nINSERT INTO a VALUES(1);\nCOMMIT;\n";
        import(&mut db, dump).unwrap();
        let count: i64 = db
            .query_row("SELECT count(*) FROM a JOIN b ON b.a = a.id", [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, 1);
        assert!(
            import(&mut db, "INSERT INTO b VALUES (2)").is_err(),
            "its reference has no target"
        );
    }

    #[test]
    fn statements_about_transactions_are_recognized() {
        for sql in [
            "BEGIN",
            "begin transaction;",
            "COMMIT;",
            "END TRANSACTION",
            "PRAGMA foreign_keys=OFF;",
            "PRAGMA defer_foreign_keys = TRUE",
        ] {
            assert!(is_about_transactions(sql), "{sql}");
        }
        for sql in [
            "INSERT INTO begin VALUES (1)",
            "PRAGMA user_version = 3",
            "",
            "CREATE TABLE x (y)",
        ] {
            assert!(!is_about_transactions(sql), "{sql}");
        }
    }
}
