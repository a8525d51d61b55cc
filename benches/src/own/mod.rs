//! Isopod's side of each measurement, in a process of its own: nothing of an earlier one is warm or in memory.

mod bare;
mod boot;
mod dispatch;
mod enforce;
mod events;
mod first;
mod fresh;
mod hyper;
mod idle;

use anyhow::{Context, Result};
use clap::Subcommand;

/// What to be.
#[derive(Subcommand)]
pub(crate) enum Subject {
    /// Calls on V8, one caller after the other; prints microseconds of each
    CallLatency {
        function: Function,
        workers: usize,
        calls: usize,
    },
    /// The same on the engine without V8
    FakeLatency { calls: usize },
    /// 64 callers; prints calls per second
    CallThroughput {
        function: Function,
        workers: usize,
        calls: usize,
    },
    /// The same on the engine without V8
    FakeThroughput { calls: usize },
    /// A call on a fresh worker, again and again; prints microseconds of each
    Fresh { calls: usize },
    /// A fresh worker on one thread, to its script's first line, again and again; prints microseconds of each
    Boot { workers: usize },
    /// An isolate with all extensions, made without the snapshot, again and again; prints microseconds of each
    Bare { isolates: usize },
    /// Messages from worker to worker; prints microseconds of a hop
    Events { chains: usize },
    /// Hello world with limits off and on, block by block; prints microseconds a request, off and on, of each block
    Enforced { blocks: usize },
    /// Endless loops on all processors; prints how many milliseconds after its limit each was answered
    Breach { loops: usize },
    /// So many idle workers, each on its own thread; prints a line when they are
    Idle { workers: usize },
    /// A pool and one call
    First,
    /// A server on hyper alone
    Hyper { port: u16 },
}

/// What is called.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Function {
    /// A function that does nothing
    Nothing,
    /// An order in, an invoice out
    Total,
    /// A loop that takes a tenth of a millisecond or so
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

/// Is it, to its end.
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
        Subject::Boot { workers } => print(&boot::run(workers)?),
        Subject::Bare { isolates } => print(&bare::run(isolates)?),
        Subject::Events { chains } => print(&events::run(chains)?),
        Subject::Enforced { blocks } => print(&enforce::enforced(blocks)?),
        Subject::Breach { loops } => print(&enforce::breach(loops)?),
        Subject::Idle { workers } => idle::run(workers),
        Subject::First => first::run(),
        Subject::Hyper { port } => hyper::run(port),
    }
}

fn print(value: &impl serde::Serialize) -> Result<()> {
    serde_json::to_writer(std::io::stdout().lock(), value).context("standard output is closed")
}

/// Microseconds since a moment.
fn micros_since(begun: std::time::Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1e6
}
