//! `isopod d1 export`: a database as SQL statements.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Transaction};

/// The parts of a database to write.
pub(super) struct Wanted {
    /// All tables if this is empty.
    pub(super) tables: Vec<String>,
    pub(super) has_data: bool,
    pub(super) has_schema: bool,
}

/// An object of the schema.
struct Object {
    kind: String,
    name: String,
    table: String,
    sql: String,
}

/// The number of tables and rows that were written.
#[derive(Default)]
pub(super) struct Written {
    pub(super) tables: usize,
    pub(super) rows: u64,
}

/// Writes a database as it is at one moment.
pub(super) fn export(connection: &mut Connection, wanted: &Wanted, output: Option<&Path>) -> Result<Written> {
    let transaction = connection.transaction()?;
    let objects = objects(&transaction, wanted)?;
    match output {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
            let mut writer = BufWriter::new(file);
            let written = write(&transaction, &objects, wanted, &mut writer)?;
            writer.into_inner()?.sync_all()?;
            Ok(written)
        }
        None => {
            let written = write(
                &transaction,
                &objects,
                wanted,
                &mut BufWriter::new(std::io::stdout().lock()),
            );
            match written {
                // A reader that closes it early is not an error.
                Err(error)
                    if error
                        .downcast_ref::<std::io::Error>()
                        .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe) =>
                {
                    Ok(Written::default())
                }
                other => other,
            }
        }
    }
}

fn objects(transaction: &Transaction<'_>, wanted: &Wanted) -> Result<Vec<Object>> {
    let mut select = transaction.prepare(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema
         WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
         ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, rowid",
    )?;
    let objects = select.query_map([], |row| {
        Ok(Object {
            kind: row.get(0)?,
            name: row.get(1)?,
            table: row.get(2)?,
            sql: row.get(3)?,
        })
    })?;
    let mut objects = objects.collect::<Result<Vec<_>, _>>()?;
    if let Some(missing) = wanted.tables.iter().find(|table| {
        let is_it = |object: &&Object| object.kind == "table" && object.name == **table;
        objects.iter().find(is_it).is_none()
    }) {
        bail!("there is no table \"{missing}\"");
    }
    objects.retain(|object| wanted.tables.is_empty() || wanted.tables.contains(&object.table));
    // The rows of virtual tables are in tables that SQLite creates itself.
    let is_virtual = |object: &&Object| {
        object
            .sql
            .trim_start()
            .to_ascii_uppercase()
            .starts_with("CREATE VIRTUAL")
    };
    if let Some(object) = objects.iter().find(is_virtual) {
        bail!(
            "the table \"{}\" is virtual, and cannot be written as statements; name the other tables with --table",
            object.name
        );
    }
    Ok(objects)
}

fn write(transaction: &Transaction<'_>, objects: &[Object], wanted: &Wanted, to: &mut impl Write) -> Result<Written> {
    writeln!(to, "PRAGMA defer_foreign_keys=TRUE;")?;
    let (tables, others): (Vec<_>, Vec<_>) = objects.iter().partition(|object| object.kind == "table");
    let mut written = Written::default();
    for table in tables {
        written.tables += 1;
        if wanted.has_schema {
            writeln!(to, "{};", table.sql)?;
        }
        if wanted.has_data {
            written.rows += rows(transaction, &table.name, to)?;
        }
    }
    if wanted.has_data {
        sequences(transaction, wanted, to)?;
    }
    if wanted.has_schema {
        // After the rows, so that triggers do not run for them and indexes are built at once.
        for object in others {
            writeln!(to, "{};", object.sql)?;
        }
    }
    to.flush()?;
    Ok(written)
}

/// Writes the rows of a table, and returns their number.
fn rows(transaction: &Transaction<'_>, table: &str, to: &mut impl Write) -> Result<u64> {
    // Generated columns are computed again.
    let mut columns = transaction.prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden NOT IN (2, 3)")?;
    let columns = columns.query_map([table], |row| row.get::<_, String>(0))?;
    let columns = columns
        .map(|name| name.map(|name| quoted(&name)))
        .collect::<Result<Vec<_>, _>>()?;
    let (columns, table) = (columns.join(","), quoted(table));
    let mut select = transaction.prepare(&format!("SELECT {columns} FROM {table}"))?;
    let count = select.column_count();
    let mut rows = select.query([])?;
    let mut written = 0;
    while let Some(row) = rows.next()? {
        written += 1;
        write!(to, "INSERT INTO {table} ({columns}) VALUES(")?;
        for column in 0..count {
            if column > 0 {
                write!(to, ",")?;
            }
            literal(row.get_ref(column)?, to)?;
        }
        writeln!(to, ");")?;
    }
    Ok(written)
}

/// The counters of AUTOINCREMENT.
fn sequences(transaction: &Transaction<'_>, wanted: &Wanted, to: &mut impl Write) -> Result<()> {
    if !transaction.table_exists(None, "sqlite_sequence")? {
        return Ok(());
    }
    let mut select = transaction.prepare("SELECT name, seq FROM sqlite_sequence ORDER BY rowid")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (name, number): (String, i64) = (row.get(0)?, row.get(1)?);
        if wanted.tables.is_empty() || wanted.tables.contains(&name) {
            let name = text_literal(&name);
            writeln!(to, "DELETE FROM sqlite_sequence WHERE name = {name};")?;
            writeln!(to, "INSERT INTO sqlite_sequence (name,seq) VALUES({name},{number});")?;
        }
    }
    Ok(())
}

/// A name in double quotes.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn text_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn literal(value: ValueRef<'_>, to: &mut impl Write) -> std::io::Result<()> {
    match value {
        ValueRef::Null => write!(to, "NULL"),
        ValueRef::Integer(number) => write!(to, "{number}"),
        ValueRef::Real(number) if number.is_infinite() => write!(to, "{}9e999", if number < 0.0 { "-" } else { "" }),
        // The shortest text that is parsed as the same number.
        ValueRef::Real(number) => write!(to, "{number:?}"),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) if !text.contains('\0') => write!(to, "{}", text_literal(text)),
            _ => {
                write!(to, "CAST(")?;
                hex(text, to)?;
                write!(to, " AS TEXT)")
            }
        },
        ValueRef::Blob(bytes) => hex(bytes, to),
    }
}

fn hex(bytes: &[u8], to: &mut impl Write) -> std::io::Result<()> {
    write!(to, "X'")?;
    bytes.iter().try_for_each(|byte| write!(to, "{byte:02x}"))?;
    write!(to, "'")
}

#[cfg(test)]
mod tests {
    use super::super::execute::import;
    use super::*;

    const ALL: Wanted = Wanted {
        tables: Vec::new(),
        has_data: true,
        has_schema: true,
    };

    fn database(sql: &str) -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(sql).unwrap();
        db
    }

    fn exported(db: &mut Connection, wanted: &Wanted) -> Result<String> {
        let transaction = db.transaction()?;
        let objects = objects(&transaction, wanted)?;
        let mut text = Vec::new();
        write(&transaction, &objects, wanted, &mut text)?;
        Ok(String::from_utf8(text)?)
    }

    #[test]
    fn an_imported_export_is_the_same_database() {
        let mut db = database(
            "CREATE TABLE \"a b\" (id INTEGER PRIMARY KEY AUTOINCREMENT, t TEXT, r REAL, x BLOB, g AS (id * 2) STORED, f REFERENCES late);
             CREATE TABLE late (id INTEGER PRIMARY KEY);
             CREATE INDEX i ON late (id);
             CREATE VIEW v AS SELECT count(*) AS n FROM late;
             INSERT INTO late VALUES (1);
             INSERT INTO \"a b\" (t, r, x, f) VALUES ('it''s', 0.1, X'00ff', 1), ('nul' || char(0), 9e999, NULL, NULL), (NULL, -1e-300, '', NULL);
             CREATE TRIGGER tr AFTER INSERT ON late BEGIN DELETE FROM \"a b\"; END;
             DELETE FROM \"a b\" WHERE id = 3;",
        );
        let text = exported(&mut db, &ALL).unwrap();
        let mut copy = database("PRAGMA foreign_keys = ON");
        import(&mut copy, &text).unwrap();
        assert_eq!(exported(&mut copy, &ALL).unwrap(), text);
        let seq: i64 = copy
            .query_row("SELECT seq FROM sqlite_sequence", [], |row| row.get(0))
            .unwrap();
        assert_eq!(seq, 3, "a number is not given twice");
        let nul: i64 = copy
            .query_row("SELECT length(CAST(t AS BLOB)) FROM \"a b\" WHERE id = 2", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(nul, 4);
    }

    #[test]
    fn tables_rows_and_schema_are_chosen() {
        let mut db =
            database("CREATE TABLE a (x); INSERT INTO a VALUES (1); CREATE TABLE b (y); CREATE INDEX i ON a (x);");
        let wanted = |tables: &[&str], has_data, has_schema| Wanted {
            tables: tables.iter().map(|name| (*name).to_owned()).collect(),
            has_data,
            has_schema,
        };
        let head = "PRAGMA defer_foreign_keys=TRUE;\n";
        let rows = exported(&mut db, &wanted(&["a"], true, false)).unwrap();
        assert_eq!(rows, format!("{head}INSERT INTO \"a\" (\"x\") VALUES(1);\n"));
        let schema = exported(&mut db, &wanted(&["a"], false, true)).unwrap();
        assert_eq!(schema, format!("{head}CREATE TABLE a (x);\nCREATE INDEX i ON a (x);\n"));
        let error = exported(&mut db, &wanted(&["c"], true, true)).unwrap_err();
        assert_eq!(error.to_string(), "there is no table \"c\"");
    }

    #[test]
    fn a_virtual_table_is_refused() {
        let mut db = database("CREATE VIRTUAL TABLE f USING fts5(x);");
        let error = exported(&mut db, &ALL).unwrap_err().to_string();
        assert!(error.contains("the table \"f\" is virtual"), "{error}");
    }
}
