//! A pool is made, used and dropped on any thread, inside and outside any runtime, and beside another pool.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Pool, Sent, call, deploy, pool, send, until};
use isopod_pool::fake::{Does, FakeScript};
use isopod_pool::{Options, Outcome, Ticket};

/// Makes a pool, leaves an event running in it and drops it. The event goes on: nobody has gone but the pool's handle.
fn make_use_drop() -> (Arc<FakeScript>, flume::Sender<()>, Sent) {
    let pool = pool(2);
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default());
    assert_eq!(call(&pool, "s", Does::Echo(1)), Ok(1));
    let (open, gate) = flume::bounded(1);
    let held = send(&pool, "s", Does::Wait(gate));
    let start = Instant::now();
    drop(pool);
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "the drop blocked for {:?}",
        start.elapsed()
    );
    (script, open, held)
}

fn ends((script, open, held): (Arc<FakeScript>, flume::Sender<()>, Sent)) {
    assert!(script.alive() > 0 && held.reply.is_empty());
    drop(open);
    assert_eq!(held.answer(), Ok(0));
    until(|| script.alive() == 0);
    // The last of the threads lets go of what they share, the script among it.
    until(|| Arc::strong_count(&script) == 1);
}

#[test]
fn dropping_a_pool_on_a_plain_thread_returns_at_once_and_what_runs_is_finished() {
    ends(make_use_drop());
}

#[test]
fn dropping_a_pool_inside_a_current_thread_runtime_neither_blocks_nor_panics() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    ends(runtime.block_on(async { make_use_drop() }));
}

#[test]
fn dropping_a_pool_inside_a_multi_thread_runtime_neither_blocks_nor_panics() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    ends(
        runtime
            .block_on(runtime.spawn(async { make_use_drop() }))
            .expect("no panic"),
    );
}

#[test]
fn a_shutdown_is_awaited_on_any_executor() {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without time or I/O");
    let (first, second) = (pool(2), pool(1));
    assert_eq!(tokio.block_on(first.shutdown(Duration::MAX)).threads_joined, 2);
    assert_eq!(
        futures::executor::block_on(second.shutdown(Duration::MAX)).threads_joined,
        1
    );
}

#[test]
fn a_pool_is_made_used_and_dropped_on_a_worker_thread_of_another() {
    let outer = pool(1);
    deploy(&outer, "s", FakeScript::new(), &Options::default());
    let nested = || {
        let inner = pool(1);
        deploy(&inner, "s", FakeScript::new(), &Options::default());
        call(&inner, "s", Does::Echo(7)).unwrap_or_default()
    };
    assert_eq!(call(&outer, "s", Does::Run(nested)), Ok(7));
    assert_eq!(call(&outer, "s", Does::Echo(8)), Ok(8));
}

#[test]
fn two_pools_at_once_know_nothing_of_each_other() {
    let (first, second) = (pool(1), pool(1));
    deploy(&first, "s", FakeScript::new().version(1), &Options::default());
    deploy(&second, "s", FakeScript::new().version(2), &Options::default());
    assert_eq!(
        (call(&first, "s", Does::Version), call(&second, "s", Does::Version)),
        (Ok(1), Ok(2))
    );
    assert_eq!(call(&first, "s", Does::Panic), Err(Outcome::WorkerLost));
    assert_eq!(first.shutdown_blocking(Duration::MAX).threads_joined, 1);
    assert_eq!(
        (call(&second, "s", Does::Version), second.stats().threads.lost),
        (Ok(2), 0)
    );
}

#[test]
fn handles_tickets_and_futures_go_from_thread_to_thread() {
    fn sends<T: Send>(_: &T) {}
    fn shares<T: Sync>() {}
    shares::<Pool>();
    shares::<Ticket>();
    let pool = pool(1);
    sends(&pool);
    sends(&pool.warm("s"));
    sends(&pool.drain(Duration::ZERO));
    sends(&pool.shutdown(Duration::ZERO));
}
