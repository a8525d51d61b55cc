//! Measures Isopod next to its alternatives, in one run.
//!
//! `cargo xtask bench` installs the alternatives (peers) and runs everything;
//! `cargo run --release -p isopod-benches -- http --quick` runs one part for a few seconds. Nothing is asserted:
//! numbers depend on the machine and the moment, and only ratios within one run are meaningful.
//!
//! Each subject runs in its own process. Isopod's are this program (`own`), the peers' are scripts in `peers/`.

mod measure;
mod own;
mod process;
mod programs;
mod samples;
mod table;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::measure::{Effort, Name};
use crate::programs::Programs;

#[derive(Parser)]
#[command(name = "isopod-benches", about = "Measures Isopod beside its peers")]
struct Arguments {
    /// The measurements to run; all by default
    #[arg(value_enum)]
    names: Vec<Name>,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Take seconds instead of minutes: to try it out, not to quote
    #[arg(long)]
    quick: bool,
    #[command(subcommand)]
    own: Option<Child>,
}

#[derive(Subcommand)]
enum Child {
    /// One of Isopod's own subjects, in its own process
    #[command(hide = true, subcommand)]
    Own(own::Subject),
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Child::Own(subject)) = arguments.own {
        return own::run(subject);
    }
    let effort = if arguments.quick {
        Effort::quick()
    } else {
        Effort::full()
    };
    let names = if arguments.names.is_empty() {
        Name::all().to_vec()
    } else {
        arguments.names
    };
    let programs = Programs::find()?;
    let mut tables = Vec::new();
    for name in names {
        let table = name.measure(&programs, &effort)?;
        if !arguments.json {
            println!("{table}");
        }
        tables.push(table);
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&tables)?);
    }
    Ok(())
}
