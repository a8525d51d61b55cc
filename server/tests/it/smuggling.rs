//! Requests on whose end two servers might disagree are refused before a worker is used, and their connection is closed, so
//! that no data behind them is taken for a request.

use std::sync::atomic::Ordering;

use isopod_server::Routes;

use crate::support::{address, config, get, raw, refused, start, start_with, until};

/// Hidden data, which would be answered with the worker's name if it were taken for a request.
const HIDDEN: &str = "GET /who HTTP/1.1\r\nhost: hidden\r\n\r\n";

/// Heads, with the status of their refusal.
const HEADS: &[(&str, &str)] = &[
    ("POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked", "400"),
    (
        "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity",
        "400",
    ),
    (
        "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked",
        "501",
    ),
    (
        "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "501",
    ),
    ("POST /echo HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked", "400"),
    ("POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding : chunked", "400"),
    (
        "POST /echo HTTP/1.1\r\nhost: a\r\nx: 1\r\n transfer-encoding: chunked",
        "400",
    ),
    (
        "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\ncontent-length: 5",
        "400",
    ),
    ("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 0, 5", "400"),
    ("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: +5", "400"),
    ("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 0x5", "400"),
    ("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: -1", "400"),
    ("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length : 5", "400"),
    (
        "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999",
        "400",
    ),
    ("GET / HTTP/1.1\r\nhost: a\r\nx: one\r\n two", "400"),
    ("GET / HTTP/1.1\r\nhost: a\r\nx: one\rtwo", "400"),
    ("GET / HTTP/1.1\r\nhost: a\r\nx: one\0two", "400"),
    ("GET / HTTP/1.1\r\nhost: a\r\nx one: two", "400"),
    ("GET / HTTP/1.1\r\nhost: a\r\n: two", "400"),
    ("GET / HTTP/1.1\r\nx: 1", "400"),
    ("GET / HTTP/1.1\r\nhost: a\r\nhost: b", "400"),
    ("GET / HTTP/1.1\r\nhost:", "400"),
    ("GET / HTTP/1.1\r\nhost: a b", "400"),
    ("GET / HTTP/1.1\r\nhost: a/b", "400"),
    ("GET / HTTP/1.1\r\nhost: user@a", "400"),
    ("GET http://a/ HTTP/1.1\r\nhost: b", "400"),
    ("GET http://a/ HTTP/1.1\r\nx: 1", "400"),
    ("GET http://user@a/ HTTP/1.1\r\nhost: user@a", "400"),
    ("GET / HTTP/3.0\r\nhost: a", "400"),
    ("GET  / HTTP/1.1\r\nhost: a", "400"),
    ("GET / HTTP/1.1 \r\nhost: a", "400"),
    ("CONNECT a:80 HTTP/1.1\r\nhost: a:80", "501"),
];

#[tokio::test]
async fn a_head_that_can_be_read_in_two_ways_is_refused_with_its_connection() {
    let (running, worker) = start_with(|_| ());
    for (count, (head, status)) in HEADS.iter().enumerate() {
        let response = raw(address(&running), format!("{head}\r\n\r\n{HIDDEN}")).await;
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}")),
            "{head:?}: {response}"
        );
        assert!(response.contains("x-isopod-outcome: refused"), "{head:?}: {response}");
        assert_eq!(response.matches("HTTP/1.1").count(), 1, "{head:?}: {response}");
        until("it is counted", || refused(&running) == count as u64 + 1).await;
    }
    assert_eq!(worker.0.started.load(Ordering::SeqCst), 0);
    assert!(get(address(&running), "/", "").await.ends_with("hello"));
}

/// Data after the head of a chunked request.
const CHUNKS: &[&str] = &[
    "0x5\r\nhello\r\n0\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    "5;\r\nhello\r\n0\r\n\r\n",
    "5;a=\"\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\nx: 1\n\r\n\r\n",
    "5 5\r\nhello\r\n0\r\n\r\n",
    "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "3\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello0\r\n\r\n",
    "5\nhello\n0\n\n",
    "5;a\n\r\nhello\r\n0\r\n\r\n",
    "\r\n5\r\nhello\r\n0\r\n\r\n",
];

#[tokio::test]
async fn a_body_that_can_be_read_in_two_ways_is_refused_with_its_connection() {
    let (running, worker) = start_with(|limits| limits.body_bytes_max = limits.body_buffer_max);
    let giants = [
        format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(20_000)),
        format!("5\r\nhello\r\n0\r\n{}\r\n", "x: 1\r\n".repeat(200)),
        format!("5\r\nhello\r\n0\r\nx: {}\r\n\r\n", "y".repeat(40_000)),
    ];
    let all = CHUNKS.iter().copied().chain(giants.iter().map(String::as_str));
    for (count, chunks) in all.enumerate() {
        let head = "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        let response = raw(address(&running), format!("{head}{chunks}{HIDDEN}")).await;
        let shown: String = chunks.chars().take(40).collect();
        assert!(response.starts_with("HTTP/1.1 400"), "{shown:?}: {response}");
        assert_eq!(response.matches("HTTP/1.1").count(), 1, "{shown:?}: {response}");
        until("it is counted", || refused(&running) == count as u64 + 1).await;
    }
    assert_eq!(worker.0.started.load(Ordering::SeqCst), 0);
    let plain = "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n5;ext=1\r\nhello\r\n0\r\n\r\n";
    assert!(raw(address(&running), plain).await.ends_with("hello"));
}

#[tokio::test]
async fn chunks_take_precedence_over_a_length() {
    let (running, worker) = start_with(|_| ());
    for lengths in [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 5",
    ] {
        let request = format!("POST /echo HTTP/1.1\r\nhost: a\r\n{lengths}\r\n\r\n0\r\n\r\n{HIDDEN}");
        let response = raw(address(&running), request).await;
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        assert_eq!(response.matches("HTTP/1.1").count(), 1, "{response}");
    }
    assert_eq!(worker.0.started.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn bytes_of_an_unread_body_are_not_a_request() {
    let mut config = config();
    config.limits.body_bytes_max = 1000;
    config.routes = Routes::default()
        .route("/", "worker")
        .and_then(|routes| routes.route("/who", "worker"))
        .unwrap();
    let (running, worker) = start(config);
    let length = HIDDEN.len();
    let last = "GET /who HTTP/1.1\r\nhost: last\r\nconnection: close\r\n\r\n";
    for unread in ["/", "/nowhere"] {
        let request = format!("POST {unread} HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{HIDDEN}{last}");
        let response = raw(address(&running), request).await;
        assert_eq!(response.matches("HTTP/1.1 ").count(), 2, "{unread}: {response}");
        assert!(
            response.contains("http://last/who") && !response.contains("hidden"),
            "{unread}: {response}"
        );
    }
    let seen = worker.0.started.load(Ordering::SeqCst);
    let refused = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n\r\n{HIDDEN}{last}");
    let response = raw(address(&running), refused).await;
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
    assert_eq!(response.matches("HTTP/1.1 ").count(), 1, "{response}");
    assert_eq!(worker.0.started.load(Ordering::SeqCst), seen);
}
