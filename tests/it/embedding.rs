//! The pool in other programs: with any executor or none, created and dropped anywhere.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use isopod::{Body, Meta, Options, Outcome, Pool, Script};

use crate::process::{threads_named, until};

const LIMIT: Duration = Duration::from_secs(10);

fn greeter(text: &str) -> Script {
    let source = format!(
        "export default {{ async fetch(request) {{
            await new Promise((resolve) => setTimeout(resolve, 1));
            return new Response('{text} ' + new URL(request.url).pathname);
        }} }}"
    );
    Script::builder("greeter").source(source).build().expect("a script")
}

fn build(name: &'static str) -> Pool {
    let pool = Pool::builder().threads(1).thread_name(name).build().expect("a pool");
    pool.deploy("greeter", greeter("hello"), &Options::default())
        .expect("a pool that runs");
    pool
}

async fn greeting(pool: &Pool, path: &str) -> String {
    let request = http::Request::get(format!("http://localhost{path}"))
        .body(Body::empty())
        .expect("a request");
    let response = pool
        .fetch("greeter", request, Meta::default())
        .await
        .expect("a response");
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(body.to_vec()).expect("text")
}

/// Creates, uses and drops a pool twice in async code; its threads must end.
fn lives_in(name: &'static str, run: impl Fn(&mut dyn FnMut() -> std::pin::Pin<Box<dyn Future<Output = ()>>>)) {
    for _ in 0..2 {
        run(&mut || {
            Box::pin(async move {
                let pool = build(name);
                assert_eq!(greeting(&pool, "/a").await, "hello /a");
                let start = Instant::now();
                drop(pool);
                assert!(
                    start.elapsed() < Duration::from_secs(1),
                    "dropping it blocked for {:?}",
                    start.elapsed()
                );
            })
        });
        until("the dropped pool's threads end", || {
            (threads_named(name) == 0).then_some(())
        });
    }
}

#[test]
fn a_plain_thread_needs_no_runtime() {
    for _ in 0..2 {
        let pool = build("plain");
        assert_eq!(futures::executor::block_on(greeting(&pool, "/a")), "hello /a");
        let report = pool.shutdown_blocking(LIMIT);
        assert_eq!((report.threads_joined, report.threads_stuck), (1, 0));
    }
}

#[test]
fn a_pool_lives_and_is_dropped_in_futures_executor() {
    lives_in("in-futures", |make| futures::executor::block_on(make()));
}

#[test]
fn a_pool_lives_and_is_dropped_in_a_current_thread_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    lives_in("in-current", |make| runtime.block_on(make()));
}

#[test]
fn a_pool_lives_and_is_dropped_in_a_multi_thread_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    lives_in("in-multi", |make| runtime.block_on(make()));
    // On a thread of the runtime, not only on the one that blocks.
    let spawned = runtime.spawn(async {
        let pool = build("in-multi");
        greeting(&pool, "/spawned").await
    });
    assert_eq!(runtime.block_on(spawned).expect("a task"), "hello /spawned");
}

#[test]
fn a_pool_lives_and_is_dropped_in_smol() {
    lives_in("in-smol", |make| smol::block_on(make()));
    // In a task on smol's own threads.
    let spawned = smol::spawn(async {
        let pool = build("in-smol");
        greeting(&pool, "/spawned").await
    });
    assert_eq!(smol::block_on(spawned), "hello /spawned");
}

#[tokio::test]
async fn a_pool_lives_and_is_shut_down_in_a_test_of_tokio() {
    let pool = build("in-test");
    assert_eq!(greeting(&pool, "/a").await, "hello /a");
    assert_eq!(pool.shutdown(LIMIT).await.threads_joined, 1);
}

#[test]
fn a_pool_lives_and_is_dropped_on_a_worker_thread_of_another() {
    let outer = build("the-outer");
    let inside = outer.native("nested", Meta::default(), async |_| {
        let inner = build("the-inner");
        let greeted = greeting(&inner, "/inside").await;
        drop(inner);
        greeted
    });
    assert_eq!(inside.wait().as_deref(), Ok("hello /inside"));
    until("the inner pool's threads end", || {
        (threads_named("the-inner") == 0).then_some(())
    });
    assert_eq!(futures::executor::block_on(greeting(&outer, "/after")), "hello /after");
}

#[test]
fn a_new_version_is_deployed_under_load_without_a_failed_request() {
    let pool = Pool::builder().threads(2).build().expect("a pool");
    pool.deploy("greeter", greeter("v0"), &Options::default())
        .expect("a pool that runs");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = Vec::new();
                    while !stop.load(Ordering::SeqCst) {
                        let text = futures::executor::block_on(greeting(&pool, "/"));
                        let version: u32 = text
                            .strip_prefix('v')
                            .and_then(|v| v.split(' ').next()?.parse().ok())
                            .expect("v");
                        seen.push(version);
                    }
                    seen
                })
            })
            .collect();
        for version in 1..=5 {
            pool.deploy("greeter", greeter(&format!("v{version}")), &Options::default())
                .expect("a pool that runs");
            let text = format!("v{version} /");
            until("the new version answers", || {
                (futures::executor::block_on(greeting(&pool, "/")) == text).then_some(())
            });
        }
        stop.store(true, Ordering::SeqCst);
        for client in clients {
            let seen = client.join().expect("a client whose requests were all answered");
            assert!(!seen.is_empty() && seen.is_sorted(), "{seen:?}");
        }
    });
    let report = pool.shutdown_blocking(LIMIT);
    assert_eq!(report.cut, 0);
}

#[test]
fn a_shutdown_reports_finished_and_cut_events() {
    let pool = Pool::builder().threads(1).build().expect("a pool");
    let source = "export const ready = () => 1;
        export const soon = () => new Promise((resolve) => setTimeout(() => resolve(1), 100));
        export const late = () => new Promise((resolve) => setTimeout(() => resolve(1), 60_000));";
    pool.deploy(
        "waits",
        Script::builder("waits").source(source).build().expect("a script"),
        &Options::default(),
    )
    .expect("a pool that runs");
    let call = |function: &'static str| {
        let pool = pool.clone();
        std::thread::spawn(move || futures::executor::block_on(pool.call::<_, i32>("waits", function, &())))
    };
    call("ready").join().expect("a caller").expect("an answer");
    let (soon, late) = (call("soon"), call("late"));
    until("both are under way", || {
        (pool.stats().scripts["waits"].in_flight == 2).then_some(())
    });
    let report = pool.shutdown_blocking(Duration::from_secs(1));
    assert_eq!(
        (report.finished, report.cut, report.threads_joined, report.threads_stuck),
        (1, 1, 1, 0)
    );
    assert_eq!(soon.join().expect("a caller"), Ok(1));
    assert_eq!(
        late.join().expect("a caller").expect_err("cut").outcome,
        Outcome::Canceled
    );
    assert!(call("ready").join().expect("a caller").is_err());
    assert!(pool.deploy("late", greeter("late"), &Options::default()).is_err());
}

#[test]
fn loops_with_a_short_deadline_cost_no_thread() {
    let pool = Pool::builder().threads(2).build().expect("a pool");
    let source = "export function spin(ms) { for (const until = Date.now() + ms; Date.now() < until;); }
                  export const good = () => 'good';";
    let script = Script::builder("spin").source(source).build().expect("a script");
    pool.deploy("spin", script, &Options::default())
        .expect("a pool that runs");
    pool.warm_blocking("spin").expect("a worker");
    let start = Instant::now();
    let deadline = Duration::from_millis(100);
    let meta = Meta::default().deadline(start + deadline);
    let calls = (0..4).map(|_| pool.call_with::<_, ()>("spin", "spin", (3000,), meta));
    for ended in futures::executor::block_on(futures::future::join_all(calls)) {
        assert_eq!(
            ended.expect_err("a deadline that passed").outcome,
            Outcome::ExceededWall
        );
    }
    assert!(
        (deadline..Duration::from_secs(2)).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
    let good: String = pool.call_blocking("spin", "good", ()).expect("a value");
    assert_eq!(good, "good");
    let threads = pool.stats().threads;
    assert_eq!((threads.lost, threads.stuck), (0, 0));
}
