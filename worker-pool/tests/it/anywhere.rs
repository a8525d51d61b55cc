//! Creating, using and dropping a pool on any thread, inside and outside any runtime, and beside another pool.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{LONG, Pool, Sent, builder, call, deploy, hold, pool, threads_named, until};
use isopod_pool::fake::{Does, FakeScript};
use isopod_pool::{Meta, Options, Outcome, Ticket};

fn named(name: &str, threads: usize) -> Pool {
    builder(threads).thread_name(name).build().expect("threads")
}

/// Creates a pool and drops it with an event running, which continues.
fn make_use_drop(name: &str) -> (Arc<FakeScript>, flume::Sender<()>, Sent) {
    let pool = named(name, 2);
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default());
    assert_eq!(call(&pool, "s", Does::Echo(1)), Ok(1));
    let (open, held) = hold(&pool, "s");
    let start = Instant::now();
    drop(pool);
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "the drop blocked for {:?}",
        start.elapsed()
    );
    (script, open, held)
}

fn ends(name: &str, (script, open, held): (Arc<FakeScript>, flume::Sender<()>, Sent)) {
    assert!(script.alive() > 0 && held.reply.is_empty());
    drop(open);
    assert_eq!(held.answer(), Ok(0));
    until(|| script.alive() == 0);
    // The last thread drops the shared state, and the script with it.
    until(|| Arc::strong_count(&script) == 1);
    until(|| threads_named(name).is_empty());
}

/// Runs the pool's asynchronous methods on the current executor, and leaves no thread behind.
async fn make_await_shut_down(name: &str) {
    let pool = named(name, 2);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    pool.warm("s").await.expect("a worker");
    let task = pool.native("n", Meta::default(), async |_| {
        // The worker's own runtime has timers, independently of the host's.
        tokio::time::sleep(Duration::from_millis(1)).await;
        std::thread::current().name().unwrap_or_default().to_owned()
    });
    assert!(task.await.expect("its name").starts_with(name));
    assert_eq!(threads_named(name).len(), 3, "two workers and the supervisor");
    assert_eq!(pool.drain(LONG).await.cut, 0);
    assert_eq!(pool.shutdown(LONG).await.threads_joined, 2);
    until(|| threads_named(name).is_empty());
}

#[test]
fn a_plain_thread_uses_a_pool_without_an_executor() {
    let pool = named("sync", 1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    pool.warm_blocking("s").expect("a worker");
    assert_eq!(call(&pool, "s", Does::Echo(1)), Ok(1));
    assert_eq!(pool.native("n", Meta::default(), async |_| 2).wait(), Ok(2));
    assert_eq!(pool.drain_blocking(LONG).cut, 0);
    assert_eq!(pool.shutdown_blocking(LONG).threads_joined, 1);
    until(|| threads_named("sync").is_empty());
    ends("plain", make_use_drop("plain"));
}

#[test]
fn dropping_a_pool_inside_a_current_thread_runtime_neither_blocks_nor_panics() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(make_await_shut_down("cur"));
    ends("one", runtime.block_on(async { make_use_drop("one") }));
}

#[test]
fn dropping_a_pool_inside_a_multi_thread_runtime_neither_blocks_nor_panics() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime
        .block_on(runtime.spawn(make_await_shut_down("multi")))
        .expect("no panic");
    let dropped = runtime.block_on(runtime.spawn(async { make_use_drop("many") }));
    ends("many", dropped.expect("no panic"));
}

#[tokio::test]
async fn a_tokio_test_uses_a_pool() {
    make_await_shut_down("attr").await;
    ends("test", make_use_drop("test"));
}

/// Of the executors other than Tokio, smol is maintained; async-std was discontinued in its favor.
#[test]
fn smol_uses_a_pool() {
    smol::block_on(smol::spawn(make_await_shut_down("sml1")));
    ends("sml2", smol::block_on(smol::spawn(async { make_use_drop("sml2") })));
}

#[test]
fn a_pool_is_awaited_inside_a_native_task_of_another() {
    let outer = named("outer", 1);
    let inside = outer.native("n", Meta::default(), async |_| {
        make_await_shut_down("inner").await;
        make_use_drop("inne2")
    });
    ends("inne2", inside.wait().expect("no panic"));
    drop(outer);
    until(|| threads_named("outer").is_empty());
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

// row 28
#[test]
fn a_pool_can_live_on_a_worker_thread_of_another() {
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
fn two_pools_are_independent() {
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
