//! The admin listener, with requests of probes and of web pages.

use std::time::{Duration, Instant};

use isopod_server::Running;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{config, get, raw, start};

fn with_admin() -> Running {
    let admin = "127.0.0.1:0".parse().unwrap();
    start(config().admin(admin)).0
}

#[tokio::test]
async fn unfinished_requests_do_not_delay_probes() {
    let running = with_admin();
    let admin = running.admin_addr().unwrap();
    let mut half = Vec::new();
    for sent in ["", "GET /readyz HTTP/1.1\r\nhost: local"].repeat(100) {
        let mut client = TcpStream::connect(admin).await.unwrap();
        client.write_all(sent.as_bytes()).await.unwrap();
        half.push(client);
    }
    let began = Instant::now();
    assert!(get(admin, "/readyz", "").await.starts_with("HTTP/1.1 200"));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn only_requests_with_the_listener_s_name_and_of_no_other_site_are_answered() {
    let running = with_admin();
    let admin = running.admin_addr().unwrap();
    for path in ["/healthz", "/readyz", "/metrics", "/stats", "/other"] {
        for (headers, status) in [
            ("host: evil.example\r\n", "403"),
            ("host: localhost\r\norigin: https://evil.example\r\n", "403"),
            ("host: localhost\r\nsec-fetch-site: cross-site\r\n", "403"),
            ("", "403"),
        ] {
            let response = raw(
                admin,
                format!("GET {path} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n"),
            )
            .await;
            assert!(
                response.starts_with(&format!("HTTP/1.1 {status}")),
                "{path} {headers:?}: {response}"
            );
            assert!(!response.contains("isopod_http"), "{path} {headers:?}: {response}");
        }
    }
    let post = "POST /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let response = raw(admin, post).await;
    assert!(
        response.starts_with("HTTP/1.1 405") && response.contains("allow: GET, HEAD\r\n"),
        "{response}"
    );
}
