//! A hundred workers over eight threads, each using the clients of its thread.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use isopod::{FetchConfig, NetPolicy, Options, Pool, Script};

use crate::origin::Origin;
use crate::process::{resident_bytes, threads_named, until};

/// Allows requests to this machine.
fn reaches_home() -> FetchConfig {
    let policy = NetPolicy::default().allow_private(true);
    FetchConfig::default().policy(Arc::new(policy))
}

#[test]
fn a_hundred_workers_over_eight_threads_fetch_through_the_connections_of_their_threads() {
    const WORKERS: usize = 100;
    const ROUNDS: usize = 4;
    let origin = Origin::start();
    assert_eq!(origin.address.ip(), IpAddr::from([127, 0, 0, 1]));
    let pool = Pool::builder().threads(8).thread_name("crowd").build().expect("a pool");
    for worker in 0..WORKERS {
        let source = format!(
            "export async function get(path) {{
                const response = await fetch(`http://{}/{worker}/${{path}}`);
                return [response.status, await response.text()];
            }}",
            origin.address
        );
        let script = Script::builder(format!("w{worker}"))
            .source(source)
            .fetch(reaches_home());
        let script = script.build().expect("a script");
        pool.deploy(format!("w{worker}"), script, &Options::default())
            .expect("a pool that runs");
    }
    std::thread::scope(|scope| {
        for caller in 0..16 {
            let pool = &pool;
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    for worker in (caller..WORKERS).step_by(16) {
                        let name = format!("w{worker}");
                        let answer = futures::executor::block_on(pool.call(&name, "get", (round,)));
                        let answer: (u16, String) = answer.expect("an answer");
                        assert_eq!(answer, (200, format!("/{worker}/{round}")));
                    }
                }
            });
        }
    });
    assert_eq!(origin.requests(), WORKERS * ROUNDS);
    // At most as many connections as requests in flight at once, however many workers there were.
    assert!(origin.connections() <= 16 + 8, "{} connections", origin.connections());
    // An event ends shortly after its response is sent.
    let stats = until("all events ended", || {
        Some(pool.stats()).filter(|stats| stats.open == 0)
    });
    assert_eq!(stats.outcomes["ok"], (WORKERS * ROUNDS) as u64, "{:?}", stats.outcomes);
    assert_eq!(stats.threads.lost, 0);
    assert!(threads_named("crowd") >= 8);
    let report = pool.shutdown_blocking(Duration::from_secs(10));
    assert_eq!((report.threads_joined, report.threads_stuck, report.cut), (8, 0, 0));
    // Joined threads end immediately; an I/O runtime ends in the background.
    until("the last thread is gone", || {
        (threads_named("crowd") == 0).then_some(())
    });
}

#[test]
fn three_hundred_workers_leave_memory_flat() {
    let pool = Pool::builder().threads(1).build().expect("a pool");
    let source = "const kept = new Array(100_000).fill('x'); export const size = () => kept.length;";
    let script = Script::builder("fresh").source(source).build().expect("a script");
    let options = Options::default().policy(isopod::Policy::PerRequest);
    pool.deploy("fresh", script, &options).expect("a pool that runs");
    let run = |times: usize| {
        for _ in 0..times {
            let size: usize = futures::executor::block_on(pool.call("fresh", "size", &())).expect("an answer");
            assert_eq!(size, 100_000);
        }
        resident_bytes(std::process::id())
    };
    let warm = run(50);
    let after = run(300);
    assert!(after < warm + (32 << 20), "{} KiB more", (after - warm) / 1024);
    assert!(pool.stats().scripts["fresh"].boots >= 350);
}

// row 28
#[test]
fn pools_are_built_and_grown_from_many_threads() {
    for _ in 0..2 {
        std::thread::scope(|scope| {
            for number in 0..6 {
                scope.spawn(move || {
                    let pool = Pool::builder().threads(1).threads_max(3).build().expect("a pool");
                    let script = Script::builder("id")
                        .source("export const id = (n) => n;")
                        .build()
                        .expect("a script");
                    pool.deploy("id", script, &Options::default().spread_at(1))
                        .expect("a pool that runs");
                    // Enough concurrent calls for the pool to grow, wherever they are polled.
                    let pool = &pool;
                    let calls = (0..8).map(|i| async move { (i, pool.call("id", "id", (number * 100 + i,)).await) });
                    for (i, answer) in futures::executor::block_on(futures::future::join_all(calls)) {
                        assert_eq!(answer, Ok(number * 100 + i));
                    }
                    let report = pool.shutdown_blocking(Duration::from_secs(10));
                    assert_eq!(report.threads_stuck, 0);
                });
            }
        });
    }
}
