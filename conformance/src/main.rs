//! Runs the web-platform-tests in workers, and compares the results with those expected.
//!
//! `cargo xtask conformance` fetches the tests and calls this program. The path of a test: `files` finds it and its scripts,
//! `run` evaluates it in a worker of its own (`harness.js`), which fetches resources from `origin`, and `expected` compares the
//! results with the folder `expected`. `peers` evaluates it in other runtimes, with a `cache` of their results.
#![expect(clippy::print_stdout, reason = "a program")]

mod cache;
mod document;
mod expected;
mod files;
mod origin;
mod peers;
mod progress;
mod results;
mod run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use self::expected::Expected;
use self::peers::Places;

/// Runs the web-platform-tests in workers, and compares the results with those expected.
#[derive(Parser)]
struct Arguments {
    /// The folder of the web-platform-tests.
    tests: PathBuf,
    /// Only tests whose path contains one of these.
    names: Vec<String>,
    /// The folder of expected failures.
    #[arg(long)]
    expected: PathBuf,
    /// Record the failures as expected. New ones have no reason, which is an error until one is written.
    #[arg(long)]
    update: bool,
    /// The page whose table of results is written with `--update` of all tests.
    #[arg(long)]
    page: Option<PathBuf>,
    /// Tests that run at once.
    #[arg(long, default_value_t = 4)]
    at_once: usize,
    /// Run the tests on the runtimes in this folder of npm packages too, and print a table of all; with `--update` of all tests,
    /// write it into the page.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// The folder where the results of those runtimes are kept. A test whose result is there is not run again on them.
    #[arg(long, default_value = "target/conformance/peers")]
    peers_cache: PathBuf,
    /// Print the number of passed subtests in each folder as JSON.
    #[arg(long)]
    json: bool,
}

/// Returns the page to update, if requested and all tests run.
fn whole_page(arguments: &Arguments) -> Option<&Path> {
    let page = arguments.page.as_deref();
    page.filter(|_| arguments.update && arguments.names.is_empty())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    // A folder is not there if no mirror has its archive.
    let is_there = |path: &str| {
        arguments
            .tests
            .join(path.split('/').next().unwrap_or_default())
            .is_dir()
    };
    let is_named = |path: &str| arguments.names.iter().any(|name| path.contains(name.as_str()));
    let is_chosen = |path: &str| is_there(path) && (arguments.names.is_empty() || is_named(path));
    let mut tests = files::find(&arguments.tests)?;
    tests.retain(|test| is_chosen(&test.path));
    let outcomes = run::run(&arguments.tests, tests.clone(), arguments.at_once).await?;
    let summary = results::summarize(&outcomes);
    if let Some(folder) = &arguments.peers {
        let name = format!("Isopod {}", env!("CARGO_PKG_VERSION"));
        let mut summaries = vec![(name, results::summarize(&outcomes))];
        let places = Places {
            packages: folder,
            tests: &arguments.tests,
            cache: &arguments.peers_cache,
        };
        summaries.extend(peers::run(places, &tests, arguments.at_once).await?);
        print!("{}", document::peers(&summaries)?);
        if let Some(page) = whole_page(&arguments) {
            document::write_peers(page, &summaries)?;
        }
    }
    match arguments.json {
        true => println!("{}", serde_json::to_string_pretty(&summary)?),
        false => print!("{summary}"),
    }
    let mut expected = Expected::read(&arguments.expected)?;
    let differences = expected.compare(&outcomes, is_chosen);
    if arguments.update {
        expected.record(&outcomes, is_chosen);
        expected.write(&arguments.expected)?;
        if let Some(page) = whole_page(&arguments) {
            document::write(page, &summary, &expected.reasons())?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    for difference in &differences {
        println!("{difference}");
    }
    Ok(match differences.is_empty() && summary.passed() > 0 {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
