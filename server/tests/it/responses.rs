use std::sync::atomic::Ordering;

use http::StatusCode;
use isopod_server::{Mode, Outcome, Routes, status_of};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{address, config, get, raw, start, until};

#[tokio::test]
async fn each_outcome_has_its_status_and_is_named_in_the_response() {
    let (running, _) = start(config());
    for (outcome, status) in [
        (Outcome::Exception, 500),
        (Outcome::ExceededCpu, 504),
        (Outcome::ExceededWall, 504),
        (Outcome::ExceededMemory, 500),
        (Outcome::LoadShed, 503),
        (Outcome::BootFailed, 503),
        (Outcome::WorkerLost, 502),
        // No such resource: RFC 9110, section 15.5.5.
        (Outcome::NotDeployed, 404),
    ] {
        assert_eq!(status_of(outcome), StatusCode::from_u16(status).unwrap());
        let response = get(address(&running), &format!("/fail/{outcome}"), "").await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{response}");
        assert!(
            response.contains(&format!("x-isopod-outcome: {outcome}\r\n")),
            "{response}"
        );
        assert_eq!(
            response.contains("retry-after: 1\r\n"),
            outcome == Outcome::LoadShed,
            "{response}"
        );
    }
}

#[tokio::test]
async fn a_worker_that_has_used_its_share_is_a_429() {
    let (running, _) = start(config());
    let response = get(address(&running), "/own-share", "").await;
    assert!(response.starts_with("HTTP/1.1 429"), "{response}");
    assert!(response.contains("x-isopod-outcome: load_shed\r\n"), "{response}");
    assert!(response.contains("retry-after: 2\r\n"), "{response}");
}

#[tokio::test]
async fn error_pages_have_details_in_development_only() {
    let (running, _) = start(config());
    let text = get(address(&running), "/fail/exception", "").await;
    assert!(
        text.contains("it <broke>") && text.contains("at secret.js:1:2"),
        "{text}"
    );
    let html = get(address(&running), "/fail/exception", "accept: text/html\r\n").await;
    assert!(
        html.contains("it &lt;broke&gt;") && html.contains("text/html"),
        "{html}"
    );
    let json = get(address(&running), "/fail/exception", "accept: application/json\r\n").await;
    let json: serde_json::Value = serde_json::from_str(json.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(json["message"], "it <broke>");

    let (running, _) = start(config().mode(Mode::Production));
    for accept in ["", "accept: text/html\r\n", "accept: application/json\r\n"] {
        let response = get(
            address(&running),
            "/fail/exception",
            &format!("x-request-id: my-id\r\n{accept}"),
        )
        .await;
        assert!(
            !response.contains("secret.js") && !response.contains("broke"),
            "{response}"
        );
        assert!(
            !response.contains("x-isopod-worker") && response.matches("my-id").count() == 2,
            "{response}"
        );
    }
}

#[tokio::test]
async fn a_request_goes_to_its_route_with_its_url_and_id() {
    let routes = Routes::default()
        .route("api.test/*", "api")
        .unwrap()
        .route("/who", "site")
        .unwrap();
    let (running, _) = start(config().routes(routes));
    let address = address(&running);
    let request = "GET /who?a=1 HTTP/1.1\r\nhost: api.test\r\nx-request-id: abc-1\r\nconnection: close\r\n\r\n";
    let response = raw(address, request).await;
    assert!(response.ends_with("api http://api.test/who?a=1 abc-1"), "{response}");
    assert!(
        response.contains("x-request-id: abc-1\r\n") && response.contains("x-isopod-worker: api\r\n"),
        "{response}"
    );
    assert!(response.contains("x-isopod-outcome: ok\r\n"), "{response}");
    let response = get(address, "/who", "x-request-id: \"><script>\r\n").await;
    assert!(
        response.contains("\r\n\r\nsite http://localhost/who ") && !response.contains("script"),
        "{response}"
    );
    let missing = get(address, "/other", "").await;
    assert!(
        missing.starts_with("HTTP/1.1 404") && missing.contains("Add a route"),
        "{missing}"
    );
}

#[tokio::test]
async fn a_head_response_has_the_length_and_no_body_and_hop_headers_are_stripped() {
    let (running, _) = start(config());
    let head = raw(
        address(&running),
        "HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(
        head.contains("content-length: 5\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    let hop = raw(address(&running), "GET /hop HTTP/1.0\r\nhost: a\r\n\r\n").await;
    assert!(
        !hop.contains("x-private") && !hop.contains("keep-alive") && hop.contains("x-kept: 1"),
        "{hop}"
    );
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_event_and_the_response() {
    let (running, worker) = start(config());
    for (path, count) in [("/hang", 1), ("/endless", 2)] {
        let mut stream = TcpStream::connect(address(&running)).await.unwrap();
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes())
            .await
            .unwrap();
        until("the event starts", || worker.0.started.load(Ordering::SeqCst) == count).await;
        drop(stream);
        until("the event is dropped", || {
            worker.0.dropped.load(Ordering::SeqCst) == count
        })
        .await;
    }
}

#[tokio::test]
async fn the_admin_listener_shows_health_and_counts_by_outcome() {
    let (running, _) = start(config().admin("127.0.0.1:0".parse().unwrap()));
    let admin = running.admin_addr().unwrap();
    get(address(&running), "/", "").await;
    get(address(&running), "/fail/exception", "").await;
    assert!(get(admin, "/healthz", "").await.starts_with("HTTP/1.1 200"));
    assert!(get(admin, "/readyz", "").await.starts_with("HTTP/1.1 200"));
    let metrics = get(admin, "/metrics", "").await;
    for line in [
        "isopod_http_requests_total{outcome=\"ok\"} 1\n",
        "isopod_http_requests_total{outcome=\"exception\"} 1\n",
        "isopod_http_requests_open 0\n",
        "isopod_http_request_duration_seconds_count 2\n",
        "isopod_test{quote=\"a\\\"b\"} 7\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    let stats = get(admin, "/stats", "").await;
    let stats: serde_json::Value = serde_json::from_str(stats.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert!(
        stats
            .as_array()
            .unwrap()
            .iter()
            .any(|metric| metric["name"] == "isopod_test"),
        "{stats}"
    );
}

#[tokio::test]
async fn new_routes_apply_from_the_next_request() {
    let (running, _) = start(config());
    let address = address(&running);
    assert!(get(address, "/who", "").await.contains("worker http://"));
    running.set_routes(Routes::to("other"));
    assert!(get(address, "/who", "").await.contains("other http://"));
    running.set_routes(Routes::default());
    assert!(get(address, "/who", "").await.starts_with("HTTP/1.1 404"));
}

/// RFC 9112, section 4: the reason phrase may be empty, but the space before it is required.
#[tokio::test]
async fn a_status_without_a_known_reason_has_an_empty_one() {
    let (running, _) = start(config());
    let response = get(address(&running), "/599", "").await;
    assert!(response.starts_with("HTTP/1.1 599 \r\n"), "{response}");
    assert!(response.ends_with("odd"), "{response}");
}
