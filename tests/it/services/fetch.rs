//! Requests and responses of `fetch` of a service binding.

use futures::executor::block_on;
use http_body_util::BodyExt;
use isopod::{Body, Meta};
use serde_json::json;

use super::{ask, between, deploy, front, get, pool, script};

const REFLECTS: &str = "export default { async fetch(request) {
    const { method, url, headers } = request;
    const body = request.body === null ? null : await request.text();
    return Response.json({ method, url, headers: [...headers], body }, { status: 201, headers: { 'x-mine': 'yes' } });
} };";

#[test]
fn a_request_reaches_the_service_unchanged() {
    let got = between(
        REFLECTS,
        "const get = await env.API.fetch('http://api/users?page=2', { headers: { 'x-a': '1' } });
         const post = await env.API.fetch(new Request('https://u:p@any.host:99/x', { method: 'POST', body: 'héllo' }));
         return Response.json({ get: await get.json(), post: await post.json(), status: get.status, ok: get.ok,
             mine: get.headers.get('x-mine'), url: get.url, type: `${env.API}`, kind: typeof env.API.fetch })",
    );
    let answered = json!([
        got["status"],
        got["ok"],
        got["mine"],
        got["url"],
        got["type"],
        got["kind"]
    ]);
    assert_eq!(
        answered,
        json!([
            201,
            true,
            "yes",
            "http://api/users?page=2",
            "[object Fetcher]",
            "function"
        ])
    );
    // No header is added that `fetch` adds for the network.
    assert_eq!(got["get"]["headers"], json!([["host", "api"], ["x-a", "1"]]));
    assert_eq!(
        (&got["get"]["body"], &got["get"]["method"]),
        (&json!(null), &json!("GET"))
    );
    assert_eq!(
        got["post"],
        json!({ "method": "POST", "url": "https://any.host:99/x", "body": "héllo", "headers": [
            ["authorization", "Basic dTpw"], ["content-length", "6"], ["content-type", "text/plain;charset=UTF-8"],
            ["host", "any.host:99"],
        ] })
    );
}

#[test]
fn a_forwarded_request_does_not_follow_redirects() {
    let pool = pool(2);
    let api = "export default { async fetch(request) {
        if (new URL(request.url).pathname === '/moved') return Response.redirect('https://front.example/new', 302);
        return new Response(`${request.method} ${request.url} ${await request.text()}`); } };";
    deploy(&pool, "api", script("api", api));
    deploy(&pool, "front", front(&pool, "api", "return env.API.fetch(request)"));
    let post = http::Request::post("https://front.example/a")
        .body(Body::from("text"))
        .expect("a request");
    assert_eq!(ask(&pool, post), Ok("POST https://front.example/a text".to_owned()));
    let moved = block_on(pool.fetch("front", get("/moved"), Meta::default())).expect("an answer");
    assert_eq!(
        (moved.status().as_u16(), &moved.headers()["location"]),
        (302, &"https://front.example/new".parse().expect("a value"))
    );
    // A request of its own follows redirects, to the same service.
    deploy(
        &pool,
        "front",
        front(&pool, "api", "return env.API.fetch('https://front.example/moved')"),
    );
    assert_eq!(ask(&pool, get("/")), Ok("GET https://front.example/new ".to_owned()));
}

#[test]
fn unfetchable_urls_are_type_errors() {
    let got = between(
        REFLECTS,
        "const errors = [];
         for (const input of ['/path', '', 'ftp://x/', 'data:,x', undefined]) {
             errors.push(`${await thrown(() => env.API.fetch(input))}`);
         }
         errors.push(`${await thrown(async () => { const { fetch } = env.API; await fetch('http://x/'); })}`);
         errors.push(`${await thrown(async () => new env.API.constructor())}`);
         const signal = AbortSignal.abort(new RangeError('no'));
         errors.push(`${await thrown(() => env.API.fetch('http://x/', { signal }))}`);
         return Response.json(errors)",
    );
    let expected = [
        "TypeError: Invalid URL: '/path'",
        "TypeError: Invalid URL: ''",
        "TypeError: cannot fetch a ftp: URL from a binding",
        "TypeError: cannot fetch a data: URL from a binding",
        "TypeError: Failed to execute 'fetch' on 'Fetcher'",
        "TypeError: ",
        "TypeError: Illegal constructor",
        "RangeError: no",
    ];
    for (got, expected) in got.as_array().expect("a list").iter().zip(expected) {
        assert!(
            got.as_str().expect("text").starts_with(expected),
            "{got} is not {expected}"
        );
    }
}

#[test]
fn an_entry_point_is_a_class_or_an_object_of_the_service() {
    let pool = pool(2);
    let api = "export class Admin { constructor(ctx, env) { this.env = env } fetch() { return new Response(`admin ${this.env.NAME}`) } };
               export const Plain = { fetch: (request, env) => new Response(`plain ${env.NAME}`) };
               export default { fetch: () => new Response('default') };";
    deploy(&pool, "api", script("api", api).text("NAME", "x"));
    for (service, expected) in [("api", "default"), ("api#Admin", "admin x"), ("api#Plain", "plain x")] {
        deploy(
            &pool,
            "front",
            front(&pool, service, "return env.API.fetch('http://api/')"),
        );
        assert_eq!(ask(&pool, get("/")), Ok(expected.to_owned()));
    }
    let body = "return new Response(`${await thrown(() => env.API.fetch('http://api/'))}`)";
    for (service, expected) in [
        (
            "api#Nobody",
            "Error: TypeError: the script has no entry point \"Nobody\": it exports Admin, Plain, default",
        ),
        ("apis", "Error: no script is deployed as \"apis\"; deploy one first"),
    ] {
        deploy(&pool, "front", front(&pool, service, body));
        assert_eq!(ask(&pool, get("/")), Ok(expected.to_owned()));
    }
}

#[test]
fn a_fetcher_calls_the_deployed_version() {
    let pool = pool(2);
    let body = "try { return await env.API.fetch('http://api/') } catch (error) { return new Response(error.message) }";
    deploy(&pool, "front", front(&pool, "api", body));
    assert_eq!(
        ask(&pool, get("/")),
        Ok("no script is deployed as \"api\"; deploy one first".to_owned())
    );
    for version in ["one", "two"] {
        deploy(
            &pool,
            "api",
            script(
                "api",
                &format!("export default {{ fetch: () => new Response('{version}') }}"),
            ),
        );
        assert_eq!(ask(&pool, get("/")), Ok(version.to_owned()));
    }
    assert!(pool.undeploy("api"));
    assert_eq!(
        ask(&pool, get("/")),
        Ok("no script is deployed as \"api\"; deploy one first".to_owned())
    );
}

#[test]
fn an_error_of_the_service_keeps_its_class_and_message() {
    let got = between(
        "class Own extends Error { name = 'Own' }
         export default { async fetch(request) {
             switch (new URL(request.url).pathname) {
                 case '/range': throw new RangeError('too far');
                 case '/own': throw new Own('mine');
                 case '/text': throw 'text';
                 case '/hang': return new Promise(() => {});
             }
         } };",
        "const told = async (path) => {
             const e = await thrown(() => env.API.fetch(`http://api${path}`));
             return [e.name, e.message, e instanceof RangeError, e.remote ?? false, e.retryable ?? false];
         };
         return Response.json([await told('/range'), await told('/own'), await told('/text'), await told('/none'), await told('/hang')])",
    );
    let no_response = "a fetch handler must return a Response (or a promise of one)";
    let hangs = "the handler will never answer: its promise is pending and nothing else is";
    assert_eq!(
        got,
        json!([
            ["RangeError", "too far", true, true, false],
            ["Own", "mine", false, true, false],
            ["Error", "text", false, true, false],
            ["TypeError", no_response, false, true, false],
            ["Error", hangs, false, false, false],
        ])
    );
}

#[test]
fn bodies_stream_both_ways_and_an_unread_one_holds_its_writer_back() {
    let got = between(
        "let sent = 0, canceled = null;
         export default { async fetch(request) {
             const path = new URL(request.url).pathname;
             if (path === '/state') return Response.json({ sent, canceled });
             if (path === '/echo') return new Response(request.body);
             return new Response(new ReadableStream({
                 pull(controller) { sent++; controller.enqueue(new Uint8Array(64 * 1024)); },
                 cancel(reason) { canceled = true; },
             }, { highWaterMark: 0 }));
         } };",
        "let release;
         const gate = new Promise((resolve) => release = resolve);
         let turn = 0;
         const body = new ReadableStream({
             async pull(controller) {
                 if (turn++ === 0) return controller.enqueue(new TextEncoder().encode('first '));
                 await gate;
                 controller.enqueue(new TextEncoder().encode('second'));
                 controller.close();
             },
         });
         const echoed = await env.API.fetch('http://api/echo', { method: 'POST', body, duplex: 'half' });
         const echo = echoed.body.getReader();
         const first = new TextDecoder().decode((await echo.read()).value);
         release();
         const second = new TextDecoder().decode((await echo.read()).value);
         const { done } = await echo.read();

         const endless = await env.API.fetch('http://api/endless');
         const reader = endless.body.getReader();
         let read = 0;
         while (read < 1e6) read += (await reader.read()).value.length;
         const state = async () => (await env.API.fetch('http://api/state')).json();
         let before, after = await state();
         do { before = after; await new Promise((resolve) => setTimeout(resolve, 20)); after = await state(); } while (before.sent !== after.sent);
         await reader.cancel();
         while ((await state()).canceled === null) await new Promise((resolve) => setTimeout(resolve, 1));
         return Response.json({ first, second, done, ahead: after.sent * 65536 - read })",
    );
    assert_eq!(
        (&got["first"], &got["second"], &got["done"]),
        (&json!("first "), &json!("second"), &json!(true))
    );
    let ahead = got["ahead"].as_i64().expect("a number");
    assert!(ahead < 16 * 65536, "{ahead} bytes were made that nobody read");
}

#[test]
fn a_stream_of_the_service_that_fails_is_an_error_and_not_the_end() {
    let got = between(
        "export default { fetch: () => new Response(new ReadableStream({
             start(controller) { controller.enqueue(new TextEncoder().encode('half')); },
             async pull() { await new Promise((resolve) => setTimeout(resolve, 5)); throw new RangeError('no more'); },
         })) };",
        "const response = await env.API.fetch('http://api/');
         const e = await thrown(() => response.text());
         return Response.json([e.name, e.message])",
    );
    assert_eq!(got[0], "TypeError");
    assert!(got[1].as_str().expect("text").contains("no more"), "{got}");
}

#[test]
fn an_encoded_response_is_decoded_or_forwarded() {
    let api = "export default { fetch: () => new Response('text '.repeat(1000), { headers: { 'content-encoding': 'gzip' } }) };";
    let read = between(
        api,
        "return Response.json((await (await env.API.fetch('http://api/')).text()).length)",
    );
    assert_eq!(read, 5000);
    let pool = pool(2);
    deploy(&pool, "api", script("api", api));
    deploy(&pool, "front", front(&pool, "api", "return env.API.fetch(request)"));
    let mut request = get("/");
    request
        .headers_mut()
        .insert("accept-encoding", "gzip".parse().expect("a value"));
    let response = block_on(pool.fetch("front", request, Meta::default())).expect("an answer");
    assert_eq!(response.headers()["content-encoding"], "gzip");
    let bytes = block_on(response.into_body().collect()).expect("a body").to_bytes();
    assert!(
        bytes.len() < 200 && bytes.starts_with(&[0x1f, 0x8b]),
        "{} bytes",
        bytes.len()
    );
}

#[test]
fn the_status_text_and_the_cf_go_along() {
    let got = between(
        "export default { fetch: (request) => Response.json(request.cf ?? null, { status: 404, statusText: 'No Such Caf\u{e9}' }) };",
        "const cf = { country: 'NZ', nested: { list: [1, null] }, skipped: undefined };
         const own = new Request('http://api/', { cf });
         const copies = [own, new Request(own), new Request(new Request(own)), own.clone(), new Request(own, { cf: { other: 1 } })];
         const answers = [];
         for (const request of [...copies, 'http://api/', new Request('http://api/')]) {
             answers.push(await (await env.API.fetch(request)).json());
         }
         answers.push(await (await env.API.fetch('http://api/', { cf })).json());
         const { status, statusText } = await env.API.fetch('http://api/');
         const errors = [
             `${await thrown(() => env.API.fetch('http://api/', { cf: 1 }))}`,
             `${await thrown(() => env.API.fetch('http://api/', { cf: { text: 'x'.repeat(65_536) } }))}`,
         ];
         return Response.json({ answers, status, statusText, errors, mine: copies[1].cf === cf })",
    );
    let cf = json!({ "country": "NZ", "nested": { "list": [1, null] } });
    assert_eq!(got["answers"], json!([cf, cf, cf, cf, { "other": 1 }, null, null, cf]));
    assert_eq!(
        (&got["status"], &got["statusText"], &got["mine"]),
        (&json!(404), &json!("No Such Caf\u{e9}"), &json!(true))
    );
    let errors = [
        "TypeError: Failed to construct 'Request': cf is not an object",
        "RangeError: the cf of a request to a service must not be longer than 65536 characters as JSON",
    ];
    assert_eq!(got["errors"], json!(errors));
}
