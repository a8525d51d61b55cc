//! Calls that fail, stubs that outlive their targets, and workers that misuse stubs.

use std::time::{Duration, Instant};

use futures::executor::block_on;
use isopod::{FetcherBinding, Limits, Meta, Options, Pool, Quotas};
use serde_json::{Value, json};

use super::rpc::{COUNTER, api};
use super::{deploy, deploy_with, front, get, json_of, pool, script, text};
use crate::pools::in_cells;
use crate::process::until;

fn outcome(pool: &Pool, worker: &str, outcome: &str) -> u64 {
    let stats = pool.stats();
    stats.scripts[worker].outcomes.get(outcome).copied().unwrap_or_default()
}

/// Waits until this many events have this outcome, which is counted after the caller is answered.
fn ended(pool: &Pool, worker: &str, how: &str, count: u64) {
    until(how, || (outcome(pool, worker, how) == count).then_some(()));
}

fn in_flight(pool: &Pool, worker: &str) -> usize {
    pool.stats().scripts[worker].in_flight
}

/// A service and its caller on a pool, and what the caller answers.
fn between(service: &str, limits: Limits, caller: &str) -> (Pool, Value) {
    let pool = pool(2);
    deploy(&pool, "api", script("api", &api(service)).limits(limits));
    deploy(&pool, "front", front(&pool, "api", caller));
    let told = json_of(&pool, get("/"));
    (pool, told)
}

#[test]
fn an_event_stays_open_until_its_stubs_are_gone() {
    let body = "const counter = await env.API.counter();
        await counter.add();
        await new Promise((resolve) => setTimeout(resolve, 50));
        return Response.json(await counter.add());";
    let (pool, told) = between(COUNTER, Limits::default(), body);
    assert_eq!(told, 2);
    // The stub was not disposed, but its holder's event has ended.
    until("the event of the service ends", || {
        (in_flight(&pool, "api") == 0).then_some(())
    });
    ended(&pool, "api", "ok", 1);
}

#[test]
fn small_messages_are_limited() {
    let limits = Limits::default().quotas(Quotas::default().message_bytes(200));
    let body = "const told = [];
        for (const length of [100, 500]) {
            try { told.push((await env.API.text(length)).length); } catch (error) { told.push(error.message); }
        }
        return Response.json(told);";
    let (_pool, told) = between("text(length) { return 'x'.repeat(length); }", limits, body);
    assert_eq!(told[0], 100);
    let message = told[1].as_str().expect("an error");
    assert!(message.contains("limited to 200 bytes (`limits.message`)"), "{message}");
}

#[test]
fn a_stub_calls_the_version_that_created_it() {
    let pool = pool(3);
    deploy(&pool, "api", script("api", &api(COUNTER)));
    let body = "const counter = await env.API.counter(5);
        const { version } = await (await env.DEPLOY.fetch('http://deploy')).json();
        return Response.json([version, await counter.add(), await env.API.counter()]);";
    let deployed = api("counter() { return 'the next version' }");
    let again = pool.clone();
    let deploys = Deploys(move || deploy(&again, "api", script("api", &deployed)));
    let front = front(&pool, "api", body).binding("DEPLOY", FetcherBinding::new(deploys));
    deploy(&pool, "front", front);
    assert_eq!(json_of(&pool, get("/")), json!([2, 6, "the next version"]));
}

/// Deploys when it is asked.
struct Deploys<F>(F);

impl<F: Fn() + Send + Sync + 'static> isopod::Fetcher for Deploys<F> {
    fn fetch(&self, _request: http::Request<isopod::Body>, _caller: isopod::Caller) -> isopod::FetchFuture {
        (self.0)();
        Box::pin(async { Ok(http::Response::new("{\"version\":2}".into())) })
    }
}

#[test]
fn a_stub_of_an_ended_worker_rejects() {
    let service = "target() { return new (class extends RpcTarget { spin() { for (;;); } ok() { return 1 } })() }";
    let body = "const target = await env.API.target();
        const before = await target.ok();
        const spun = await thrown(() => target.spin());
        const after = await thrown(() => target.ok());
        return Response.json([before, spun.message, after.message]);";
    let limits = Limits::default().cpu(Duration::from_millis(50));
    let (pool, told) = between(service, limits, body);
    assert_eq!(told[0], 1);
    for message in [&told[1], &told[2]] {
        let message = message.as_str().expect("text");
        assert!(message.contains("owner is gone"), "{message}");
    }
    ended(&pool, "api", "exceeded_cpu", 1);
    ended(&pool, "front", "ok", 1);
}

#[test]
fn a_flood_of_stubs_ends_at_its_limit() {
    let service = api("take(list) { return list.length } many() { return Array.from({ length: 21 }, () => () => 1) }");
    let quotas = || Limits::default().quotas(Quotas::default().rpc_stubs(20));
    // A cell returns functions with a message of its own, which may come after the reply.
    let tries = if in_cells() { 1000 } else { 1 };
    let body = "const list = (length) => Array.from({ length }, () => () => 1);
        const fits = await env.API.take(list(20));
        let again;
        for (let left = TRIES; again === undefined; await scheduler.wait(1)) {
            again = await env.API.take(list(20)).catch((error) => { if (--left === 0) throw error; });
        }
        const told = [await thrown(() => env.API.take(list(21))), await thrown(() => env.API.many())];
        return Response.json([fits, again, ...told.map((error) => `${error.name} ${error.message.includes('rpc_stubs')}`)]);";
    let pool = pool(2);
    deploy(&pool, "api", script("api", &service).limits(quotas()));
    let body = body.replace("TRIES", &tries.to_string());
    deploy(&pool, "front", front(&pool, "api", &body).limits(quotas()));
    assert_eq!(
        json_of(&pool, get("/")),
        json!([20, 20, "QuotaExceededError true", "QuotaExceededError true"])
    );
    until("no event stays open", || (in_flight(&pool, "api") == 0).then_some(()));
    // The stub that could not be returned was released, which ended the event.
    ended(&pool, "api", "exception", 1);
}

#[test]
fn functions_that_call_each_other_without_end_end_at_a_depth() {
    let service = "bounce(back) { const bounce = (other) => other(bounce); return bounce(back) }";
    let body = "const bounce = (other) => other(bounce);
        const error = await thrown(() => env.API.bounce(bounce));
        return Response.json(error.message);";
    let (pool, told) = between(service, Limits::default(), body);
    assert!(told.as_str().expect("text").contains("limits.rpc_depth"), "{told}");
    until("no event stays open", || (in_flight(&pool, "api") == 0).then_some(()));
}

#[test]
fn a_service_that_never_answers_is_an_error_of_the_call() {
    let service = "hang() { return new Promise(() => {}) } hangs() { return { then() {} } }
        target() { return new (class extends RpcTarget { wait() { return new Promise(() => {}) } })() }";
    let body =
        "const told = [(await thrown(() => env.API.hang())).message, (await thrown(() => env.API.hangs())).message];
        return Response.json(told);";
    let (pool, told) = between(service, Limits::default(), body);
    let expected = "the handler will never answer: its promise is pending and nothing else is";
    assert_eq!(told, json!([expected, expected]));
    ended(&pool, "api", "exception", 2);
    // A stub's call waits for as long as its caller's event may.
    let body = "return Response.json(await (await env.API.target()).wait());";
    let options = Options::default().wall_timeout(Duration::from_millis(300));
    deploy_with(&pool, "front", front(&pool, "api", body), &options);
    let failure = super::ask(&pool, get("/")).expect_err("no answer");
    assert_eq!(failure.outcome.as_str(), "exceeded_wall");
    until("no event stays open", || (in_flight(&pool, "api") == 0).then_some(()));
}

#[test]
fn a_caller_that_leaves_ends_its_calls_and_stubs() {
    let service = "async wait() { await new Promise((resolve) => setTimeout(resolve, 60000)) }";
    let pool = pool(3);
    deploy(&pool, "api", script("api", &api(service)));
    let body = "await env.API.wait(); return new Response('never');";
    deploy(&pool, "front", front(&pool, "api", body));
    {
        let mut left = Box::pin(pool.fetch("front", get("/"), Meta::default()));
        until("the service has begun", || {
            let _ = left
                .as_mut()
                .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
            (in_flight(&pool, "api") == 1).then_some(())
        });
    }
    until("the call is canceled", || {
        (outcome(&pool, "api", "canceled") == 1).then_some(())
    });
}

#[test]
fn hostile_values_are_errors_of_the_call() {
    let service = "echo(value) { return value } trap() { return new Proxy({}, { getPrototypeOf() { throw new Error('trapped') } }) }
        getter() { return { get then() { throw new Error('no then') } } }
        deep() { const value = {}; for (let at = value, i = 0; i < 100000; i++) at = at.next = {}; return value }
        cycle() { const value = {}; value.value = value; value.f = () => value; return value }";
    let body = "const name = async (f) => { try { return typeof await f() } catch (e) { return e.name } };
        const cycle = await env.API.cycle();
        return Response.json([await name(() => env.API.trap()), await name(() => env.API.getter()), await name(() => env.API.deep()),
            await name(() => env.API.echo(new Proxy({}, {}))), await name(() => env.API.echo({ get x() { throw new RangeError('x') } })),
            await name(() => env.API.echo(Object.setPrototypeOf({}, RegExp.prototype))), cycle.value === cycle, typeof cycle.f,
            await name(() => env.API.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a())]);";
    let (_pool, told) = between(service, Limits::default(), body);
    let expected = json!([
        "Error",
        "Error",
        "RangeError",
        "DataCloneError",
        "RangeError",
        "DataCloneError",
        true,
        "function",
        "TypeError"
    ]);
    assert_eq!(told, expected);
}

#[test]
fn workers_that_call_each_other_do_not_fill_the_pool() {
    let hop = "import { WorkerEntrypoint } from 'cloudflare:workers';
        export default class extends WorkerEntrypoint {
            async hop(left, tell) {
                await tell(this.env.NAME);
                return left === 0 ? 'end' : `${this.env.NAME} ${await this.env.NEXT.hop(left - 1, (name) => tell(name))}`;
            }
            async fetch() { const seen = []; return Response.json([await this.env.NEXT.hop(4, (name) => { seen.push(name) }), seen.join('')]) }
        }";
    let pool = pool(1);
    let options = Options::default().concurrency(1).workers_max(1);
    for (name, next) in [("front", "b"), ("b", "c"), ("c", "front")] {
        let next = FetcherBinding::new(pool.fetcher(next));
        let script = script(name, hop).text("NAME", name).binding("NEXT", next);
        deploy_with(&pool, name, script, &options);
    }
    let started = Instant::now();
    let response = block_on(pool.fetch("front", get("/"), Meta::default())).expect("an answer");
    let told: Value = serde_json::from_str(&block_on(text(response))).expect("JSON");
    assert_eq!(told, json!(["b c front b end", "bcfrontbc"]));
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "no event waited for a timeout"
    );
}

#[test]
fn a_worker_calls_its_own_entry_points_with_properties() {
    let source = "import { WorkerEntrypoint, exports } from 'cloudflare:workers';
        export class Admin extends WorkerEntrypoint { who() { return this.ctx.props } fetch() { return Response.json(this.ctx.props) } }
        export const value = 1;
        export default { async fetch(request, env, ctx) {
            const named = ctx.exports.Admin({ props: { role: 'editor', since: new Date(0) } });
            const { role, since } = await named.who();
            return Response.json([Object.keys(exports), await exports.Admin.who(), role, since.getTime(),
                await (await named.fetch('http://x')).json(), await env.ADMIN.who(), ctx.props]);
        } };";
    let pool = pool(2);
    let binding = FetcherBinding::new(pool.fetcher("front#Admin")).props(json!({ "role": "admin" }));
    deploy(&pool, "front", script("front", source).binding("ADMIN", binding));
    let expected = json!([
        ["Admin", "default"], {}, "editor", 0,
        { "role": "editor", "since": "1970-01-01T00:00:00.000Z" }, { "role": "admin" }, {}
    ]);
    assert_eq!(json_of(&pool, get("/")), expected);
}
