//! The network guard, observed from the servers that must not be reached.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use isopod_ext::fetch::{ConnectionOptions, FetchConfig, NetPolicy, ResolveHost, Resolver};
use serde_json::json;

use crate::common::server::Server;
use crate::common::{io, run};
use crate::fetch::{local, with};

fn policy(policy: NetPolicy) -> FetchConfig {
    FetchConfig::default().policy(Arc::new(policy))
}

fn allowing(rule: &str) -> NetPolicy {
    NetPolicy::default().allow(vec![rule.parse().unwrap()])
}

// row 29
#[test]
fn private_addresses_and_names_are_refused_before_a_packet_leaves() {
    let (io, server) = (io(), Server::start());
    let port = server.address.port();
    let hosts = [
        "127.0.0.1",
        "127.1",
        "127.0.0.1.",
        "2130706433",
        "0x7f000001",
        "0177.0.0.01",
        "0",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST.",
        "db.localhost",
        "１２７.０.０.１",
        "%31%32%37.0.0.1",
        "user:secret@127.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
    ];
    let got = run(
        &io,
        |_| (),
        &format!(
            "
        const messages = [];
        for (const host of {hosts:?}) {{
            const url = `http://${{host}}:{port}/`;
            const error = await thrown(() => fetch(url));
            messages.push(error ? `${{error.name}} ${{error.cause ?? error.message}}` : 'passed');
        }}
        return messages;
    "
        ),
    );
    for (host, message) in hosts.iter().zip(got.as_array().unwrap()) {
        let message = message.as_str().unwrap();
        assert!(
            message.starts_with("TypeError") && message.contains("not allowed") && !message.contains("secret"),
            "{host}: {message}"
        );
    }
    assert_eq!(server.accepted(), 0);
}

// row 31
#[test]
fn a_redirect_to_a_private_address_is_refused() {
    let (io, server, secret) = (io(), Server::start(), Server::start());
    let allowed = allowing(&server.address.to_string());
    let got = run(
        &io,
        with(policy(allowed)),
        &format!(
            "return await thrown(() => fetch('{}?{}'))",
            server.url("/redirect"),
            secret.url("/")
        ),
    );
    assert!(got["message"].as_str().unwrap().contains("loopback"), "{got}");
    assert_eq!((server.accepted(), secret.accepted()), (1, 0));
}

// row 31
#[test]
fn credentials_do_not_follow_a_redirect_to_another_origin() {
    let (io, server, other) = (io(), Server::start(), Server::start());
    let got = run(
        &io,
        with(local()),
        &format!(
            "
        const headers = {{ authorization: 'a', cookie: 'b=c', 'proxy-authorization': 'd', 'x-kept': 'e' }};
        const seen = async (to) => {{
            const got = await (await fetch('{}?' + to, {{ headers }})).json();
            return Object.keys(headers).map((name) => got[name] ?? null);
        }};
        return [await seen('{}'), await seen('{}')];
    ",
            server.url("/redirect"),
            server.url("/headers"),
            other.url("/headers")
        ),
    );
    assert_eq!(got, json!([["a", "b=c", "d", "e"], [null, null, null, "e"]]));
}

/// Returns one answer after another, the last one repeatedly.
struct Rebinding(Mutex<VecDeque<IpAddr>>);

impl ResolveHost for Rebinding {
    fn resolve(&self, _name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut answers = self.0.lock().unwrap();
        let answer = match answers.len() {
            0 => Vec::new(),
            1 => vec![answers[0]],
            _ => answers.pop_front().into_iter().collect(),
        };
        async { Ok(answer) }.boxed()
    }
}

// row 30
#[test]
fn every_resolved_address_of_a_name_is_checked() {
    let (io, public) = (io(), Server::start());
    let private = public.start_beside([127, 0, 0, 2]);
    let answers = [[127, 0, 0, 1], [127, 0, 0, 2]].map(IpAddr::from);
    let config = policy(allowing("127.0.0.1")).connection(
        ConnectionOptions::default()
            .resolver(Resolver::new(Rebinding(Mutex::new(answers.into()))))
            // Forces the second request to resolve the name again.
            .idle_per_host_max(0),
    );
    let got = run(
        &io,
        with(config),
        &format!(
            "
        const url = 'http://rebind.example:{}/';
        const first = await (await fetch(url)).text();
        const second = await thrown(() => fetch(url));
        return [first, String(second.cause)];
    ",
            public.address.port()
        ),
    );
    assert_eq!(got[0], "hello");
    assert!(got[1].as_str().unwrap().contains("127.0.0.2 is loopback"), "{got}");
    assert_eq!((public.accepted(), private.accepted()), (1, 0));
}

#[test]
fn a_worker_with_an_only_list_reaches_no_other_host() {
    let (io, named, other) = (io(), Server::start(), Server::start());
    let only = NetPolicy::default()
        .allow_private(true)
        .only(vec![named.address.to_string().parse().unwrap()]);
    let got = run(
        &io,
        with(policy(only)),
        &format!(
            "return [await (await fetch('{}')).text(), (await thrown(() => fetch('{}'))).message]",
            named.url("/"),
            other.url("/")
        ),
    );
    assert_eq!(got[0], "hello");
    assert!(got[1].as_str().unwrap().contains("not among the hosts"), "{got}");
    assert_eq!((named.accepted(), other.accepted()), (1, 0));
}

#[test]
fn a_script_cannot_control_the_framing_of_its_request() {
    let (io, server) = (io(), Server::start());
    let got = run(&io, with(local()), &format!("
        const headers = {{ 'transfer-encoding': 'chunked', 'content-length': '5', connection: 'x-mine', upgrade: 'h2c', host: 'a', 'x-mine': '1' }};
        const seen = await (await fetch('{0}/headers', {{ method: 'POST', body: 'longer than five', headers }})).json();
        const hidden = '0\\r\\n\\r\\nGET /hidden HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n';
        const echo = await (await fetch('{0}/echo', {{ method: 'POST', body: hidden, headers }})).text();
        return [seen['transfer-encoding'] ?? null, seen['content-length'], seen.connection ?? null, seen.upgrade ?? null, seen.host, seen['x-mine'], echo === hidden];
    ", server.url("")));
    let host = server.address.to_string();
    assert_eq!(got, json!([null, "16", null, null, host, "1", true]));
    assert_eq!(server.accepted(), 1, "one connection took them all");
}
