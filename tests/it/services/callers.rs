//! Information about callers in services, and cancellation when a caller leaves.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use isopod::{
    Body, CallDepth, Caller, Failure, FetchFuture, Fetcher, FetcherBinding, Limits, Meta, NativeBinding,
    NativeFunction, Options, Outcome, Policy, Pool, Quotas,
};
use serde_json::{Value, json};

use super::{ask, deploy, deploy_with, front, get, json_of, pool, script, text};
use crate::process::{threads_named, until};

/// The service's canceled requests.
const SLOW: &str = "let begun = 0, canceled = 0;
    export default { async fetch(request) {
        if (new URL(request.url).pathname === '/counts') return Response.json([begun, canceled]);
        begun++;
        request.signal.addEventListener('abort', () => canceled++);
        return new Promise((resolve) => setTimeout(resolve, 60_000));
    } };";

fn counts(pool: &Pool) -> Value {
    let request = http::Request::get("http://api/counts")
        .body(Body::empty())
        .expect("a request");
    let text = block_on(async { text(pool.fetch("api", request, Meta::default()).await.expect("an answer")).await });
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn a_caller_that_leaves_or_aborts_cancels_its_request() {
    // With a thread for the next version of the caller, the service keeps its worker, which counts.
    let pool = pool(3);
    deploy(&pool, "api", script("api", SLOW));
    deploy(
        &pool,
        "front",
        front(&pool, "api", "return env.API.fetch('http://api/')"),
    );
    {
        let mut left = Box::pin(pool.fetch("front", get("/"), Meta::default()));
        until("the service has begun", || {
            let _ = left.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            (counts(&pool) == json!([1, 0])).then_some(())
        });
    }
    until("the service is canceled", || {
        (counts(&pool) == json!([1, 1])).then_some(())
    });
    let body = "const signal = AbortSignal.timeout(50);
                return new Response((await thrown(() => env.API.fetch('http://api/', { signal }))).name)";
    deploy(&pool, "front", front(&pool, "api", body));
    assert_eq!(ask(&pool, get("/")), Ok("TimeoutError".to_owned()));
    until("the service is canceled again", || {
        (counts(&pool) == json!([2, 2])).then_some(())
    });
}

/// A fetcher of the host that keeps its callers.
#[derive(Clone, Default)]
struct Host(Arc<Mutex<Vec<(Caller, http::HeaderMap)>>>);

impl Fetcher for Host {
    fn fetch(&self, request: http::Request<Body>, caller: Caller) -> FetchFuture {
        let path = request.uri().path().to_owned();
        self.0
            .lock()
            .expect("no panic")
            .push((caller, request.headers().clone()));
        Box::pin(async move {
            match path.as_str() {
                "/fails" => Err(Failure::new(Outcome::LoadShed, "come again").with_retry_after(Duration::from_secs(1))),
                "/panics" => panic!("a fetcher that panics"),
                _ => Ok(http::Response::new(Body::from(path))),
            }
        })
    }
}

#[test]
fn a_host_s_fetcher_gets_caller_and_deadline() {
    let pool = pool(1);
    let host = Host::default();
    let source = "export default { fetch: (request, env) => env.HOST.fetch('http://host/a', { headers: { 'x-request-id': 'forged' } }) };";
    let source = script("asker", source).binding("HOST", FetcherBinding::new(host.clone()));
    deploy_with(
        &pool,
        "front",
        source,
        &Options::default().wall_timeout(Duration::from_secs(7)),
    );
    let mut request = get("/");
    request
        .headers_mut()
        .insert("x-request-id", "the-id".parse().expect("a value"));
    request.extensions_mut().insert(CallDepth(3));
    let before = Instant::now();
    assert_eq!(ask(&pool, request), Ok("/a".to_owned()));
    let callers = std::mem::take(&mut *host.0.lock().expect("no panic"));
    let [(caller, headers)] = callers.as_slice() else {
        panic!("{callers:?}")
    };
    assert_eq!(
        (&*caller.worker, caller.depth, caller.request_id.as_deref()),
        ("asker", 4, Some("the-id"))
    );
    assert_eq!(headers["x-request-id"], "the-id");
    let left = caller.deadline.expect("a deadline") - before;
    assert!((6..9).contains(&left.as_secs()), "{left:?}");
}

#[test]
fn a_fetcher_of_the_host_that_fails_or_panics_is_an_error() {
    let pool = pool(1);
    let source = "export default { async fetch(request, env) {
        try { await env.HOST.fetch(request) } catch (e) { return Response.json([e.message, e.retryable, e.overloaded, e.remote ?? null]) } } };";
    deploy(
        &pool,
        "front",
        script("front", source).binding("HOST", FetcherBinding::new(Host::default())),
    );
    assert_eq!(json_of(&pool, get("/fails")), json!(["come again", true, true, null]));
    let panicked = json_of(&pool, get("/panics"));
    assert!(
        panicked[0].as_str().expect("text").contains("internal error"),
        "{panicked}"
    );
    assert_eq!(
        json_of(&pool, get("/fails"))[0],
        "come again",
        "the worker was replaced"
    );
}

#[test]
fn the_deadline_of_the_caller_bounds_the_service() {
    let pool = pool(2);
    deploy(&pool, "api", script("api", SLOW));
    deploy(
        &pool,
        "front",
        front(&pool, "api", "return env.API.fetch('http://api/')"),
    );
    let started = Instant::now();
    let deadline = Meta::default().deadline(started + Duration::from_millis(300));
    let failure = block_on(pool.fetch("front", get("/"), deadline)).expect_err("no answer");
    assert_eq!(failure.outcome, Outcome::ExceededWall);
    until("the service is canceled", || {
        (counts(&pool) == json!([1, 1])).then_some(())
    });
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

/// A worker whose requests go to itself, until its error is the answer.
const CIRCLE: &str = "export default { async fetch(request, env) {
    const depth = +new URL(request.url).pathname.slice(1);
    try { return await env.API.fetch(`http://api/${depth + 1}`) } catch (e) { return Response.json([depth, e.message]) } } };";

#[test]
fn cyclic_calls_end_at_the_maximum_depth() {
    let pool = Pool::builder().threads(2).depth_max(5).build().expect("a pool");
    for (name, other) in [("front", "other"), ("other", "front")] {
        let script = script(name, CIRCLE).binding("API", FetcherBinding::new(pool.fetcher(other)));
        deploy(&pool, name, script);
    }
    let got = json_of(&pool, get("/0"));
    assert_eq!(got[0], 5);
    let told = "6 calls between workers lead to this one, and 5 may; look for workers that call each other in a cycle, or raise `depth_max`";
    assert_eq!(got[1], told);
    // One that comes from a worker already has fewer.
    let mut request = get("/0");
    request.extensions_mut().insert(CallDepth(3));
    assert_eq!(json_of(&pool, request)[0], 2);
}

#[test]
fn requests_to_services_count_as_subrequests_of_their_event() {
    let pool = pool(2);
    deploy(
        &pool,
        "api",
        script("api", "export default { fetch: () => new Response('') }"),
    );
    let body = "let made = 0;
        try { for (;; made++) await env.API.fetch('http://api/') } catch (e) { return Response.json([made, e.name, e.message]) }";
    let limits = Limits::default().quotas(Quotas::default().subrequests(3));
    deploy(&pool, "front", front(&pool, "api", body).limits(limits));
    for _ in 0..2 {
        let message = "the event has reached its limit of 3 requests (`limits.subrequests`)";
        assert_eq!(json_of(&pool, get("/")), json!([3, "QuotaExceededError", message]));
    }
}

#[test]
fn a_binding_does_not_keep_its_pool_open() {
    let pool = Pool::builder()
        .threads(2)
        .thread_name("of-binding")
        .build()
        .expect("a pool");
    let begun = Arc::new(AtomicU32::new(0));
    let counts = begun.clone();
    let begin = NativeFunction::new(move |(): ()| {
        let begun = counts.fetch_add(1, Ordering::SeqCst);
        async move { Ok(begun) }
    });
    let native = NativeBinding::from([("begin".to_owned(), begin)]);
    deploy(
        &pool,
        "api",
        script("api", "export default { fetch: () => new Response('finished') }"),
    );
    let body = "await env.HOST.begin();
                await new Promise((resolve) => setTimeout(resolve, 200));
                return env.API.fetch('http://api/')";
    deploy(&pool, "front", front(&pool, "api", body).binding("HOST", native));
    let mut asked = Box::pin(pool.fetch("front", get("/"), Meta::default()));
    until("the event has begun", || {
        let _ = asked.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        (begun.load(Ordering::SeqCst) == 1).then_some(())
    });
    let report = {
        let pool = pool.clone();
        std::thread::spawn(move || pool.drain_blocking(Duration::from_secs(10)))
    };
    until("the pool drains", || pool.health().err().map(drop));
    let answer = block_on(async { text(asked.await.expect("an answer")).await });
    assert_eq!(answer, "finished");
    assert_eq!(report.join().expect("a report").cut, 0);
    drop(pool);
    until("the threads end", || (threads_named("of-binding") == 0).then_some(()));
}

/// Three workers that call each other, and one that calls itself, on a pool with one thread that its callers hold.
#[test]
fn workers_that_wait_for_each_other_do_not_fill_the_pool() {
    let hop = "export default { async fetch(request, env) {
        const { pathname } = new URL(request.url);
        if (pathname === '/') return new Response('end');
        return new Response(`${env.NAME} ${await (await env.NEXT.fetch(`http://next${pathname.slice(1) || '/'}`)).text()}`);
    } };";
    // Longer than the test takes on a busy machine: an answer proves that no event waited for a timeout.
    let timeout = Duration::from_secs(600);
    for policy in [Policy::PerWorker, Policy::PerRequest] {
        let pool = Pool::builder()
            .threads(1)
            .queue_wait_max(timeout)
            .queue_target(timeout)
            .wall_timeout(timeout)
            .boot_timeout(timeout)
            .build()
            .expect("a pool");
        let options = Options::default().policy(policy).concurrency(2).workers_max(1);
        for (name, next) in [("front", "b"), ("b", "c"), ("c", "front"), ("self", "self")] {
            let next = FetcherBinding::new(pool.fetcher(next));
            let script = script(name, hop).text("NAME", name).binding("NEXT", next);
            deploy_with(&pool, name, script, &options);
        }
        let ask = |name: &str| {
            let request = get("//////");
            block_on(async { text(pool.fetch(name, request, Meta::default()).await.expect("an answer")).await })
        };
        let started = Instant::now();
        assert_eq!(ask("front"), "front b c front b end");
        assert_eq!(ask("self"), "self self self self self end");
        assert!(started.elapsed() < timeout, "no event waited for a timeout");
        // Many at once: the ones that have begun end before others begin.
        let all: Vec<_> = (0..20)
            .map(|_| {
                let pool = pool.clone();
                std::thread::spawn(move || {
                    let response = block_on(pool.fetch("front", get("//////"), Meta::default()));
                    response.map(|response| block_on(text(response)))
                })
            })
            .collect();
        for answer in all {
            assert_eq!(answer.join().expect("no panic"), Ok("front b c front b end".to_owned()));
        }
    }
}
