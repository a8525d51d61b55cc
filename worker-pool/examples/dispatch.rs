//! The cost of one event in the pool itself, on an engine that does nothing: the round trip of one caller, and the
//! throughput of 64 callers on two worker threads.
//!
//! `cargo run --release -p isopod-pool --no-default-features --features testing --example dispatch`

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::executor::block_on;
use futures::stream::FuturesUnordered;
use isopod_pool::fake::{Call, FakeEngine, FakeScript};
use isopod_pool::{Meta, Options, Pool};

const WARM_UP: usize = 20_000;
const ROUND_TRIPS: usize = 200_000;
const CALLERS: usize = 64;
const TIME: Duration = Duration::from_secs(3);

fn main() {
    one_caller();
    many_callers();
}

fn pool(threads: usize, options: &Options) -> Pool<FakeEngine> {
    let pool = Pool::builder(FakeEngine::new())
        .threads(threads)
        .build()
        .expect("threads");
    pool.deploy("empty", Arc::new(FakeScript::new()), options)
        .expect("a running pool");
    block_on(pool.warm("empty")).expect("a worker");
    pool
}

fn one_caller() {
    let pool = pool(1, &Options::default());
    let mut times: Vec<_> = (0..WARM_UP + ROUND_TRIPS)
        .map(|_| {
            let start = Instant::now();
            let (call, reply) = Call::echo(1);
            let ticket = pool.dispatch("empty", call, Meta::default()).expect("room");
            reply.recv().expect("an answer").expect("ok");
            ticket.detach();
            start.elapsed()
        })
        .skip(WARM_UP)
        .collect();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "one caller, one thread: p50 {:?}, p90 {:?}, p99 {:?}",
        at(50),
        at(90),
        at(99)
    );
}

/// Callers as tasks of one executor on one thread, like a server's connections.
fn many_callers() {
    let pool = pool(2, &Options::default().workers_min(2));
    let (start, cpu) = (Instant::now(), cpu_time());
    let callers: FuturesUnordered<_> = (0..CALLERS)
        .map(|_| async {
            let mut calls = 0_u64;
            while start.elapsed() < TIME {
                let (call, reply) = Call::echo(1);
                let ticket = pool.dispatch("empty", call, Meta::default()).expect("room");
                reply.into_recv_async().await.expect("an answer").expect("ok");
                ticket.detach();
                calls += 1;
            }
            calls
        })
        .collect();
    let calls: u64 = block_on(callers.collect::<Vec<_>>()).into_iter().sum();
    println!(
        "{CALLERS} callers, two threads: {:.0} calls/s, {:.2} µs of CPU time a call",
        calls as f64 / start.elapsed().as_secs_f64(),
        (cpu_time() - cpu).as_secs_f64() * 1e6 / calls as f64
    );
}

/// User and system CPU time of this process; zero if the operating system does not report it.
fn cpu_time() -> Duration {
    const TICKS_PER_SECOND: u64 = 100;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |field: usize| -> u64 {
        after_name
            .split_whitespace()
            .nth(field)
            .and_then(|ticks| ticks.parse().ok())
            .unwrap_or_default()
    };
    Duration::from_millis((ticks(11) + ticks(12)) * 1000 / TICKS_PER_SECOND)
}
