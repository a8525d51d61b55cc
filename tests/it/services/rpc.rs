//! Calls of methods of a service, with stubs and streams.

use std::time::Duration;

use isopod::Limits;
use serde_json::{Value, json};

use super::{deploy, front, get, json_of, pool, script};
use crate::process::until;

/// A service with a class of methods.
pub(super) fn api(body: &str) -> String {
    format!(
        "import {{ RpcStub, RpcTarget, WorkerEntrypoint }} from 'cloudflare:workers';
         export default class extends WorkerEntrypoint {{ {body} }}"
    )
}

fn between(service: &str, caller: &str) -> Value {
    super::between(&api(service), caller)
}

pub(super) const COUNTER: &str = "counter(from = 0) {
        let count = from;
        class Counter extends RpcTarget {
            add(n = 1) { return count += n }
            get value() { return count }
            next() { return new Counter() }
        }
        return new Counter();
    }";

#[test]
fn values_cross_as_by_structured_clone() {
    let body = "const value = [new Date(5), new Map([[1, { a: 2 }]]), new Set([3]), new Uint16Array([4, 5]), 6n, undefined, NaN];
        const [date, map, set, bytes, big, nothing, nan] = await env.API.echo(value);
        const error = await env.API.echo(new RangeError('no', { cause: 'because' }));
        return Response.json([+date, map.get(1), [...set], [...bytes], `${big}`, nothing === undefined, Number.isNaN(nan),
            error instanceof RangeError, error.message, error.cause, (await env.API.echo()) === undefined]);";
    let expected = json!([5, { "a": 2 }, [3], [4, 5], "6", true, true, true, "no", "because", true]);
    assert_eq!(between("echo(value) { return value }", body), expected);
}

#[test]
fn an_exception_keeps_class_and_message() {
    let service = "range() { throw new RangeError('too far') }
        async own() { throw Object.assign(new Error('mine'), { name: 'MyError', code: 7 }) }
        dom() { throw new DOMException('gone', 'NotFoundError') }
        text() { throw 'words' }";
    let body = "const told = async (name) => { const e = await thrown(() => env.API[name]()); return [e.name, e.message, e.remote, e.constructor.name] };
        return Response.json(await Promise.all(['range', 'own', 'dom', 'text'].map(told)));";
    let expected = json!([
        ["RangeError", "too far", true, "RangeError"],
        ["MyError", "mine", true, "Error"],
        ["NotFoundError", "gone", true, "DOMException"],
        ["Error", "words", true, "Error"],
    ]);
    assert_eq!(between(service, body), expected);
}

#[test]
fn only_methods_and_getters_of_the_class_are_there() {
    let service = "own = () => 1; #hidden() {} static there() {} get prop() { return 'of a getter' }
        there2() {} constructor(ctx, env) { super(ctx, env); this.secret = 1 }";
    let body = "const names = ['own', 'secret', 'env', 'ctx', 'hidden', '#hidden', 'there', 'none', '__proto__', '__defineGetter__'];
        const told = async (name) => { try { await env.API[name]; return `${name} is there` } catch (e) { return `${e}` } };
        return Response.json([await env.API.prop, ...await Promise.all(names.map(told))]);";
    let told = between(service, body);
    let told = told.as_array().expect("a list");
    assert_eq!(told[0], "of a getter");
    for (name, told) in ["own", "secret", "env", "ctx", "hidden", "#hidden", "there", "none"]
        .iter()
        .zip(&told[1..])
    {
        let expected = format!("TypeError: The RPC receiver does not implement the method \"{name}\".");
        assert_eq!(*told, expected);
    }
}

#[test]
fn an_exported_object_gets_env_and_ctx() {
    let service = "export default { say(text, env, ctx) { return [text, typeof env, typeof ctx.waitUntil] } }";
    let body = "const error = await thrown(() => env.API.say(1, 2));
        return Response.json([await env.API.say('hi'), error.name, error.message.slice(0, 45)]);";
    let expected = json!([
        ["hi", "object", "function"],
        "TypeError",
        "Attempted to call RPC function \"say\" with the"
    ]);
    assert_eq!(super::between(service, body), expected);
}

#[test]
fn objects_and_functions_stay_where_they_are() {
    let service = format!("{COUNTER} each(list, tell) {{ return Promise.all(list.map((item) => tell(item))) }}");
    let body = "using counter = await env.API.counter(5);
        await counter.add(2);
        const said = [];
        const lengths = await env.API.each(['a', 'bb'], async (text) => { said.push(text); return text.length });
        return Response.json([await counter.add(), await counter.value, said, lengths, typeof counter]);";
    assert_eq!(between(&service, body), json!([8, 8, ["a", "bb"], [1, 2], "function"]));
}

#[test]
fn calls_on_what_a_call_will_return_need_no_await() {
    let service = format!("{COUNTER} user(id) {{ return {{ id, name: {{ first: 'Ann' }} }} }}");
    let body = "return Response.json([await env.API.counter(5).add(2), await env.API.counter(1).next().add(9),
            await env.API.user(7).name.first, (await thrown(() => env.API.user(7).none)).message]);";
    let expected = json!([7, 10, "Ann", "The RPC receiver does not implement the method \"none\"."]);
    assert_eq!(between(&service, body), expected);
}

#[test]
fn a_target_is_told_when_its_last_stub_is_disposed() {
    let service = "async log() { return said } many() { return { a: new Target('a'), list: [new Target('b')] } }
        target(name) { return new Target(name) }
        object() { return { n: 1, [Symbol.dispose]() { said.push('object') } } }
        call(f) { return f() } async keep(f) { kept = f.dup(); }";
    let service = format!(
        "{}\nlet kept; const said = []; class Target extends RpcTarget {{ constructor(name) {{ super(); this.name = name }}
            hello() {{ return `hello from ${{this.name}}` }} [Symbol.dispose]() {{ said.push(this.name) }} }}",
        api(service)
    );
    let body = "const waits = async (count) => { for (;;) { const said = await env.API.log(); if (said.length >= count) return said } };
        const target = await env.API.target('one');
        const second = target.dup();
        target[Symbol.dispose]();
        const after = await thrown(() => target.hello());
        const hello = await second.hello();
        second[Symbol.dispose]();
        const first = await waits(1);
        const many = await env.API.many();
        await many.list[0].hello();
        many[Symbol.dispose]();
        (await env.API.object())[Symbol.dispose]();
        return Response.json([after.message, hello, first, (await waits(4)).sort()]);";
    let pool = pool(3);
    deploy(&pool, "api", script("api", &service));
    deploy(&pool, "front", front(&pool, "api", body));
    let expected = json!([
        "RPC stub used after being disposed.",
        "hello from one",
        ["one"],
        ["a", "b", "object", "one"]
    ]);
    assert_eq!(json_of(&pool, get("/")), expected);
}

#[test]
fn a_call_keeps_its_target_after_its_stub_is_disposed() {
    let service = "async log() { return said } target() { return new Target() }";
    let service = format!(
        "{}\nconst said = []; class Target extends RpcTarget {{
            async run() {{ await scheduler.wait(50); said.push('ran') }} [Symbol.dispose]() {{ said.push('disposed') }} }}",
        api(service)
    );
    let body = "const target = await env.API.target();
        const running = target.run();
        target[Symbol.dispose]();
        await running;
        for (;;) { const said = await env.API.log(); if (said.length >= 2) return Response.json(said) }";
    let pool = pool(3);
    deploy(&pool, "api", script("api", &service));
    deploy(&pool, "front", front(&pool, "api", body));
    assert_eq!(json_of(&pool, get("/")), json!(["ran", "disposed"]));
}

#[test]
fn streams_requests_and_responses_cross() {
    let service = "stream() { return new Response('a stream').body }
        async write(to) { const writer = to.getWriter(); await writer.write(new TextEncoder().encode('written')); await writer.close() }
        async upper(from) { return (await new Response(from).text()).toUpperCase() }
        async request(request) { return new Response(`${request.method} ${await request.text()}`, { status: 201, headers: { 'x-a': request.headers.get('x-a') } }) }";
    let body = "const { readable, writable } = new TransformStream();
        const [written] = await Promise.all([new Response(readable).text(), env.API.write(writable)]);
        const sent = new Request('http://a/', { method: 'PUT', body: 'body', headers: { 'x-a': 'b' } });
        const response = await env.API.request(sent);
        return Response.json([await new Response(await env.API.stream()).text(), written,
            await env.API.upper(new Response('up').body), response.status, response.headers.get('x-a'), await response.text()]);";
    assert_eq!(
        between(service, body),
        json!(["a stream", "written", "UP", 201, "b", "PUT body"])
    );
}

/// Twice as much as the buffers between the two hold.
#[test]
fn a_stream_waits_for_its_reader() {
    let service = "stream() {
            const chunk = new Uint8Array(64 << 10);
            return new ReadableStream({ pull(controller) { pulled++; controller.enqueue(chunk) } }, { highWaterMark: 0 });
        }
        pulled() { return pulled }";
    let service = format!("{}\nlet pulled = 0;", api(service));
    let body = "const reader = (await env.API.stream()).getReader();
        let before = -1, now = 0;
        while (now === 0 || now !== before) { before = now; await new Promise((r) => setTimeout(r, 20)); now = await env.API.pulled() }
        for (let i = 0; i < 100; i++) await reader.read();
        const after = await env.API.pulled();
        await reader.cancel();
        return Response.json([before < 20, after > 90]);";
    assert_eq!(super::between(&service, body), json!([true, true]));
}

#[test]
fn a_call_is_an_event_of_the_service_with_its_own_outcome() {
    let pool = pool(2);
    let service = api("ok() { return 1 } fail() { throw new Error('no') } spin() { for (;;); }");
    let limits = Limits::default().cpu(Duration::from_millis(50));
    deploy(&pool, "api", script("api", &service).limits(limits));
    let body = "await env.API.ok(); const failed = await thrown(() => env.API.fail()); const spun = await thrown(() => env.API.spin());
        return Response.json([failed.message, spun.message]);";
    deploy(&pool, "front", front(&pool, "api", body));
    let told = json_of(&pool, get("/"));
    assert_eq!(told[0], "no");
    assert!(told[1].as_str().expect("text").contains("CPU limit"), "{told}");
    // The caller is answered before the outcome is counted.
    for outcome in ["ok", "exception", "exceeded_cpu"] {
        until(outcome, || {
            (pool.stats().scripts["api"].outcomes.get(outcome) == Some(&1)).then_some(())
        });
    }
}
