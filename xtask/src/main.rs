//! The repository's own commands: `cargo xtask <command>`.
//!
//! Everything here must run on a fresh machine, before V8 is there: this crate depends on no crate that needs V8, and
//! on few others. What a machine may lack is fetched by the tools people already have (`curl`, `xz`, `apt-get`, `npm`).

mod api;
mod bench;
mod ci;
mod dist;
mod fuzz;
mod hostile;
mod package;
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
    about = "Isopod's own commands",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make V8 ready, so that plain `cargo build`, `cargo test` and an editor just work
    V8(v8::Options),
    /// Set everything up, then build and run `isopod serve ARGS`
    ///
    /// Builds with the profile `quick`, which takes half the time of a release build; V8 itself is as fast in both.
    Serve {
        /// Build with the release profile instead, as for production and for measurements
        #[arg(long)]
        release: bool,
        /// Passed to `isopod serve` as they are
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Set up all that tests need, then run them (and the doc tests)
    Test {
        /// Only tests whose name contains one of these
        filter: Vec<String>,
        /// The tests that take minutes and want the machine for themselves, instead of the others
        #[arg(long)]
        nightly: bool,
    },
    /// All that must hold before a change lands; stops at the first failure
    Ci,
    /// Try inputs nobody would write, for as long as one likes; keeps what it finds in fuzz/corpus
    Fuzz(fuzz::Options),
    /// Check the repository's own rules, those that no other tool knows
    Tidy,
    /// Run the tests of every hostile scenario, and write the table of them in docs/security.md
    Hostile {
        /// Run those that take minutes as well
        #[arg(long)]
        nightly: bool,
        /// Run nothing: write what the last `cargo xtask test` reported
        #[arg(long, conflicts_with = "nightly")]
        last: bool,
    },
    /// Put the server under a long mixed load, hostile scripts among it, and give a verdict
    #[command(
        after_help = "`cargo xtask soak -- --help` lists what it takes: --minutes, --seed, --rate, --json and more"
    )]
    Soak {
        /// Use the development build, to try the command itself
        #[arg(long)]
        dev: bool,
        /// Passed on: `--minutes N`, `--seed S` and others
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Write the public interface of `isopod` into isopod/api.txt, which CI compares
    Api,
    /// Pack the program as users download it: stripped, with manual page, completions, licences and checksums
    Dist,
    /// Run the benchmarks beside their peers
    Bench {
        /// Only these benchmarks
        name: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The causes, without the backtrace that anyhow adds under RUST_BACKTRACE: what failed is outside.
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
        Command::Test { filter, nightly: false } => test::command(&workspace, &filter),
        Command::Test { filter, nightly: true } => test::nightly(&workspace, &filter),
        Command::Ci => ci::command(&workspace),
        Command::Fuzz(options) => fuzz::command(&workspace, &options),
        Command::Tidy => tidy::command(&workspace),
        Command::Hostile { last: true, .. } => hostile::command(&workspace, &hostile::From::LastRun),
        Command::Hostile { nightly, .. } => hostile::command(&workspace, &hostile::From::Tests { nightly }),
        Command::Soak { dev, args } => soak::command(&workspace, dev, &args),
        Command::Api => api::write(&workspace),
        Command::Dist => dist::command(&workspace),
        Command::Bench { name } => bench::command(&workspace, &name),
    }
}
