//! Malicious HTTP/2 clients, which cost no worker time and lose their connection.

use std::future::Future;
use std::sync::atomic::Ordering;
use std::time::Duration;

use isopod_server::{Limits, Running};
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;

use crate::frames::*;
use crate::support::{Worker, address, cut, get, start_with, until};

const SHORT: Duration = Duration::from_millis(200);
/// SETTINGS_INITIAL_WINDOW_SIZE.
const INITIAL_WINDOW: u16 = 4;

async fn in_time<T>(what: &str, doing: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(10), doing).await;
    done.unwrap_or_else(|_| panic!("never happened: {what}"))
}

fn started(worker: &Worker) -> usize {
    worker.0.started.load(Ordering::SeqCst)
}

/// Writes until the server closes the connection, and reads its frames meanwhile.
async fn flood(reader: Reader, mut writer: OwnedWriteHalf, frames: &[u8]) {
    let reading = tokio::spawn(reader.rest());
    let writing = async { while writer.write_all(frames).await.is_ok() {} };
    in_time("the server hangs up", writing).await;
    in_time("the connection ends", reading).await.unwrap();
}

async fn is_cut_and_serves_others(running: &Running, reason: &str) {
    until(reason, || cut(running, reason) == 1).await;
    assert!(get(address(running), "/", "").await.ends_with("hello"));
}

fn start(change: impl FnOnce(&mut Limits)) -> (Running, Worker) {
    start_with(change)
}

#[tokio::test]
async fn requests_reset_before_they_are_taken_up_end_the_connection() {
    let (running, worker) = start(|_| ());
    let (reader, writer) = open(address(&running), &[]).await;
    let burst: Vec<u8> = (0..500)
        .flat_map(|i| [request(2 * i + 1, "/hang"), reset(2 * i + 1)].concat())
        .collect();
    flood(reader, writer, &burst).await;
    is_cut_and_serves_others(&running, "bad_frames").await;
    assert!(started(&worker) < 25, "{} workers for nothing", started(&worker));
}

/// RFC 9113, section 5.1.2: a client may open streams before it has received the server's limit. Streams above it are
/// refused, and may be retried.
#[tokio::test]
async fn streams_opened_before_the_limit_is_known_are_refused_and_the_connection_stays() {
    const REFUSED_STREAM: [u8; 4] = 7u32.to_be_bytes();
    let (running, worker) = start(|limits| limits.h2_streams_max = 100);
    let (mut reader, mut writer) = open(address(&running), &[]).await;
    let burst: Vec<u8> = (0..200).flat_map(|i| request(2 * i + 1, "/hang")).collect();
    writer.write_all(&burst).await.unwrap();
    for _ in 0..100 {
        let frame = in_time("a refusal", reader.until(|frame| frame.kind == RESET)).await;
        assert_eq!(frame.payload, REFUSED_STREAM);
    }
    writer.write_all(&frame(PING, 0, 0, &[1; 8])).await.unwrap();
    in_time(
        "the answer to a ping",
        reader.until(|frame| frame.kind == PING && frame.flags == ACK),
    )
    .await;
    until("the others are taken up", || started(&worker) == 100).await;
    assert_eq!(worker.0.dropped.load(Ordering::SeqCst), 0);
}

/// More refusals than one such burst causes.
#[tokio::test]
async fn streams_opened_above_the_limit_again_and_again_end_the_connection() {
    let (running, _) = start(|limits| limits.h2_streams_max = 10);
    let (reader, mut writer) = open(address(&running), &[]).await;
    let burst: Vec<u8> = (0..100).flat_map(|i| request(2 * i + 1, "/hang")).collect();
    writer.write_all(&burst).await.unwrap();
    assert!(in_time("the connection ends", reader.rest()).await, "without a GOAWAY");
    is_cut_and_serves_others(&running, "bad_frames").await;
}

#[tokio::test]
async fn requests_canceled_one_after_the_other_end_the_connection() {
    let (running, worker) = start(|limits| limits.h2_cancels_max = 10);
    let (reader, mut writer) = open(address(&running), &[]).await;
    let ended = tokio::spawn(reader.rest());
    for i in 0..11 {
        writer.write_all(&request(2 * i + 1, "/hang")).await.unwrap();
        until("a worker is at it", || started(&worker) == i as usize + 1).await;
        writer.write_all(&reset(2 * i + 1)).await.unwrap();
        until("it is not any more", || {
            worker.0.dropped.load(Ordering::SeqCst) == i as usize + 1
        })
        .await;
    }
    in_time("the connection ends", ended).await.unwrap();
    is_cut_and_serves_others(&running, "cancels").await;
}

#[tokio::test]
async fn endless_header_frames_end_the_connection() {
    let (running, worker) = start(|_| ());
    let (reader, mut writer) = open(address(&running), &[]).await;
    writer.write_all(&frame(HEADERS, 0, 1, &block("/"))).await.unwrap();
    flood(reader, writer, &frame(CONTINUATION, 0, 1, &[]).repeat(100)).await;
    is_cut_and_serves_others(&running, "bad_frames").await;
    assert_eq!(started(&worker), 1, "the one of the check");
}

#[tokio::test]
async fn endless_headers_time_out() {
    let (running, _) = start(|limits| limits.header_timeout = SHORT);
    let (reader, mut writer) = open(address(&running), &[]).await;
    writer.write_all(&frame(HEADERS, 0, 1, &block("/"))).await.unwrap();
    in_time("the connection ends", reader.rest()).await;
    is_cut_and_serves_others(&running, "slow_head").await;
}

#[tokio::test]
async fn endless_headers_time_out_on_a_used_connection() {
    let (running, _) = start(|limits| limits.h2_ping_interval = SHORT);
    let (mut reader, mut writer) = open(address(&running), &[]).await;
    writer.write_all(&request(1, "/")).await.unwrap();
    in_time(
        "an answer",
        reader.until(|frame| frame.stream == 1 && frame.flags & END_STREAM != 0),
    )
    .await;
    writer.write_all(&frame(HEADERS, 0, 3, &block("/"))).await.unwrap();
    in_time("the connection ends", reader.rest()).await;
    assert!(get(address(&running), "/", "").await.ends_with("hello"));
}

#[tokio::test]
async fn a_flood_of_empty_frames_ends_the_connection() {
    let (running, worker) = start(|limits| limits.h2_idle_bytes_max = 1000);
    for (count, nothing) in [
        frame(PING, 0, 0, &[0; 8]),
        frame(PING, ACK, 0, &[0; 8]),
        frame(SETTINGS, 0, 0, &[]),
        // A priority for a stream that was not opened.
        frame(2, 0, 1, &[0, 0, 0, 0, 1]),
    ]
    .into_iter()
    .enumerate()
    {
        let (reader, writer) = open(address(&running), &[]).await;
        flood(reader, writer, &nothing.repeat(20)).await;
        until("it is counted", || cut(&running, "flood") == count as u64 + 1).await;
    }
    assert_eq!(started(&worker), 0);
}

#[tokio::test]
async fn empty_data_ends_the_connection() {
    let (running, _) = start(|limits| limits.h2_idle_bytes_max = 1000);
    let (reader, mut writer) = open(address(&running), &[]).await;
    writer
        .write_all(&frame(HEADERS, END_HEADERS, 1, &block("/echo")))
        .await
        .unwrap();
    flood(reader, writer, &frame(DATA, 0, 1, &[]).repeat(20)).await;
    until("it is counted", || {
        cut(&running, "flood") + cut(&running, "bad_frames") == 1
    })
    .await;
}

#[tokio::test]
async fn a_header_bomb_uses_no_worker() {
    let (running, worker) = start(|_| ());
    let (reader, mut writer) = open(address(&running), &[]).await;
    // One indexed header of 3,000 bytes, then a thousand references to it.
    let mut bomb = block("/");
    bomb.extend([0x40, 1, b'x', 0x7f, 0xb9, 0x16]);
    bomb.extend([b'y'; 3000]);
    bomb.extend([0xbe; 1000]);
    let bomb = frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb);
    writer.write_all(&bomb).await.unwrap();
    in_time("the connection ends", reader.rest()).await;
    is_cut_and_serves_others(&running, "bad_frames").await;
    assert_eq!(started(&worker), 1, "the one of the check");
}

#[tokio::test]
async fn too_many_headers_are_refused_on_http_2_as_well() {
    let (running, worker) = start(|_| ());
    let (mut reader, mut writer) = open(address(&running), &[]).await;
    let mut many = block("/");
    many.extend([0x00, 1, b'x', 1, b'y'].repeat(101));
    writer
        .write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &many))
        .await
        .unwrap();
    in_time(
        "an answer",
        reader.until(|frame| frame.stream == 1 && frame.kind == HEADERS),
    )
    .await;
    assert_eq!(crate::support::refused(&running), 1);
    assert_eq!(started(&worker), 0);
}

#[tokio::test]
async fn a_client_that_stops_opening_its_window_is_cut_off() {
    let (running, worker) = start(|limits| limits.write_timeout = SHORT);
    for (count, (window, path)) in [(0, "/"), (0, "/endless"), (65_535, "/endless")]
        .into_iter()
        .enumerate()
    {
        let (reader, mut writer) = open(address(&running), &[(INITIAL_WINDOW, window)]).await;
        writer.write_all(&request(1, path)).await.unwrap();
        in_time("the connection ends", reader.rest()).await;
        until("it is counted", || cut(&running, "slow_reader") == count as u64 + 1).await;
    }
    until("the responses are dropped", || {
        worker.0.dropped.load(Ordering::SeqCst) == 3
    })
    .await;
}

#[tokio::test]
async fn a_client_that_only_answers_pings_is_disconnected() {
    let (running, _) = start(|limits| {
        (limits.header_timeout, limits.idle_timeout, limits.write_timeout) = (SHORT, SHORT * 4, SHORT);
        limits.h2_ping_interval = SHORT / 4;
    });
    let (mut reader, mut writer) = open(address(&running), &[]).await;
    writer.write_all(&request(1, "/")).await.unwrap();
    in_time(
        "an answer",
        reader.until(|frame| frame.stream == 1 && frame.flags & END_STREAM != 0),
    )
    .await;
    let began = std::time::Instant::now();
    let (mut pings, mut warned) = (0, false);
    let answering = async {
        while let Some(frame) = reader.next().await {
            warned |= frame.kind == GOAWAY;
            // Not the first GOAWAY's ping, at whose answer the server would close.
            if frame.kind == PING && frame.flags & ACK == 0 && !warned {
                pings += 1;
                drop(writer.write_all(&frame_back(&frame)).await);
            }
        }
    };
    in_time("the connection ends", answering).await;
    assert!(warned && pings > 3, "{pings} pings");
    assert!(
        began.elapsed() >= SHORT * 4,
        "it was cut early, after {:?}",
        began.elapsed()
    );
}

fn frame_back(ping: &Frame) -> Vec<u8> {
    frame(PING, ACK, 0, &ping.payload)
}

/// Unread bodies fill the windows of their streams, but not that of the connection (RFC 9113, section 5.2.2: a receiver
/// whose flow control depends on the application has to avoid deadlocks).
#[tokio::test]
async fn unread_bodies_do_not_stop_the_others_of_their_connection() {
    static BYTES: [u8; 2 << 20] = [b'x'; 2 << 20];
    let (running, worker) = start(|_| ());
    let stream = tokio::net::TcpStream::connect(address(&running)).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut hanging = Vec::new();
    for path in ["/hang"; 50].into_iter().chain(["/echo"]) {
        client = client.ready().await.unwrap();
        let uri = format!("http://localhost{path}");
        let request = http::Request::post(uri).body(()).unwrap();
        let (response, mut body) = client.send_request(request, false).unwrap();
        body.send_data(bytes::Bytes::from_static(&BYTES), true).unwrap();
        hanging.push((response, body));
    }
    let (echo, _body) = hanging.pop().unwrap();
    let mut echo = in_time("a head", echo).await.unwrap().into_body();
    let mut length = 0;
    while let Some(chunk) = in_time("a chunk", echo.data()).await {
        let chunk = chunk.unwrap();
        length += chunk.len();
        echo.flow_control().release_capacity(chunk.len()).unwrap();
    }
    assert_eq!(length, BYTES.len());
    assert_eq!(worker.0.dropped.load(Ordering::SeqCst), 1, "the others still wait");
}
