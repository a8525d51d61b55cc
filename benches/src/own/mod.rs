//! Isopod's subjects, each in its own process, so that nothing of an earlier one is warm or in memory.

mod bare;
mod boot;
mod dispatch;
mod enforce;
mod events;
mod first;
mod fresh;
mod hyper;
mod idle;
mod plain;
mod stores;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Subcommand;

/// A subject.
#[derive(Subcommand)]
pub(crate) enum Subject {
    /// Calls on V8 by one caller; prints microseconds of each
    CallLatency {
        function: Function,
        workers: usize,
        calls: usize,
    },
    /// The same with the fake engine
    FakeLatency { calls: usize },
    /// 64 callers; prints calls per second
    CallThroughput {
        function: Function,
        workers: usize,
        calls: usize,
    },
    /// The same with the fake engine
    FakeThroughput { calls: usize },
    /// Repeated calls on a fresh worker; prints microseconds of each
    Fresh { calls: usize },
    /// Repeated starts of a worker on one thread, to its script's first line; prints microseconds of each
    Boot {
        workers: usize,
        /// A script that uses `Buffer`
        #[arg(long)]
        node: bool,
    },
    /// Repeated creation of an isolate with all extensions, without the snapshot; prints microseconds of each
    Bare { isolates: usize },
    /// Messages from worker to worker; prints microseconds per hop
    Events { chains: usize },
    /// Hello world with limits off and on, block by block; prints microseconds per request, off and on, of each block
    Enforced { blocks: usize },
    /// Endless loops on all processors; prints the milliseconds from the limit to the answer of each
    Breach { loops: usize },
    /// Idle workers, each on its own thread; prints a line when they are ready
    Idle {
        workers: usize,
        /// A script that uses `Buffer`
        #[arg(long)]
        node: bool,
    },
    /// A pool and one call
    First,
    /// A server on hyper alone
    Hyper { port: u16 },
    /// A queue; prints the messages per second, sent and handled
    Queue { messages: usize },
    /// Calls of another worker; prints microseconds of each
    Service { calls: usize },
    /// A large object in a bucket; prints MB per second, put and got, and the growth of memory in MiB
    Object { megabytes: usize },
    /// A server of rows of SQLite, on hyper and rusqlite
    Rows { port: u16, folder: PathBuf },
    /// A server of the files of a folder, on hyper and tower-http
    Files { port: u16, folder: PathBuf },
}

/// The called function.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Function {
    /// An empty function
    Nothing,
    /// An order in, an invoice out
    Total,
    /// A loop of about a tenth of a millisecond
    Work,
}

impl Function {
    /// Its name in scripts and on command lines.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Total => "total",
            Self::Work => "work",
        }
    }
}

/// Runs a subject.
pub(crate) fn run(subject: Subject) -> Result<()> {
    match subject {
        Subject::CallLatency {
            function,
            workers,
            calls,
        } => print(&dispatch::call_latency(function, workers, calls)?),
        Subject::FakeLatency { calls } => print(&dispatch::fake_latency(calls)?),
        Subject::CallThroughput {
            function,
            workers,
            calls,
        } => print(&dispatch::call_throughput(function, workers, calls)?),
        Subject::FakeThroughput { calls } => print(&dispatch::fake_throughput(calls)?),
        Subject::Fresh { calls } => print(&fresh::run(calls)?),
        Subject::Boot { workers, node } => print(&boot::run(workers, node)?),
        Subject::Bare { isolates } => print(&bare::run(isolates)?),
        Subject::Events { chains } => print(&events::run(chains)?),
        Subject::Enforced { blocks } => print(&enforce::enforced(blocks)?),
        Subject::Breach { loops } => print(&enforce::breach(loops)?),
        Subject::Idle { workers, node } => idle::run(workers, node),
        Subject::First => first::run(),
        Subject::Hyper { port } => hyper::run(port),
        Subject::Queue { messages } => print(&stores::queue(messages)?),
        Subject::Service { calls } => print(&stores::service(calls)?),
        Subject::Object { megabytes } => print(&stores::object(megabytes)?),
        Subject::Rows { port, folder } => plain::rows(port, &folder),
        Subject::Files { port, folder } => plain::files(port, &folder),
    }
}

fn print(value: &impl serde::Serialize) -> Result<()> {
    serde_json::to_writer(std::io::stdout().lock(), value).context("standard output is closed")
}

/// Microseconds since a moment.
fn micros_since(begun: std::time::Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6
}
