use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use isopod_server::Server;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Worker, address, config, get, start, start_with, until};

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn under_load_every_request_sent_before_the_connection_closed_is_answered() {
    let (running, _) = start(config());
    let address = address(&running);
    let answered = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let answered = answered.clone();
            tokio::spawn(async move {
                let stream = TcpStream::connect(address).await.unwrap();
                let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
                    .await
                    .unwrap();
                let connection = tokio::spawn(connection);
                loop {
                    let request = Request::get("/")
                        .header("host", "a")
                        .body(Empty::<Bytes>::new())
                        .unwrap();
                    let response = client.send_request(request).await.expect("the request is answered");
                    let last = response
                        .headers()
                        .get("connection")
                        .is_some_and(|value| value == "close");
                    assert_eq!(
                        response
                            .into_body()
                            .collect()
                            .await
                            .expect("the body is whole")
                            .to_bytes(),
                        "hello"
                    );
                    answered.fetch_add(1, Ordering::SeqCst);
                    if last {
                        break;
                    }
                }
                connection.await.unwrap().unwrap();
            })
        })
        .collect();
    until("there is load", || answered.load(Ordering::SeqCst) > 200).await;
    let report = running.shutdown(LONG).await;
    assert_eq!(report.cut, 0);
    for client in clients {
        client.await.unwrap();
    }
    assert!(TcpStream::connect(address).await.is_err(), "the listener is still open");
}

/// Sends one request on a new connection. `None` if the connection was not established.
async fn ask_once(address: std::net::SocketAddr) -> Option<std::io::Result<String>> {
    // A listener that is about to close drops SYN packets, and the system would retry for a second or more.
    let mut stream = tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(address))
        .await
        .ok()?
        .ok()?;
    let asked = async {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            .await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    Some(asked.await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_accepted_while_the_listener_closes_are_answered() {
    for _ in 0..5 {
        let (running, _) = start(config());
        let address = address(&running);
        let answered = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..64)
            .map(|_| {
                let answered = answered.clone();
                tokio::spawn(async move {
                    while let Some(answer) = ask_once(address).await {
                        let answer = answer.expect("a connection that was had is not reset");
                        assert!(answer.ends_with("hello"), "{answer:?}");
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        until("there is load", || answered.load(Ordering::SeqCst) > 200).await;
        assert_eq!(running.shutdown(LONG).await.cut, 0);
        for client in clients {
            client.await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_idle_server_stops_without_a_linger() {
    let (running, _) = start_with(|limits| limits.drain_linger = LONG);
    let start = std::time::Instant::now();
    running.shutdown(LONG).await;
    assert!(start.elapsed() < LONG / 2, "{:?}", start.elapsed());
}

// row 42
#[tokio::test]
async fn a_drain_finishes_requests_while_not_ready() {
    let (running, worker) = start(config().admin("127.0.0.1:0".parse().unwrap()));
    let admin = running.admin_addr().unwrap();
    let client = tokio::spawn(get(address(&running), "/wait", ""));
    until("the event starts", || worker.0.started.load(Ordering::SeqCst) == 1).await;
    let shutdown = tokio::spawn(running.shutdown(LONG));
    let not_ready = async { while !get(admin, "/readyz", "").await.starts_with("HTTP/1.1 503") {} };
    tokio::time::timeout(LONG, not_ready).await.expect("readiness goes off");
    worker.0.released.store(true, Ordering::SeqCst);
    worker.0.release.notify_waiters();
    assert!(client.await.unwrap().ends_with("released"));
    let report = shutdown.await.unwrap();
    assert_eq!((report.finished, report.cut), (1, 0));
}

#[tokio::test]
async fn unfinished_requests_are_cut_and_counted_at_the_deadline() {
    let (running, worker) = start(config());
    let client = tokio::spawn(get(address(&running), "/hang", ""));
    until("the event starts", || worker.0.started.load(Ordering::SeqCst) == 1).await;
    let report = running.shutdown(Duration::from_millis(50)).await;
    assert_eq!((report.finished, report.cut), (0, 1));
    assert_eq!(worker.0.dropped.load(Ordering::SeqCst), 1);
    assert_eq!(client.await.unwrap(), "");
}

#[tokio::test]
async fn a_server_on_the_hosts_runtime_stops_when_it_is_dropped() {
    let running = Server::new(config(), Worker::default())
        .start_on(&tokio::runtime::Handle::current())
        .unwrap();
    let address = address(&running);
    assert!(get(address, "/", "").await.ends_with("hello"));
    drop(running);
    let closed = async { while TcpStream::connect(address).await.is_ok() {} };
    tokio::time::timeout(LONG, closed)
        .await
        .expect("the listener is closed");
}

#[test]
fn a_server_starts_and_stops_outside_any_runtime() {
    let (running, _) = start(config());
    let address = address(&running);
    let report = futures::executor::block_on(running.shutdown(LONG));
    assert_eq!(report.cut, 0);
    assert!(std::net::TcpStream::connect(address).is_err());
}
