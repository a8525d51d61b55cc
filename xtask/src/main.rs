//! The repository's own commands: `cargo xtask <command>`.
//!
//! They must run on a fresh machine before V8 is installed: this crate depends on no crate that needs V8, and on few
//! others. What a machine lacks is fetched with common tools (`curl`, `xz`, `apt-get`, `npm`).

mod api;
mod autobahn;
mod bench;
mod ci;
mod conformance;
mod dist;
mod embedding;
mod fuzz;
mod hostile;
mod in_cells;
mod package;
mod packages;
mod serve;
mod setup;
mod shell;
mod soak;
mod test;
mod tidy;
mod v8;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Commands for working on Isopod",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install V8, so that plain `cargo build`, `cargo test` and editors work
    V8(v8::Options),
    /// Set everything up, then build and run `isopod serve ARGS`
    ///
    /// Builds with the profile `quick`, which takes half the time of a release build; V8 itself is equally fast in
    /// both.
    Serve {
        /// Build with the release profile, as for production and for measurements
        #[arg(long)]
        release: bool,
        /// Passed to `isopod serve`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Set up what the tests need, then run tests and doc tests
    Test {
        /// Only tests whose name contains one of these strings
        filter: Vec<String>,
        /// Run the tests that take minutes and need an idle machine, instead of the others
        #[arg(long)]
        nightly: bool,
        /// Run those of `tests/in-cells.toml`, with every worker in a process of its own
        #[arg(long, conflicts_with = "nightly")]
        cells: bool,
        /// Run those of its `sandboxes`, with every worker in a sandbox
        #[arg(long, conflicts_with_all = ["nightly", "cells"])]
        sandboxes: bool,
    },
    /// Run every check that a change must pass; stops at the first failure
    Ci,
    /// Run the fuzz targets, and keep what they find in fuzz/corpus
    Fuzz(fuzz::Options),
    /// Check the rules specific to this repository
    Tidy,
    /// Run the tests of every hostile scenario, and write their results to the table in docs/security.md
    Hostile {
        /// Include the tests that take minutes
        #[arg(long)]
        nightly: bool,
        /// Run nothing: use the results of the last `cargo xtask test`
        #[arg(long, conflicts_with = "nightly")]
        last: bool,
    },
    /// Run npm packages in workers, and compare their answers with those of Node.js
    Packages {
        /// Only these workers of tests/packages
        name: Vec<String>,
        /// Write the answers of Node.js to tests/packages/expected.json
        #[arg(long, conflicts_with = "name")]
        record: bool,
    },
    /// Run the web-platform-tests in workers, and compare the results with those expected
    #[command(
        after_help = "`cargo xtask conformance -- --help` lists its options: names of tests, --update, --json and more"
    )]
    Conformance {
        /// Run them on Deno, Node.js and workerd too, from npm, and print a table of all
        #[arg(long)]
        peers: bool,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Run the conformance suite for WebSockets, and write its results to the table in docs/websockets.md
    Autobahn,
    /// Run the server under a long mixed load that includes hostile scripts, and print a verdict
    #[command(
        after_help = "`cargo xtask soak -- --help` lists its options: --minutes, --seed, --rate, --json and more"
    )]
    Soak {
        /// Use the development build, to try out the command
        #[arg(long)]
        dev: bool,
        /// Passed on: `--minutes N`, `--seed S` and others
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Record the public interface of `isopod` in isopod/api.txt, which CI compares
    Api,
    /// Follow docs/embedding.md in a new package, as CI does
    Embedding,
    /// Pack the program for download: stripped, with manual pages, completions, licenses and checksums
    Dist,
    /// Run the benchmarks next to comparable programs
    Bench {
        /// Only these benchmarks
        name: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without the backtrace that anyhow adds under RUST_BACKTRACE: the cause is outside of this program.
            eprintln!("{} {error:#}", shell::paint("1;31", "error:"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let workspace = Workspace::find()?;
    match command {
        Command::V8(options) => v8::command(&workspace, &options),
        Command::Serve { release, args } => serve::command(&workspace, release, &args),
        Command::Test {
            filter, cells: true, ..
        } => in_cells::command(&workspace, in_cells::In::Processes, &filter),
        Command::Test {
            filter,
            sandboxes: true,
            ..
        } => in_cells::command(&workspace, in_cells::In::Sandboxes, &filter),
        Command::Test {
            filter, nightly: false, ..
        } => test::command(&workspace, &filter),
        Command::Test {
            filter, nightly: true, ..
        } => test::nightly(&workspace, &filter).and_then(|()| match filter.is_empty() {
            true => autobahn::nightly(&workspace),
            false => Ok(()),
        }),
        Command::Ci => ci::command(&workspace),
        Command::Fuzz(options) => fuzz::command(&workspace, &options),
        Command::Tidy => tidy::command(&workspace),
        Command::Hostile { last: true, .. } => hostile::command(&workspace, &hostile::From::LastRun),
        Command::Hostile { nightly, .. } => hostile::command(&workspace, &hostile::From::Tests { nightly }),
        Command::Packages { name, record } => packages::command(&workspace, &name, record),
        Command::Conformance { peers, args } => conformance::command(&workspace, peers, &args),
        Command::Autobahn => autobahn::command(&workspace),
        Command::Soak { dev, args } => soak::command(&workspace, dev, &args),
        Command::Api => api::write(&workspace),
        Command::Embedding => embedding::follow(&workspace),
        Command::Dist => dist::command(&workspace),
        Command::Bench { name } => bench::command(&workspace, &name),
    }
}
