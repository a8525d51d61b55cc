//! Framing of responses, regardless of the worker's headers, and request URLs by the URL Standard.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use isopod_server::Routes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{LIKE_A_REFUSAL, address, config, get, raw, start};

/// Values of `content-length` by a worker for its five bytes.
const LENGTHS: [&str; 7] = ["3", "5", "30", "five", "5, 5", "+5", ""];

/// RFC 9112, section 6.3: the next response on a connection begins where the body of the one before has ended.
#[tokio::test]
async fn a_worker_s_content_length_is_ignored() {
    let (running, _) = start(config());
    for length in LENGTHS {
        for (path, framing) in [
            ("/said", "content-length: 5\r\n"),
            ("/said-streamed", "transfer-encoding: chunked\r\n"),
        ] {
            let first = format!("GET {path} HTTP/1.1\r\nhost: a\r\nsay-content-length: {length}\r\n\r\n");
            let last = "GET /who HTTP/1.1\r\nhost: last\r\nconnection: close\r\n\r\n";
            let response = raw(address(&running), format!("{first}{last}")).await;
            assert!(response.contains(framing), "{path} {length:?}: {response}");
            assert_eq!(response.matches("hello").count(), 1, "{path} {length:?}: {response}");
            assert_eq!(
                response.matches("content-length").count(),
                1 + usize::from(path == "/said")
            );
            assert!(
                response.contains("worker http://last/who"),
                "{path} {length:?}: {response}"
            );
        }
    }
}

#[tokio::test]
async fn a_worker_cannot_set_framing() {
    let (running, _) = start(config());
    let said = "say-transfer-encoding: gzip, chunked\r\nsay-connection: close\r\nsay-trailer: x\r\nsay-upgrade: h2c\r\n\
                say-keep-alive: timeout=1\r\nsay-te: trailers\r\nsay-date: a\r\nsay-date: b\r\n";
    let first = format!("GET /said HTTP/1.1\r\nhost: a\r\n{said}\r\n");
    let last = "GET /who HTTP/1.1\r\nhost: last\r\nconnection: close\r\n\r\n";
    let response = raw(address(&running), format!("{first}{last}")).await;
    let (head, rest) = response.split_once("\r\n\r\nhello").expect("a body of five bytes");
    for name in [
        "transfer-encoding",
        "connection",
        "trailer",
        "upgrade",
        "keep-alive",
        "te:",
    ] {
        assert!(!head.contains(&format!("\n{name}")), "{name}: {head}");
    }
    assert_eq!(head.matches("\ndate: ").count(), 1, "{head}");
    assert!(rest.contains("worker http://last/who"), "{rest}");
}

/// RFC 9110, section 9.3.2 and 8.6.
#[tokio::test]
async fn a_head_has_the_length_of_the_get_if_that_is_known() {
    let (running, _) = start(config());
    for (path, length) in [("/said", Some("5")), ("/said-streamed", None)] {
        let head = format!("HEAD {path} HTTP/1.1\r\nhost: a\r\nsay-content-length: 30\r\nconnection: close\r\n\r\n");
        let head = raw(address(&running), head).await;
        let said = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        assert_eq!(said, length, "{path}: {head}");
        assert!(head.ends_with("\r\n\r\n"), "{path}: {head}");
    }
}

/// RFC 9112, section 9.3 and 6.3: an HTTP/1.0 client knows no chunks, so the connection's end is the body's.
#[tokio::test]
async fn an_old_client_gets_a_length_or_the_end_of_the_connection() {
    let (running, _) = start(config());
    for (path, length) in [("/said", Some("5")), ("/said-streamed", None)] {
        let request = format!("GET {path} HTTP/1.0\r\nhost: a\r\nsay-content-length: 3\r\n\r\n");
        let mut stream = TcpStream::connect(address(&running)).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let response = crate::support::read_all(&mut stream).await;
        let said = response.lines().find_map(|line| line.strip_prefix("content-length: "));
        assert_eq!(said, length, "{path}: {response}");
        assert!(
            response.ends_with("\r\n\r\nhello") && !response.contains("chunked"),
            "{path}: {response}"
        );
    }
}

/// For an HTTP/1.0 client the connection's end is the body's, so only a reset shows an incomplete body.
#[tokio::test]
async fn an_old_client_notices_a_response_that_breaks_off() {
    let (running, _) = start(config());
    let mut stream = TcpStream::connect(address(&running)).await.unwrap();
    stream
        .write_all(b"GET /broken HTTP/1.0\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut response = Vec::new();
    let read = stream.read_to_end(&mut response).await;
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    let mut stream = TcpStream::connect(address(&running)).await.unwrap();
    stream
        .write_all(b"GET /endless HTTP/1.0\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    stream.readable().await.unwrap();
    let response = get(address(&running), "/broken", "").await;
    assert!(
        response.contains("\r\n5\r\nhello\r\n") && !response.contains("\r\n0\r\n"),
        "{response}"
    );
    assert_eq!(running.shutdown(Duration::ZERO).await.cut, 1);
    let read = stream.read_to_end(&mut Vec::new()).await;
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn http2_lengths_are_the_body_s() {
    let (running, _) = start(config());
    let io = TokioIo::new(TcpStream::connect(address(&running)).await.unwrap());
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    for length in LENGTHS {
        for (path, known) in [("/said", Some("5")), ("/said-streamed", None)] {
            let request = Request::get(format!("http://a{path}")).header("say-content-length", length);
            let response = client
                .send_request(request.body(Empty::<Bytes>::new()).unwrap())
                .await
                .unwrap();
            let said = response
                .headers()
                .get("content-length")
                .map(|length| length.to_str().unwrap().to_owned());
            assert_eq!(said.as_deref(), known, "{path} {length:?}");
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
        }
    }
}

#[tokio::test]
async fn a_body_that_looks_like_a_refusal_is_sent_as_it_is() {
    let (running, _) = start(config());
    let first = "GET /like-a-refusal HTTP/1.1\r\nhost: a\r\n\r\n";
    let last = "GET /who HTTP/1.1\r\nhost: last\r\nconnection: close\r\n\r\n";
    let response = raw(address(&running), format!("{first}{last}")).await;
    let length = LIKE_A_REFUSAL.len();
    assert!(
        response.contains(&format!("content-length: {length}\r\n")),
        "{response}"
    );
    assert!(
        response.contains(&format!("\r\n\r\n{LIKE_A_REFUSAL}HTTP/1.1 200 OK\r\n")),
        "{response}"
    );
    assert!(response.contains("worker http://last/who"), "{response}");
}

#[tokio::test]
async fn garbage_after_a_request_is_refused_after_its_answer() {
    let (running, _) = start(config());
    let response = raw(
        address(&running),
        "GET /who HTTP/1.1\r\nhost: a\r\n\r\nnonsense\r\n\r\n",
    )
    .await;
    let (first, refusal) = response.split_once("HTTP/1.1 400 Bad Request\r\n").expect("a refusal");
    assert!(
        first.contains("worker http://a/who") && !first.contains("refused"),
        "{response}"
    );
    assert!(refusal.starts_with("x-isopod-outcome: refused\r\n"), "{response}");
    let (head, reason) = refusal.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains(&format!("content-length: {}\r\n", reason.len())),
        "{response}"
    );
    assert!(reason.contains("not valid HTTP"), "{response}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (running, _) = start(config());
    let mut requests = String::new();
    for round in 0..50 {
        let chunks = format!("3\r\na{round:02}\r\n0\r\nx-trailer: 1\r\n\r\n");
        requests += &format!("GET /who?{round} HTTP/1.1\r\nhost: a\r\n\r\n");
        requests += &format!("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nb{round:02}");
        requests += &format!("POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
    }
    requests += "GET /who?last HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let response = raw(address(&running), requests).await;
    assert_eq!(response.matches("HTTP/1.1 200 OK").count(), 151);
    let mut rest = response.as_str();
    for round in 0..50 {
        for expected in [
            format!("/who?{round} "),
            format!("\r\n\r\nb{round:02}"),
            format!("\r\n\r\na{round:02}"),
        ] {
            let place = rest
                .find(&expected)
                .unwrap_or_else(|| panic!("{expected:?} is not in {rest}"));
            rest = &rest[place + expected.len()..];
        }
    }
}

/// https://url.spec.whatwg.org/#path-state: dot segments, also encoded ones, are removed before the path is used.
#[tokio::test]
async fn routes_go_by_the_url_that_scripts_see() {
    let routes = Routes::default()
        .route("/a/*", "a")
        .and_then(|routes| routes.route("/b/*", "b"))
        .unwrap();
    let (running, _) = start(config().routes(routes));
    for path in [
        "/a/../b/headers",
        "/a/%2e%2E/b/headers",
        "/a/x/.%2e/../b/./headers",
        "/a\\..\\b/headers",
    ] {
        let response = get(address(&running), path, "").await;
        assert!(response.contains("x-isopod-worker: b\r\n"), "{path}: {response}");
    }
    let response = get(address(&running), "/b/../a/x", "").await;
    assert!(response.contains("x-isopod-worker: a\r\n"), "{response}");
}

#[tokio::test]
async fn targets_and_hosts_make_the_right_url_or_none() {
    let (running, _) = start(config());
    let asked = |line: &str, host: &str| {
        let request = format!("{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        raw(address(&running), request)
    };
    for (line, host, url) in [
        ("GET http://h/headers?x=1", "h", "http://h/headers?x=1"),
        ("GET /x/../headers", "H:80", "http://h/headers"),
        ("GET /headers", "h:8080", "http://h:8080/headers"),
        ("GET /headers", "[::1]:80", "http://[::1]/headers"),
    ] {
        let response = asked(line, host).await;
        assert!(
            response.contains(&format!("\r\n\r\n{url}\n")),
            "{line} {host}: {response}"
        );
    }
    for (line, host) in [
        ("GET /", "h:99999"),
        ("GET /", "[::1"),
        ("GET /", "h:x"),
        ("GET *", "h"),
        ("GET h:80", "h:80"),
        ("GET https://h/", "h"),
        ("GET ftp://h/", "h"),
        ("GET http://u@h/", "u@h"),
        ("GET /\u{e9}\u{0}", "h"),
        ("GET /", "b\u{fc}cher"),
    ] {
        let response = asked(line, host).await;
        assert!(response.starts_with("HTTP/1.1 400"), "{line} {host}: {response}");
        assert!(
            response.contains("x-isopod-outcome: refused"),
            "{line} {host}: {response}"
        );
        assert!(
            !response.ends_with("\r\n\r\n"),
            "{line} {host} has no reason: {response}"
        );
    }
    for (line, host) in [("OPTIONS *", "h"), ("GET http://h?x=1", "h"), ("GET /caf\u{e9}", "h")] {
        let response = asked(line, host).await;
        assert!(response.starts_with("HTTP/1.1 200"), "{line} {host}: {response}");
    }
}

#[tokio::test]
async fn a_client_is_its_peer_unless_a_trusted_proxy_says_otherwise() {
    let said = "x-forwarded-for: 203.0.113.7\r\nx-forwarded-proto: https\r\nforwarded: for=6.6.6.6\r\n";
    let (running, _) = start(config());
    let response = get(address(&running), "/headers", said).await;
    assert!(response.contains("\r\n\r\nhttp://localhost/headers\n"), "{response}");
    assert!(response.contains("cf-connecting-ip: 127.0.0.1\n"), "{response}");
    assert!(response.contains("x-forwarded-for: 127.0.0.1\n"), "{response}");
    assert!(!response.contains("6.6.6.6"), "{response}");
    let (running, _) = start(config().trusted_proxies(vec!["127.0.0.0/8".parse().unwrap()]));
    let response = get(address(&running), "/headers", said).await;
    assert!(response.contains("\r\n\r\nhttps://localhost/headers\n"), "{response}");
    assert!(response.contains("cf-connecting-ip: 203.0.113.7\n"), "{response}");
}

/// Browsers and load balancers keep unused connections.
#[tokio::test]
async fn idle_connections_do_not_delay_the_end() {
    let (running, _) = start(config());
    let address = address(&running);
    let mut clients = Vec::new();
    for sent in [
        "",
        "G",
        "GET / HTTP/1.1\r\nhost: a\r\nx-half: ",
        "PRI * HTTP/2.0\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /who HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /who HTTP/1.1\r\nhost: a\r\n\r\nGET / HT",
    ] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(sent.as_bytes()).await.unwrap();
        clients.push(client);
    }
    // Sends settings, and does not answer pings.
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    clients[4].write_all(&settings).await.unwrap();
    let answered = running.handle();
    crate::support::until("two requests are answered", || {
        let figures = answered.figures();
        let requests = figures
            .iter()
            .find(|figure| figure.name == "isopod_http_requests_total");
        let sum: f64 = requests.unwrap().samples.iter().map(|sample| sample.value).sum();
        sum as u64 == 2
    })
    .await;
    let began = std::time::Instant::now();
    let report = running.shutdown(Duration::from_secs(30)).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(report.cut, 0);
}
