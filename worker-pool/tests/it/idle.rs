//! An idle pool never wakes up. A test program of its own, because it counts the switches of all threads of the process.

use std::path::PathBuf;
use std::time::Duration;

use crate::common::{LONG, builder, call, deploy, hold, threads_named, until};
use isopod_pool::fake::{Does, FakeScript};
use isopod_pool::{Meta, Options};

const WORKERS: usize = 32;
const WATCHED: Duration = Duration::from_secs(2);
/// Maximum number of switches. A few threads may still be going to sleep; a thread that polls ten times a second would cause 20.
const SWITCHES_MAX: u64 = 16;

/// Returns the number of context switches of these threads.
fn switches(threads: &[PathBuf]) -> u64 {
    let lines = threads.iter().map(|thread| {
        let status = std::fs::read_to_string(thread.join("status")).expect("the thread lives");
        let counts = status.lines().filter(|line| line.contains("ctxt_switches"));
        let counts = counts.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok());
        counts.sum::<u64>()
    });
    lines.sum()
}

#[track_caller]
fn assert_idle(what: &str) {
    let threads = threads_named("rest");
    assert_eq!(threads.len(), WORKERS + 1, "{what}: all workers and the supervisor");
    let before = switches(&threads);
    // tidy:allow(sleep): switches are counted over an idle time.
    std::thread::sleep(WATCHED);
    let during = switches(&threads) - before;
    assert!(
        during <= SWITCHES_MAX,
        "{what}: {during} context switches in {WATCHED:?}"
    );
}

#[test]
fn an_idle_worker_gives_back_memory_and_io_once() {
    let pool = builder(1)
        .trim_after(Duration::from_millis(5))
        .io_idle_timeout(Duration::from_millis(10))
        .build()
        .expect("threads");
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default());
    for n in 1..5 {
        assert_eq!(call(&pool, "s", Does::Echo(0)), Ok(0));
        until(|| (script.trims(), script.io_ends()) == (n, n));
    }
    let (open, held) = hold(&pool, "s");
    until(|| pool.stats().scripts["s"].in_flight == 1);
    assert!(held.reply.recv_timeout(Duration::from_millis(50)).is_err());
    assert_eq!(
        (script.trims(), script.io_ends()),
        (4, 4),
        "neither again nor while an event runs"
    );
    drop(open);
    assert_eq!(held.answer(), Ok(0));
    until(|| script.trims() == 5);
}

#[test]
fn an_idle_pool_of_32_workers_sleeps() {
    let builder = builder(WORKERS).trim_after(Duration::from_millis(1));
    let pool = builder.thread_name("rest").build().expect("threads");
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default().workers_min(WORKERS));
    until(|| script.alive() == WORKERS);
    (0..1000).for_each(|n| assert_eq!(call(&pool, "s", Does::Echo(n)), Ok(n)));
    until(|| pool.stats().open == 0);
    assert_idle("warm");

    // An event that waits, and a native task that has ended.
    let (open, held) = hold(&pool, "s");
    assert_eq!(pool.native("n", Meta::default(), async |_| 1).wait(), Ok(1));
    until(|| pool.stats().open == 1);
    assert_idle("waiting for one event");
    drop(open);
    assert_eq!(held.answer(), Ok(0));

    assert_eq!(pool.drain_blocking(LONG).cut, 0);
    assert_idle("drained");
    assert_eq!(pool.shutdown_blocking(LONG).threads_joined, WORKERS);
}
