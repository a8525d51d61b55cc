//! `isopod d1`: SQL, migrations, export and import of the SQLite databases of a configuration, also while a server runs on them.

mod execute;
mod export;
mod migrations;
mod open;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use serde_json::json;

use self::open::Target;
use crate::output::{print, print_json};

/// Arguments of `isopod d1`.
#[derive(Args)]
pub(crate) struct D1Arguments {
    #[command(subcommand)]
    command: D1Command,
}

#[derive(Subcommand)]
enum D1Command {
    /// Run SQL statements in one transaction, and print their rows
    Execute {
        /// The statements; without them, those of --file or of standard input
        #[arg(long, value_name = "SQL", conflicts_with = "file")]
        command: Option<String>,
        /// Read the statements from a file
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Print a JSON array with the results of each statement
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Apply the migrations that have not been applied, as `migrations apply` does
    Migrate {
        /// Print a JSON array of the migrations that were applied
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Create, list and apply the SQL files that a database is made by
    #[command(subcommand)]
    Migrations(MigrationsCommand),
    /// Write the tables as SQL statements
    Export {
        /// File to write; without it, standard output
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Print an object with the file and the numbers of tables, rows and bytes as JSON
        #[arg(long, requires = "output")]
        json: bool,
        /// Only this table; may be repeated
        #[arg(long, value_name = "NAME")]
        table: Vec<String>,
        /// Leave out the rows
        #[arg(long)]
        no_data: bool,
        /// Leave out the statements that create tables, indexes, views and triggers
        #[arg(long)]
        no_schema: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Run the SQL statements of a file, such as an export or a dump of sqlite3, in one transaction
    Import {
        /// The file; `-` is standard input
        file: PathBuf,
        /// Print an object with the number of statements and the duration as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Subcommand)]
enum MigrationsCommand {
    /// Create an empty migration with the next number
    Create {
        /// Its purpose in a few words, which become a part of the file's name
        message: String,
        #[command(flatten)]
        target: Target,
    },
    /// List the migrations that have not been applied
    List {
        /// Print a JSON array of all migrations, with the time when they were applied
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Apply the migrations that have not been applied, in their order, each in a transaction
    Apply {
        /// Print a JSON array of the migrations that were applied
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
}

/// Runs `isopod d1`.
pub(crate) fn d1(arguments: D1Arguments, environment: &BTreeMap<String, String>) -> Result<ExitCode> {
    match arguments.command {
        D1Command::Execute {
            command,
            file,
            json,
            target,
        } => {
            let sql = match (command, file) {
                (Some(sql), _) => sql,
                (None, Some(file)) => read(&file)?,
                (None, None) => read(Path::new("-"))?,
            };
            execute::execute(&mut target.find(environment)?.open()?, &sql, json)?;
        }
        D1Command::Migrations(MigrationsCommand::Create { message, target }) => {
            migrations::create(&target.find(environment)?, &message)?;
        }
        D1Command::Migrations(MigrationsCommand::List { json, target }) => {
            migrations::list(&target.find(environment)?, json)?;
        }
        D1Command::Migrate { json, target } | D1Command::Migrations(MigrationsCommand::Apply { json, target }) => {
            migrations::apply(&target.find(environment)?, json)?;
        }
        D1Command::Export {
            output,
            json,
            table,
            no_data,
            no_schema,
            target,
        } => {
            let wanted = export::Wanted {
                tables: table,
                has_data: !no_data,
                has_schema: !no_schema,
            };
            let written = export::export(&mut target.find(environment)?.open()?, &wanted, output.as_deref())?;
            if let (true, Some(file)) = (json, output) {
                print_json(&json!({
                    "file": file,
                    "tables": written.tables,
                    "rows": written.rows,
                    "bytes": file.metadata()?.len(),
                }))?;
            }
        }
        D1Command::Import { file, json, target } => {
            let sql = read(&file)?;
            let began = Instant::now();
            let statements = execute::import(&mut target.find(environment)?.open()?, &sql)?;
            let took = began.elapsed();
            match json {
                true => print_json(&json!({ "statements": statements, "durationMs": took.as_millis() as u64 }))?,
                false => {
                    let seconds = took.as_secs_f64();
                    print(format!("{statements} statements in {seconds:.1} s\n").as_bytes())?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The text of a file, or of standard input.
fn read(file: &Path) -> Result<String> {
    if file == Path::new("-") {
        let mut sql = String::new();
        std::io::stdin().lock().read_to_string(&mut sql)?;
        return Ok(sql);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
