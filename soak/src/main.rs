//! Runs `isopod serve` under a long mixed load: many kinds of legitimate requests, hostile scripts, deployments, slow
//! and disconnecting clients, bursts. Ends with a verdict: whether memory stayed flat, nothing leaked, every event had
//! exactly one outcome, and good workers answered correctly throughout.
//!
//! `cargo xtask soak` builds the program and runs this. A seed determines the actions; the same seed repeats them.

mod act;
mod books;
mod client;
mod options;
mod origin;
mod plan;
mod project;
mod random;
mod report;
mod run;
mod server;
mod tally;
mod trend;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Parser;

use crate::options::Options;
use crate::plan::{Mix, Plan};

#[derive(Parser)]
#[command(name = "cargo xtask soak", about = "Soaks `isopod serve`, and gives a verdict")]
struct Arguments {
    /// Duration
    #[arg(long, default_value_t = 30.0, value_parser = minutes)]
    minutes: f64,
    /// The seed of the actions, random by default. It is printed, and repeats the same actions
    #[arg(long)]
    seed: Option<u64>,
    /// Actions per second, on average
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Include misbehavior that no limit can interrupt, and that occupies a thread until it ends
    #[arg(long)]
    lose_threads: bool,
    /// Number of workers. Those beyond the thirteen of the project answer plain requests, several in a row on a connection
    #[arg(long, default_value_t = WORKERS, value_parser = clap::value_parser!(u64).range(WORKERS..=2000))]
    workers: u64,
    /// Run half of the workers in processes of their own
    #[arg(long)]
    cells: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Print this many of the actions, without running them
    #[arg(long, value_name = "COUNT")]
    plan: Option<usize>,
    /// The program `isopod`; by default, the one next to this program
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| "should be a number".to_owned())?;
    let day = 24.0 * 60.0;
    (minutes > 0.0 && minutes <= day)
        .then_some(minutes)
        .ok_or_else(|| format!("should be above 0, and at most {day}"))
}

/// Number of workers of the project.
const WORKERS: u64 = 13;

/// Exit code if there is no verdict.
const NO_VERDICT: u8 = 2;

fn main() -> ExitCode {
    match soak(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(NO_VERDICT)
        }
    }
}

/// Returns true if the verdict is good.
fn soak(arguments: &Arguments) -> Result<bool> {
    let seed = arguments.seed.map_or_else(new_seed, Ok)?;
    let mix = Mix {
        rate: arguments.rate,
        lose_threads: arguments.lose_threads,
        plain: arguments.workers - WORKERS,
    };
    if let Some(count) = arguments.plan {
        for step in Plan::new(seed, mix).take(count) {
            println!("{step}");
        }
        return Ok(true);
    }
    let options = Options {
        length: Duration::from_secs_f64(arguments.minutes * 60.0),
        seed,
        mix,
        cells: arguments.cells,
        program: arguments.program.clone().map_or_else(beside, Ok)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(run::soak(&options))?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
    }
    Ok(report.passed())
}

fn new_seed() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    // Short enough to type.
    Ok(now.as_secs() % 1_000_000)
}

/// The program built into the same folder as this one.
fn beside() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("isopod");
    path.is_file()
        .then_some(path)
        .context("there is no program `isopod` beside this one; name it with --program, or use `cargo xtask soak`")
}
