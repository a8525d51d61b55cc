//! Connections that move to the thread of a worker and back at any time, unnoticed by their clients.

use std::{net::SocketAddr, sync::atomic::Ordering, time::Duration};

use isopod_server::Running;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Worker, address, config, cut, read_all, start, start_with, until};

const LONG: Duration = Duration::from_secs(10);

/// Sends a request, and reads until the response ends with `end`.
async fn ask(stream: &mut TcpStream, request: &str, end: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    expect(stream, end).await
}

async fn expect(stream: &mut TcpStream, end: &str) -> String {
    let mut response = String::new();
    let mut buffer = [0; 4096];
    let read = async {
        while !response.ends_with(end) {
            let len = stream.read(&mut buffer).await.expect("the connection is not reset");
            assert!(len > 0, "closed after {response:?}");
            response.push_str(std::str::from_utf8(&buffer[..len]).unwrap());
        }
    };
    tokio::time::timeout(LONG, read).await.expect("a response");
    response
}

/// Sends a request, and waits until the worker has begun this number of requests.
async fn begin(stream: &mut TcpStream, path: &str, worker: &Worker, begun: usize) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    until("the request is under way", || {
        worker.0.started.load(Ordering::SeqCst) == begun
    })
    .await;
}

/// Releases the requests to `/wait`.
fn release(worker: &Worker) {
    worker.0.released.store(true, Ordering::SeqCst);
    worker.0.release.notify_waiters();
}

/// Opens a connection and moves it to the worker's thread.
async fn moved(address: SocketAddr, worker: &Worker) -> TcpStream {
    let before = worker.1.taken();
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..2 {
        ask(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "hello").await;
    }
    until("the connection moves", || worker.1.taken() > before).await;
    stream
}

async fn server() -> (Running, Worker, TcpStream) {
    let (running, worker) = start(config());
    let stream = moved(address(&running), &worker).await;
    (running, worker, stream)
}

#[tokio::test]
async fn a_connection_that_moves_to_and_fro_answers_each_request_in_order() {
    let (running, worker, mut stream) = server().await;
    for n in 0..200 {
        // Two pipelined requests: the second is read while the first is answered.
        let request = format!(
            "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n{n:04}GET /who HTTP/1.1\r\nhost: h{n}\r\nx-request-id: {n}\r\n\r\n"
        );
        let response = ask(&mut stream, &request, &format!("worker http://h{n}/who {n}")).await;
        assert!(
            response.contains(&format!("\r\n\r\n{n:04}HTTP/1.1 200 OK")),
            "{response}"
        );
        if n % 20 == 0 {
            worker.1.evict();
        }
    }
    assert_eq!(running.shutdown(LONG).await.cut, 0);
}

#[tokio::test]
async fn a_running_request_continues_when_its_connection_moves() {
    let (running, worker, mut stream) = server().await;
    begin(&mut stream, "/wait", &worker, 3).await;
    // Also ends the runtime to which the socket was bound.
    worker.1.end();
    release(&worker);
    expect(&mut stream, "released").await;
    assert_eq!(running.shutdown(LONG).await.cut, 0);
}

#[tokio::test]
async fn a_client_that_leaves_after_its_connection_moved_cancels_its_request() {
    let (_running, worker, mut stream) = server().await;
    begin(&mut stream, "/hang", &worker, 3).await;
    worker.1.evict();
    let dropped = worker.0.dropped.load(Ordering::SeqCst);
    drop(stream);
    until("it is canceled", || worker.0.dropped.load(Ordering::SeqCst) > dropped).await;
}

#[tokio::test]
async fn half_a_head_and_half_a_body_are_kept_when_a_connection_moves() {
    let (running, worker, mut stream) = server().await;
    stream
        .write_all(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-l")
        .await
        .unwrap();
    // Regardless of whether the request has been read.
    worker.1.evict();
    stream.write_all(b"ength: 10\r\n\r\n01234").await.unwrap();
    until("the request is under way", || {
        worker.0.started.load(Ordering::SeqCst) >= 2
    })
    .await;
    worker.1.evict();
    ask(&mut stream, "56789", "0123456789").await;
    assert_eq!(running.shutdown(LONG).await.cut, 0);
}

#[tokio::test]
async fn a_response_continues_when_its_connection_moves() {
    let (_running, worker, mut stream) = server().await;
    stream
        .write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let mut buffer = vec![0; 1 << 20];
    stream.read_exact(&mut buffer).await.unwrap();
    assert_eq!(worker.1.evict(), 1);
    for _ in 0..16 {
        stream.read_exact(&mut buffer).await.unwrap();
    }
}

#[tokio::test]
async fn a_drain_waits_for_connections_on_other_threads_and_resets_none() {
    let (running, worker, mut stream) = server().await;
    let mut idle = moved(address(&running), &worker).await;
    begin(&mut stream, "/wait", &worker, 5).await;
    let shutdown = tokio::spawn(running.shutdown(LONG));
    assert_eq!(read_all(&mut idle).await, "");
    release(&worker);
    let response = read_all(&mut stream).await;
    assert!(
        response.contains("connection: close") && response.ends_with("released"),
        "{response}"
    );
    let report = shutdown.await.unwrap();
    assert_eq!((report.finished, report.cut), (1, 0));
}

#[tokio::test]
async fn a_drain_cuts_a_request_on_another_thread_at_its_deadline() {
    let (running, worker, mut stream) = server().await;
    begin(&mut stream, "/hang", &worker, 3).await;
    assert_eq!(running.shutdown(Duration::from_millis(100)).await.cut, 1);
}

#[tokio::test]
async fn time_limits_hold_on_any_thread() {
    let (running, worker) = start_with(|limits| {
        limits.header_timeout = Duration::from_millis(200);
        limits.idle_timeout = Duration::from_millis(400);
    });
    let mut slow = moved(address(&running), &worker).await;
    let mut idle = moved(address(&running), &worker).await;
    slow.write_all(b"GET / HT").await.unwrap();
    let mut rest = Vec::new();
    // A cut connection may be reset.
    let _ = slow.read_to_end(&mut rest).await;
    assert_eq!(cut(&running, "slow_head"), 1);
    assert_eq!(read_all(&mut idle).await, "");
}

#[tokio::test]
async fn a_refused_connection_stays_and_a_returned_one_waits() {
    let (running, worker) = start(config());
    worker.1.refuse();
    let mut stream = TcpStream::connect(address(&running)).await.unwrap();
    for _ in 0..5 {
        ask(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "hello").await;
    }
    assert_eq!(worker.1.taken(), 0);
    let (_running, worker, mut stream) = server().await;
    worker.1.evict();
    for _ in 0..5 {
        ask(&mut stream, "GET / HTTP/1.1\r\nhost: a\r\n\r\n", "hello").await;
    }
    assert_eq!(worker.1.taken(), 1);
}
