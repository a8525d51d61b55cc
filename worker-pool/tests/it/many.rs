//! More workers than processors, each with its own thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{
    LONG, Pool, assert_settled, builder, call, deploy, hold, one_at_a_time, send, threads_named, try_send, until,
};
use isopod_pool::fake::{Boot, Does, FakeEngine, FakeScript};
use isopod_pool::{Meta, Options, RejectReason};

const MANY: usize = 40;

/// Builds a pool with defaults, but few enough threads for any machine.
fn by_default(name: &str) -> Pool {
    let builder = isopod_pool::Pool::builder(FakeEngine::new()).workers_max(MANY * 3);
    builder
        .thread_name(name)
        .thread_idle_timeout(Duration::from_millis(50))
        .build()
        .expect("threads")
}

fn names() -> impl Iterator<Item = String> {
    (0..MANY).map(|n| format!("s{n}"))
}

// row 44
#[test]
fn waiting_workers_do_not_block_other_scripts() {
    let pool = by_default("waiting");
    let held: Vec<_> = names()
        .map(|name| {
            deploy(&pool, &name, FakeScript::new(), &Options::default());
            hold(&pool, &name)
        })
        .collect();
    until(|| pool.stats().threads.busy == MANY);
    deploy(&pool, "good", FakeScript::new(), &Options::default());
    assert_eq!(call(&pool, "good", Does::Echo(1)), Ok(1));
    // Its worker reports the end after the answer.
    until(|| pool.stats().threads.busy == MANY);
    for (open, sent) in held {
        drop(open);
        assert_eq!(sent.answer(), Ok(0));
    }
    assert_settled(&pool);
}

#[test]
fn scripts_called_in_turn_boot_once_each() {
    let pool = by_default("in-turn");
    let scripts: Vec<_> = names()
        .map(|name| deploy(&pool, &name, FakeScript::new(), &Options::default()))
        .collect();
    for n in 0..10 {
        names().for_each(|name| assert_eq!(call(&pool, &name, Does::Echo(n)), Ok(n)));
    }
    assert!(scripts.iter().all(|script| script.boots() == 1));
}

#[test]
fn surplus_threads_end() {
    let pool = by_default("surplus");
    for name in names() {
        deploy(&pool, &name, FakeScript::new(), &Options::default());
        assert_eq!(call(&pool, &name, Does::Echo(1)), Ok(1));
    }
    assert!(pool.stats().threads.alive >= MANY);
    names().for_each(|name| assert!(pool.undeploy(&name)));
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    until(|| pool.stats().threads.alive == processors);
    // Including the supervisor.
    until(|| threads_named("surplus").len() == processors + 1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    assert_eq!(call(&pool, "s", Does::Echo(2)), Ok(2));
    assert_eq!(pool.shutdown_blocking(LONG).threads_stuck, 0);
}

#[test]
fn one_script_gets_no_more_workers_by_default_than_there_are_processors() {
    let pool = by_default("one");
    let script = deploy(&pool, "s", FakeScript::new(), &one_at_a_time());
    let held: Vec<_> = (0..MANY).map(|_| hold(&pool, "s")).collect();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    until(|| pool.stats().threads.busy == processors);
    assert_eq!(
        (script.alive(), pool.stats().scripts["s"].queued),
        (processors, MANY - processors)
    );
    drop(held);
    assert_settled(&pool);
}

#[test]
fn waiting_and_blocking_boots_delay_no_other() {
    let pool = by_default("boots");
    let (open, gate) = flume::bounded::<()>(0);
    let gate = Arc::new(gate);
    let mut waiting = Vec::new();
    for (n, name) in names().enumerate() {
        let boot = if n < 8 {
            Boot::Blocks(Arc::clone(&gate))
        } else {
            Boot::Hangs
        };
        deploy(&pool, &name, FakeScript::new().boot(boot), &Options::default());
        waiting.push(send(&pool, &name, Does::Echo(1)));
    }
    deploy(&pool, "good", FakeScript::new(), &Options::default());
    let asked = Instant::now();
    assert_eq!(call(&pool, "good", Does::Echo(1)), Ok(1));
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    drop((open, waiting));
}

#[test]
fn a_nested_event_does_not_wait_for_its_callers_threads() {
    let pool = builder(2).build().expect("threads");
    for name in ["a", "b", "callee", "more"] {
        deploy(&pool, name, FakeScript::new(), &Options::default());
    }
    let nested = || try_send(&pool, "callee", Does::Echo(7), Meta::default().depth(1));
    let one = hold(&pool, "a");
    until(|| pool.stats().threads.busy == 1);
    // With a thread available, a nested event is placed like any other, and its worker answers the next one.
    assert_eq!(nested().expect("a thread").answer(), Ok(7));
    let other = hold(&pool, "callee");
    assert_eq!(nested().expect("room in a worker").answer(), Ok(7));
    drop(other.0);
    assert_eq!(other.1.answer(), Ok(0));
    let other = hold(&pool, "b");
    until(|| pool.stats().scripts["b"].in_flight == 1);
    // Otherwise an extra thread is started. The thread of a worker that may wait for the event does not count.
    let extra = hold(&pool, "callee");
    until(|| pool.stats().scripts["callee"].queued == 1);
    assert_eq!(nested().expect("an extra thread").answer(), Ok(7));
    until(|| pool.stats().scripts["callee"].in_flight == 1);
    let refused = try_send(&pool, "more", Does::Echo(7), Meta::default().depth(1)).err();
    let refused = refused.expect("no thread is left");
    assert!(matches!(refused, RejectReason::ThreadsOccupied { .. }), "{refused}");
    assert!(refused.retry_after().is_some());
    // An event from outside may wait.
    let waits = send(&pool, "more", Does::Echo(8));
    drop((one.0, other.0, extra.0));
    assert_eq!(
        (one.1.answer(), other.1.answer(), extra.1.answer(), waits.answer()),
        (Ok(0), Ok(0), Ok(0), Ok(8))
    );
    assert_settled(&pool);
}

#[test]
fn if_the_system_refuses_threads_scripts_share_the_existing_ones() {
    let engine = FakeEngine::new().threads_max(3);
    let pool = isopod_pool::Pool::builder(engine)
        .workers_max(MANY)
        .build()
        .expect("threads");
    for name in names() {
        deploy(&pool, &name, FakeScript::new(), &Options::default());
    }
    for n in 0..5 {
        names().for_each(|name| assert_eq!(call(&pool, &name, Does::Echo(n)), Ok(n)));
    }
    let threads = pool.stats().threads;
    assert!(threads.alive <= 4 && threads.lost <= 200, "{threads:?}");
    assert_eq!(pool.shutdown_blocking(LONG).threads_stuck, 0);
}
