//! `isopod d1 migrations`: SQL files that are applied in their order, and a table that records them.
//!
//! The files and the table are those of wrangler: <https://developers.cloudflare.com/d1/reference/migrations/>.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::SystemTime;

use anyhow::{Context as _, Result, bail};
use rusqlite::Connection;
use serde_json::{Value as Json, json};

use super::execute::{in_transaction, run_all};
use super::open::Found;
use crate::output::{print, print_json};

/// A file of the folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Migration {
    /// The number that its name begins with.
    number: u64,
    name: String,
}

impl Migration {
    /// The migration in a file of this name, if it is one.
    fn named(name: &str) -> Option<Self> {
        name.strip_suffix(".sql")?;
        let digits = name.split(|c: char| !c.is_ascii_digit()).next()?;
        Some(Self {
            number: digits.parse().ok()?,
            name: name.to_owned(),
        })
    }
}

/// Creates an empty file with the next number.
pub(super) fn create(found: &Found, message: &str) -> Result<()> {
    let folder = &found.database.migrations_dir;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let last = all(found)?.last().map_or(0, |migration| migration.number);
    let path = folder.join(file_name(last + 1, message)?);
    let mut file = std::fs::File::create_new(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let now = humantime::format_rfc3339_millis(SystemTime::now());
    writeln!(file, "-- Migration number: {:04} \t {now}", last + 1)?;
    print(format!("{}\n", path.display()).as_bytes())
}

fn file_name(number: u64, message: &str) -> Result<String> {
    let words: Vec<_> = message
        .split(|c: char| !c.is_alphanumeric() && c != '-')
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() {
        bail!("say what the migration does, for example \"create users\"");
    }
    Ok(format!("{number:04}_{}.sql", words.join("_")))
}

/// Lists the migrations that have not been applied, or all of them as JSON.
pub(super) fn list(found: &Found, json: bool) -> Result<()> {
    let migrations = all(found)?;
    let is_there = found.database.file.as_ref().is_some_and(|file| file.exists());
    // Listing does not create the database's file.
    let applied = match is_there {
        true => applied(&found.open()?, &found.database.migrations_table)?,
        false => BTreeMap::new(),
    };
    if json {
        let shown =
            |migration: &Migration| json!({ "name": migration.name, "applied_at": applied.get(&migration.name) });
        let all: Json = migrations.iter().map(shown).collect();
        return print_json(&all);
    }
    let missing: Vec<_> = migrations
        .iter()
        .filter(|one| !applied.contains_key(&one.name))
        .collect();
    let text = match missing.as_slice() {
        [] => format!("{}: all {} migrations are applied\n", found.name, migrations.len()),
        missing => missing
            .iter()
            .map(|migration| format!("{}\n", migration.name))
            .collect(),
    };
    print(text.as_bytes())
}

/// Applies the migrations that have not been applied, and prints their names.
pub(super) fn apply(found: &Found, json: bool) -> Result<()> {
    let mut names = Vec::new();
    let migrations = all(found)?;
    let mut connection = found.open()?;
    let table = &found.database.migrations_table;
    let mut done = Ok(());
    for migration in &migrations {
        let path = found.database.migrations_dir.join(&migration.name);
        done = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))
            .and_then(|sql| apply_one(&mut connection, table, &migration.name, &sql))
            .map(|is_new| names.extend(is_new.then_some(&migration.name)));
        if done.is_err() {
            break;
        }
        if !json && names.last() == Some(&&migration.name) {
            print(format!("{}\n", migration.name).as_bytes())?;
        }
    }
    if json {
        print_json(&json!(names))?;
    }
    done?;
    if !json && names.is_empty() {
        print(format!("{}: all {} migrations are applied\n", found.name, migrations.len()).as_bytes())?;
    }
    Ok(())
}

/// Applies and records one, unless it is recorded. Returns whether it was applied.
fn apply_one(connection: &mut Connection, table: &str, name: &str, sql: &str) -> Result<bool> {
    let mut is_new = false;
    let quoted = quoted(table);
    in_transaction(connection, |transaction| {
        transaction.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS {quoted} (
                 id INTEGER PRIMARY KEY AUTOINCREMENT,
                 name TEXT UNIQUE,
                 applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
             )"
        ))?;
        // In the same transaction: another command may apply it at the same time.
        let count = format!("SELECT count(*) FROM {quoted} WHERE name = ?1");
        is_new = transaction.query_row(&count, [name], |row| row.get::<_, i64>(0))? == 0;
        if is_new {
            run_all(transaction, sql)?;
            transaction.execute(&format!("INSERT INTO {quoted} (name) VALUES (?1)"), [name])?;
        }
        Ok(())
    })
    .with_context(|| format!("the migration {name} failed and was undone; those before it are applied"))?;
    Ok(is_new)
}

/// The migrations that are recorded, with the time when they were applied.
fn applied(connection: &Connection, table: &str) -> Result<BTreeMap<String, String>> {
    if !connection.table_exists(None, table)? {
        return Ok(BTreeMap::new());
    }
    let mut select = connection.prepare(&format!("SELECT name, CAST(applied_at AS TEXT) FROM {}", quoted(table)))?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The migrations of the folder, in their order.
fn all(found: &Found) -> Result<Vec<Migration>> {
    if let Some(pattern) = &found.database.migrations_pattern {
        bail!(
            "`migrations_pattern` (\"{pattern}\") is not supported; put the files into `migrations_dir`, as 0001_NAME.sql"
        );
    }
    let folder = &found.database.migrations_dir;
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "there is no folder {}; create the first migration with `isopod d1 migrations create NAME`, or set `migrations_dir`",
            folder.display()
        ),
        entries => entries.with_context(|| format!("cannot read the folder {}", folder.display()))?,
    };
    let mut migrations = Vec::new();
    for entry in entries {
        migrations.extend(Migration::named(&entry?.file_name().to_string_lossy()));
    }
    migrations.sort();
    Ok(migrations)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_sql_files_that_begin_with_a_number_in_its_order() {
        let mut all: Vec<_> = ["10_b.sql", "0002_a.sql", "0002_a.sql.bak", "meta", "notes.sql", "1.sql"]
            .into_iter()
            .filter_map(Migration::named)
            .collect();
        all.sort();
        let names: Vec<_> = all.iter().map(|migration| migration.name.as_str()).collect();
        assert_eq!(names, ["1.sql", "0002_a.sql", "10_b.sql"]);
    }

    #[test]
    fn a_name_is_made_of_the_words_of_a_message() {
        assert_eq!(
            file_name(3, "create users & orders").unwrap(),
            "0003_create_users_orders.sql"
        );
        assert_eq!(file_name(12345, "../x").unwrap(), "12345_x.sql");
        assert!(file_name(1, " / ").is_err());
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing_and_is_not_recorded() {
        let mut db = Connection::open_in_memory().unwrap();
        assert!(apply_one(&mut db, "m", "1.sql", "CREATE TABLE a (x);").unwrap());
        assert!(
            !apply_one(&mut db, "m", "1.sql", "CREATE TABLE a (x);").unwrap(),
            "it is recorded"
        );
        let error = apply_one(&mut db, "m", "2.sql", "CREATE TABLE b (x); CREATE TABLE a (x);").unwrap_err();
        assert!(
            format!("{error:#}").contains("2.sql failed and was undone"),
            "{error:#}"
        );
        assert!(!db.table_exists(None, "b").unwrap());
        assert_eq!(applied(&db, "m").unwrap().into_keys().collect::<Vec<_>>(), ["1.sql"]);
    }
}
