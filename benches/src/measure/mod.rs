//! The measurements. In each, several subjects do the same work in turn, for several rounds; the result is the median.

mod calls;
mod dispatch;
mod enforce;
mod events;
mod fresh;
mod http;
mod idle;
mod many;
mod memory;
mod served;
mod start;
mod stores;
mod warm;
mod wrk;

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use crate::own::Function;
use crate::programs::Programs;
use crate::samples::Samples;
use crate::table::Table;

/// A measurement.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Name {
    /// One caller, latency of each call
    Latency,
    /// The same with small objects as argument and result
    StructLatency,
    /// 64 callers on two workers
    Throughput,
    /// The same with small objects as argument and result, on one worker and on two
    StructThroughput,
    /// The same with a function that computes, on one worker and on two
    WorkThroughput,
    /// A message from worker to worker
    Events,
    /// Hello world with limits off and on
    Enforced,
    /// Time from the limit of an endless loop to its answer
    Breach,
    /// Starting a worker, to its first line
    Fresh,
    /// Memory of an additional idle worker
    Memory,
    /// Memory and threads of 1,000 idle workers of a server
    Warm,
    /// Activity of an idle pool
    Idle,
    /// Hello world over HTTP
    Hello,
    /// The URL and three headers of a request, over HTTP
    Headers,
    /// A Hono route that answers with JSON
    Hono,
    /// 4 KB of JSON, parsed and written
    Echo,
    /// 16 KB from a local origin, streamed through, over HTTP
    Fetch,
    /// 32 scripts in turn, over HTTP
    Turn,
    /// 1,000 scripts by Zipf's law, over HTTP
    Zipf,
    /// Starting a process, to its first result
    Start,
    /// A key of KV, over HTTP
    Kv,
    /// A row of D1, over HTTP
    D1,
    /// A static asset, over HTTP
    Assets,
    /// Messages of a queue, sent and handled
    Queue,
    /// Calls of another worker's method
    Service,
    /// Calls of another worker of a server
    Calls,
    /// A large object, put and read
    Object,
}

impl Name {
    pub(crate) fn all() -> &'static [Self] {
        Self::value_variants()
    }

    pub(crate) fn measure(self, programs: &Programs, effort: &Effort) -> Result<Table> {
        match self {
            Self::Latency => dispatch::latency(programs, effort, Function::Nothing),
            Self::StructLatency => dispatch::latency(programs, effort, Function::Total),
            Self::Throughput => dispatch::throughput(programs, effort, Function::Nothing),
            Self::StructThroughput => dispatch::throughput(programs, effort, Function::Total),
            Self::WorkThroughput => dispatch::throughput(programs, effort, Function::Work),
            Self::Events => events::measure(programs, effort),
            Self::Enforced => enforce::enforced(programs, effort),
            Self::Breach => enforce::breach(programs, effort),
            Self::Fresh => fresh::measure(programs, effort),
            Self::Memory => memory::measure(programs, effort),
            Self::Warm => warm::measure(programs, effort),
            Self::Idle => idle::measure(programs, effort),
            Self::Hello => http::measure(http::Route::Hello, programs, effort),
            Self::Headers => http::measure(http::Route::Headers, programs, effort),
            Self::Hono => http::measure(http::Route::Hono, programs, effort),
            Self::Echo => http::measure(http::Route::Echo, programs, effort),
            Self::Fetch => http::measure(http::Route::Fetch, programs, effort),
            Self::Turn => many::measure(many::Scripts::Turn, programs, effort),
            Self::Zipf => many::measure(many::Scripts::Zipf, programs, effort),
            Self::Start => start::measure(programs, effort),
            Self::Kv => served::measure(served::Needs::Key, programs, effort),
            Self::D1 => served::measure(served::Needs::Row, programs, effort),
            Self::Assets => served::measure(served::Needs::File, programs, effort),
            Self::Queue => stores::queue(programs, effort),
            Self::Service => stores::service(programs, effort),
            Self::Calls => calls::measure(programs, effort),
            Self::Object => stores::object(programs, effort),
        }
    }
}

/// The extent of a measurement.
pub(crate) struct Effort {
    /// Turns of each subject.
    pub(crate) rounds: usize,
    /// Calls per turn.
    pub(crate) calls: usize,
    /// Workers or processes started per turn.
    pub(crate) starts: usize,
    /// Duration of a turn over HTTP.
    pub(crate) load: Duration,
    /// Duration of watching an idle process.
    pub(crate) idle: Duration,
    /// Size of a large object.
    pub(crate) object_megabytes: usize,
}

impl Effort {
    pub(crate) const fn full() -> Self {
        Self {
            rounds: 3,
            calls: 50_000,
            starts: 40,
            load: Duration::from_secs(4),
            idle: Duration::from_secs(30),
            object_megabytes: 1000,
        }
    }

    pub(crate) const fn quick() -> Self {
        Self {
            rounds: 1,
            calls: 5_000,
            starts: 10,
            load: Duration::from_secs(1),
            idle: Duration::from_secs(3),
            object_megabytes: 100,
        }
    }

    /// Lets the subjects take turns, so that other load on the machine affects all of them. Returns, for each subject,
    /// the median of each value over all rounds.
    fn medians<S>(&self, subjects: &[S], mut turn: impl FnMut(&S) -> Result<Vec<f64>>) -> Result<Vec<Vec<f64>>> {
        let mut turns: Vec<Vec<Vec<f64>>> = subjects.iter().map(|_| Vec::new()).collect();
        for round in 1..=self.rounds {
            for (subject, turns) in subjects.iter().zip(&mut turns) {
                turns.push(turn(subject)?);
            }
            eprintln!("  round {round} of {}", self.rounds);
        }
        let medians = |turns: Vec<Vec<f64>>| {
            let values = turns.first().map_or(0, Vec::len);
            (0..values)
                .map(|value| Samples::new(turns.iter().map(|turn| turn[value]).collect()).median())
                .collect()
        };
        Ok(turns.into_iter().map(medians).collect())
    }
}
