//! A daemon that analyzes samples by modules in processes of their own: `unpack` in Rust, `strings` in Python and, if asked
//! for, `entropy` in Python with a package; and by a script, `verdict`, in a worker whose process is a sandbox. Each is started by the
//! results of the one before. Any of the processes may be killed at any time.
//!
//! The findings are on standard output, the progress on standard error.

mod analysis;
mod bars;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use isopod::host::bus::Results;
use isopod::host::process::{Channel, ProcessModule};
use isopod::host::supervise::{Backoff, Intensity};
use isopod::host::{Host, PoolModule, Shutdown};
use isopod::{Cells, Isolation, Options, Pool, Script};
use serde_json::json;

use crate::analysis::Analysis;

const USAGE: &str = "usage: example-analysis-daemon FOLDER [PYTHON WITH MSGSPEC]";

fn main() -> ExitCode {
    // First of all: where this process is to run the script, it does, and does not return.
    isopod::run_cell_if_asked();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::WARN)
        .init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let samples = samples(&arguments.next().ok_or(USAGE)?)?;
    let python = arguments.next();

    // One store for all: what a module emits is kept here, and read by those that want it.
    let results = Results::new();
    let verdict = Script::builder("verdict")
        .source(include_str!("verdict.js"))
        .binding("RESULTS", results.binding())
        .isolation(Isolation::Sandbox);
    let mut host = Host::builder()
        .client(Arc::new(results))
        .module(
            PoolModule::new("pool", || {
                Pool::builder().threads(1).cells(Cells::this_program()).build()
            })
            .script("verdict", verdict.build()?, Options::default()),
        )
        .module(ProcessModule::new("unpack", beside("example-analysis-daemon-unpack")?).channel(channel()))
        .module(python_module("python3", "strings").config(json!({ "shortest": 6 })));
    if let Some(python) = &python {
        host = host.module(python_module(python, "entropy"));
    }
    let report = host
        .module(Analysis::new(samples, python.is_some()))
        .shutdown(Shutdown::signals())
        .build()?
        .run_blocking()?;
    eprintln!("{}", report.cause);
    Ok(())
}

/// The channel of each module. A task whose process is killed is begun again by the next one, and processes may be killed
/// as often as they like.
fn channel() -> Channel {
    let wait = Duration::from_millis(20);
    Channel::default()
        .retries(16)
        .deadline(Duration::from_secs(120))
        .backoff(Backoff::default().min(wait).max(wait))
        .intensity(Intensity::default().restarts(100_000_usize))
}

fn python_module(python: &str, name: &str) -> ProcessModule {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("modules");
    ProcessModule::new(name, python)
        .arg(folder.join(format!("{name}.py")))
        // What they print is in the log at once, and nothing is written beside them.
        .env("PYTHONUNBUFFERED", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .channel(channel())
}

/// A program in this program's folder.
fn beside(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

fn samples(folder: &str) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{folder}: {error}"))?;
    let mut samples = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_file() {
            samples.push(std::path::absolute(path)?);
        }
    }
    samples.sort();
    Ok(samples)
}
