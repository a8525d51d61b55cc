use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use crate::support::{address, cut, get, raw, read_all, start_with, until};

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_silent_socket_is_closed_at_the_header_timeout() {
    let (running, _) = start_with(|limits| limits.header_timeout = SHORT);
    let began = Instant::now();
    assert_eq!(raw(address(&running), "").await, "");
    assert!(
        began.elapsed() >= SHORT,
        "it was closed early, after {:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_header_that_drips_is_cut_off_although_bytes_keep_coming() {
    let (running, worker) = start_with(|limits| limits.header_timeout = SHORT);
    let mut stream = TcpStream::connect(address(&running)).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nx-slow: ")
        .await
        .unwrap();
    let dripped = tokio::time::timeout(Duration::from_secs(10), async {
        while stream.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(dripped.await.is_ok(), "the server went on reading");
    assert_eq!(worker.0.started.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_the_idle_timeout() {
    let (running, _) = start_with(|limits| limits.idle_timeout = SHORT);
    let response = raw(address(&running), "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(
        response.starts_with("HTTP/1.1 200") && response.ends_with("hello"),
        "{response}"
    );
}

#[tokio::test]
async fn too_many_or_too_large_headers_and_urls_are_refused_with_the_outcome_header() {
    let (running, worker) = start_with(|_| ());
    let address = address(&running);
    // Two headers are sent with every request.
    let many = |count| {
        (0..count - 2)
            .map(|name| format!("x-{name}: 1\r\n"))
            .collect::<String>()
    };
    assert!(get(address, "/", &many(100)).await.starts_with("HTTP/1.1 200"));
    let refused = [
        (get(address, "/", &many(101)).await, "431"),
        (
            get(address, "/", &format!("x-big: {}\r\n", "a".repeat(17 << 10))).await,
            "431",
        ),
        (
            get(address, "/", &format!("x-giant: {}\r\n", "a".repeat(1 << 20))).await,
            "431",
        ),
        (get(address, &format!("/{}", "a".repeat(9 << 10)), "").await, "414"),
        (raw(address, "GET / HTTP/1.1\r\nconnection: close\r\n\r\n").await, "400"),
        (raw(address, "this is not HTTP\r\n\r\n").await, "400"),
    ];
    for (response, status) in refused {
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}")),
            "{status}: {response}"
        );
        assert!(response.contains("x-isopod-outcome: refused"), "{status}: {response}");
    }
    assert_eq!(worker.0.started.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_body_over_the_cap_is_answered_with_413_and_uses_no_worker() {
    let (running, worker) = start_with(|limits| limits.body_bytes_max = 1000);
    let chunk = format!("400\r\n{}\r\n", "a".repeat(1024));
    let chunked =
        format!("POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n");
    let declared = format!(
        "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1001\r\n\r\n{}",
        "a".repeat(1001)
    );
    for request in [chunked, declared] {
        let response = raw(address(&running), request).await;
        assert!(response.starts_with("HTTP/1.1 413"), "{response}");
        assert!(response.contains("x-isopod-outcome: refused"), "{response}");
    }
    assert_eq!(worker.0.started.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_streamed_body_over_the_cap_ends_the_workers_event_with_413() {
    let (running, worker) = start_with(|limits| (limits.body_bytes_max, limits.body_buffer_max) = (10_000, 100));
    let mut request = b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..20 {
        request.extend(format!("400\r\n{}\r\n", "a".repeat(1024)).bytes());
    }
    let response = raw(address(&running), request).await;
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
    until("the event is dropped", || worker.0.dropped.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_body_that_stalls_is_answered_with_408() {
    let (running, worker) = start_with(|limits| limits.body_timeout = SHORT);
    let response = raw(
        address(&running),
        "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc",
    )
    .await;
    assert!(response.starts_with("HTTP/1.1 408"), "{response}");
    assert_eq!(worker.0.started.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_worker_that_never_answers_is_given_up_after_the_deadline_and_its_grace() {
    let (running, worker) =
        start_with(|limits| (limits.request_timeout, limits.request_grace) = (SHORT, Duration::from_millis(20)));
    let response = get(address(&running), "/hang", "").await;
    assert!(
        response.starts_with("HTTP/1.1 504") && response.contains("x-isopod-outcome: exceeded_wall"),
        "{response}"
    );
    until("the event is dropped", || worker.0.dropped.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_of_an_endless_response_is_cut_off() {
    let (running, worker) = start_with(|limits| limits.write_timeout = SHORT);
    let mut stream = TcpStream::connect(address(&running)).await.unwrap();
    stream
        .write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    until("the response is dropped", || {
        worker.0.dropped.load(Ordering::SeqCst) == 1
    })
    .await;
    drop(stream);
}

#[tokio::test]
async fn a_client_that_reads_a_byte_now_and_then_is_cut_off() {
    let (running, worker) = start_with(|limits| limits.write_timeout = SHORT);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(address(&running)).await.unwrap();
    stream
        .write_all(b"GET /endless HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    let reading = async {
        while cut(&running, "slow_reader") == 0 {
            drop(stream.read_u8().await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let cut_off = tokio::time::timeout(Duration::from_secs(10), reading);
    assert!(cut_off.await.is_ok(), "the server went on waiting");
    until("the response is dropped", || {
        worker.0.dropped.load(Ordering::SeqCst) == 1
    })
    .await;
    assert!(get(address(&running), "/", "").await.ends_with("hello"));
}

#[tokio::test]
async fn a_trickling_body_times_out() {
    let (running, worker) = start_with(|limits| limits.request_timeout = SHORT);
    let stream = TcpStream::connect(address(&running)).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let head = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10000\r\n\r\n";
    writer.write_all(head).await.unwrap();
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(read_all(&mut reader).await.starts_with("HTTP/1.1 408"));
    drop(reader);
    dripping.await.unwrap();
    assert_eq!(worker.0.started.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn connections_beyond_the_maximum_wait() {
    let (running, _) = start_with(|limits| limits.connections_max = 1);
    let address = address(&running);
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    first.readable().await.unwrap();
    let second = tokio::spawn(get(address, "/", ""));
    tokio::time::sleep(SHORT).await;
    assert!(!second.is_finished(), "a second connection was served beside the first");
    first.shutdown().await.unwrap();
    assert!(read_all(&mut first).await.ends_with("hello"));
    assert!(second.await.unwrap().ends_with("hello"));
}
