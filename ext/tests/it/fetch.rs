use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use deno_core::OpState;
use isopod_ext::fetch::{ConnectionOptions, FetchConfig, FetchLimits, NetPolicy};
use isopod_ext::io::Io;
use serde_json::{Value, json};

use crate::common::server::{CERTIFICATE, Server};
use crate::common::{io, run};

pub(crate) fn local() -> FetchConfig {
    FetchConfig::default().policy(Arc::new(NetPolicy::default().allow_private(true)))
}

pub(crate) fn with(config: FetchConfig) -> impl FnOnce(&mut OpState) {
    move |state| state.put(config)
}

fn script(io: &Rc<Io>, server: &Server, body: &str) -> Value {
    run(io, with(local()), &format!("const base = '{}'; {body}", server.url("")))
}

#[test]
fn a_request_is_answered_with_its_body_and_headers() {
    let (io, server) = (io(), Server::start());
    let got = script(&io, &server, "
        const headers = await (await fetch(base + '/headers', { headers: { 'x-mine': '1' } })).json();
        const echo = await (await fetch(base + '/echo', { method: 'POST', body: 'héllo' })).text();
        const data = await (await fetch('data:text/plain;base64,aGk=')).text();
        return { mine: headers['x-mine'], agent: headers['user-agent'], accept: headers['accept-encoding'], echo, data };
    ");
    let agent = concat!("isopod/", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        got,
        json!({ "mine": "1", "agent": agent, "accept": "gzip, br, zstd, deflate", "echo": "héllo", "data": "hi" })
    );
}

#[test]
fn a_streamed_request_body_is_full_duplex() {
    let (io, server) = (io(), Server::start());
    let got = script(&io, &server, "
        let release;
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
        const response = await fetch(base + '/echo', { method: 'POST', body, duplex: 'half' });
        const reader = response.body.getReader();
        const first = new TextDecoder().decode((await reader.read()).value);
        release();
        let rest = '';
        for (let part; !(part = await reader.read()).done;) rest += new TextDecoder().decode(part.value);
        const failing = new ReadableStream({ pull(controller) { controller.error(new Error('mine')); } });
        const failed = await thrown(() => fetch(base + '/echo-whole', { method: 'POST', body: failing, duplex: 'half' }));
        return [first, rest, failed.name, failed.cause];
    ");
    assert_eq!(got[0], "first ");
    assert_eq!(got[1], "second");
    assert_eq!(got[2], "TypeError");
    assert!(got[3].as_str().unwrap().contains("mine"), "{got}");
}

#[test]
fn an_unread_body_applies_backpressure() {
    let (io, server) = (io(), Server::start());
    let held = script(
        &io,
        &server,
        "
        const response = await fetch(base + '/endless');
        await new Promise((resolve) => setTimeout(resolve, 300));
        await response.body.cancel();
    ",
    );
    assert_eq!(held, Value::Null);
    // Sixteen chunks and the buffers of sockets and HTTP: far less than three tenths of a second could transfer.
    let sent = server.sent();
    assert!(sent < 32 << 20, "{sent}");
    let again = server.sent();
    // tidy:allow(sleep): only waiting can show that nothing happens.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(server.sent(), again, "the transfer goes on after it was cancelled");
}

#[test]
fn an_aborted_request_ends_at_once() {
    let (io, server) = (io(), Server::start());
    let got = script(
        &io,
        &server,
        "
        const controller = new AbortController();
        setTimeout(() => controller.abort(new Error('enough')), 20);
        const waiting = await thrown(() => fetch(base + '/silent', { signal: controller.signal }));
        const second = new AbortController();
        const response = await fetch(base + '/endless', { signal: second.signal });
        second.abort(new Error('enough as well'));
        const reading = await thrown(() => response.text());
        return [waiting.message, reading.message];
    ",
    );
    assert_eq!(got, json!(["enough", "enough as well"]));
}

#[test]
fn redirects_are_followed_shown_or_refused() {
    let (io, server) = (io(), Server::start());
    let got = script(
        &io,
        &server,
        "
        const followed = await fetch(base + '/redirect?/headers', { headers: { 'x-kept': '1' } });
        const headers = await followed.json();
        const manual = await fetch(base + '/redirect?/echo', { redirect: 'manual' });
        const refused = await thrown(() => fetch(base + '/redirect?/echo', { redirect: 'error' }));
        return [followed.redirected, headers['x-kept'], manual.status, refused.name];
    ",
    );
    assert_eq!(got, json!([true, "1", 302, "TypeError"]));
}

#[test]
fn a_decoded_body_is_capped_and_the_error_names_the_limit() {
    let (io, server) = (io(), Server::start());
    let limits = FetchLimits::default()
        .decoded_bytes_max(100_000)
        .response_header_bytes_max(1000);
    let got = run(
        &io,
        with(local().limits(limits)),
        &format!(
            "
        const base = '{}';
        const fits = (await (await fetch(base + '/gzip?100000')).text()).length;
        const bomb = await thrown(async () => await (await fetch(base + '/gzip?10000000')).text());
        const brotli = await thrown(async () => await (await fetch(base + '/brotli?10000000')).text());
        const headers = await thrown(() => fetch(base + '/big-header?2000'));
        return [fits, bomb.message, headers.message, brotli.message];
    ",
            server.url("")
        ),
    );
    assert_eq!(got[0], 100_000);
    for bomb in [&got[1], &got[3]] {
        assert!(
            bomb.as_str().unwrap().contains("100000 bytes (decoded_bytes_max)"),
            "{got}"
        );
    }
    assert!(
        got[2]
            .as_str()
            .unwrap()
            .contains("1000 bytes (response_header_bytes_max)"),
        "{got}"
    );
}

#[test]
fn requests_beyond_the_limit_wait_and_open_bodies_beyond_it_fail() {
    let (io, server) = (io(), Server::start());
    let limits = FetchLimits::default().requests_max(2).open_bodies_max(3);
    let got = run(&io, with(local().limits(limits)), &format!("
        const base = '{}';
        const texts = [];
        for (let i = 0; i < 3; i++) texts.push(...await Promise.all([1, 2, 3].map(async () => (await fetch(base + '/')).text())));
        const open = await Promise.all([1, 2, 3].map(() => fetch(base + '/endless')));
        const error = await thrown(() => fetch(base + '/'));
        await open[0].body.cancel();
        return [texts.length, error.message, await (await fetch(base + '/')).text()];
    ", server.url("")));
    assert_eq!((&got[0], &got[2]), (&json!(9), &json!("hello")));
    assert!(got[1].as_str().unwrap().contains("open_bodies_max"), "{got}");
}

#[test]
fn http_2_is_negotiated_over_tls_and_shares_one_connection() {
    let (io, server) = (io(), Server::start_tls());
    let connection = ConnectionOptions::default().extra_roots(vec![CERTIFICATE.to_vec()]);
    let url = format!("https://localhost:{}/headers", server.address.port());
    for _ in 0..2 {
        let got = run(&io, with(local().connection(connection.clone())), &format!("
            const first = await fetch('{url}'); await first.text();
            const all = await Promise.all([1, 2, 3, 4].map(async () => {{ const r = await fetch('{url}'); await r.text(); return r.headers.get('x-version'); }}));
            return [first.headers.get('x-version'), ...all];
        "));
        assert_eq!(got, json!(["HTTP/2.0", "HTTP/2.0", "HTTP/2.0", "HTTP/2.0", "HTTP/2.0"]));
    }
    assert_eq!(server.accepted(), 1);
    let refused = run(
        &io,
        with(local()),
        &format!("return await thrown(() => fetch('{url}'))"),
    );
    assert!(refused["cause"].as_str().unwrap().contains("certificate"), "{refused}");
}

#[test]
fn a_refused_connection_is_a_type_error_with_a_cause() {
    let io = io();
    let port = {
        std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port()
    };
    let got = run(
        &io,
        with(local()),
        &format!("return await thrown(() => fetch('http://127.0.0.1:{port}/'))"),
    );
    assert_eq!(
        (&got["name"], &got["message"]),
        (&json!("TypeError"), &json!("fetch failed"))
    );
    assert!(got["cause"].as_str().unwrap().contains("refused"), "{got}");
}
