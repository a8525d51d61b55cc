use std::future::{pending, poll_fn};

use futures::{SinkExt, StreamExt};
use tokio::{
    io::{DuplexStream, duplex},
    task::JoinHandle,
};

use super::*;
use crate::{Hooks, Incoming, Limits, Port, SendError, pair};

type Peer = WebSocketStream<DuplexStream>;

/// Opens a connection: the worker's end, the running connection, and the peer.
async fn connected(limits: Limits) -> (Port, JoinHandle<Report>, Peer) {
    connected_until(limits, pending()).await
}

async fn connected_until(
    limits: Limits,
    end: impl Future<Output = Ending> + Send + 'static,
) -> (Port, JoinHandle<Report>, Peer) {
    let (port, wire) = pair(&limits, Hooks::default());
    let (ours, theirs) = duplex(16 << 10);
    let local = tokio::runtime::Handle::try_current().unwrap();
    let running = local.spawn(wire.run(ours, Bytes::new(), Role::Server, end));
    let peer = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
    (port, running, peer)
}

async fn receive(port: &mut Port) -> Option<Incoming> {
    poll_fn(|cx| port.poll_receive(cx)).await
}

async fn closed(port: &mut Port) -> Closed {
    loop {
        match receive(port).await {
            Some(Incoming::Closed(closed)) => return closed,
            Some(Incoming::Message(_)) => {}
            None => panic!("the end was told before"),
        }
    }
}

fn text(text: &'static str) -> Message {
    Message::text(Bytes::from_static(text.as_bytes())).unwrap()
}

#[tokio::test]
async fn messages_and_a_clean_close() {
    let (mut port, running, mut peer) = connected(Limits::default()).await;
    peer.send(Frame::text("to the worker")).await.unwrap();
    assert!(matches!(receive(&mut port).await, Some(Incoming::Message(message)) if message == text("to the worker")));
    assert_eq!(port.send(text("to the peer")), Ok(11));
    assert_eq!(peer.next().await.unwrap().unwrap(), Frame::text("to the peer"));
    port.close(Close::of_application(Some(3000), "done").unwrap());
    assert_eq!(port.send(text("late")), Err(SendError::Closed));
    assert!(matches!(peer.next().await, Some(Ok(Frame::Close(Some(frame)))) if u16::from(frame.code) == 3000));
    assert!(peer.next().await.is_none());
    let closed = closed(&mut port).await;
    assert_eq!((closed.code, closed.was_clean), (3000, true));
    let report = running.await.unwrap();
    assert_eq!((report.outcome, report.code), (Outcome::Ok, 3000));
    assert_eq!(
        (report.messages_received, report.messages_sent, report.bytes_sent),
        (1, 1, 11)
    );
    assert_eq!(port.unsent_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_pinged_and_then_disconnected() {
    let limits = Limits::default().idle_timeout(Duration::from_secs(60));
    let (mut port, running, mut peer) = connected(limits).await;
    let begun = Instant::now();
    // A peer that answers pings stays. tungstenite answers at its next read.
    for _ in 0..3 {
        assert!(matches!(peer.next().await, Some(Ok(Frame::Ping(_)))));
        peer.flush().await.unwrap();
    }
    assert_eq!(begun.elapsed().as_secs(), 90);
    let closed = closed(&mut port).await;
    assert_eq!((closed.code, closed.was_clean), (1006, false));
    assert!(closed.error.unwrap().contains("silent"));
    assert_eq!(begun.elapsed().as_secs(), 150);
    assert_eq!(running.await.unwrap().outcome, Outcome::Canceled);
}

#[tokio::test(start_paused = true)]
async fn an_old_connection_is_closed() {
    let limits = Limits::default()
        .idle_timeout(Duration::from_secs(7_200))
        .lifetime(Duration::from_secs(3_600));
    let (mut port, running, mut peer) = connected(limits).await;
    let begun = Instant::now();
    assert!(matches!(peer.next().await, Some(Ok(Frame::Close(Some(frame)))) if u16::from(frame.code) == 1001));
    assert_eq!(begun.elapsed().as_secs(), 3_600);
    assert!(peer.next().await.is_none());
    assert!(closed(&mut port).await.was_clean);
    assert_eq!(running.await.unwrap().outcome, Outcome::Ok);
}

#[tokio::test(start_paused = true)]
async fn a_close_handshake_times_out() {
    let (mut port, running, peer) = connected(Limits::default()).await;
    let begun = Instant::now();
    port.close(Close::empty());
    let closed = closed(&mut port).await;
    assert_eq!(
        (closed.code, closed.was_clean, begun.elapsed().as_secs()),
        (1006, false, 10)
    );
    drop(peer);
    assert_eq!(running.await.unwrap().code, 1005);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_disconnected() {
    let limits = Limits::default().buffered_bytes_max(1 << 20);
    let (mut port, running, peer) = connected(limits.clone()).await;
    let chunk = Message::Binary(vec![0; 100 << 10].into());
    let full = (0..20).find_map(|_| port.send(chunk.clone()).err());
    assert_eq!(full, Some(SendError::Full(1 << 20)));
    assert!(closed(&mut port).await.error.unwrap().contains("too slowly"));
    running.await.unwrap();
    drop(peer);

    // By time, without filling the buffer.
    let (mut port, running, peer) = connected(limits).await;
    let begun = Instant::now();
    port.send(chunk).unwrap();
    assert!(closed(&mut port).await.error.unwrap().contains("does not read"));
    assert_eq!(begun.elapsed().as_secs(), 30);
    running.await.unwrap();
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_does_not_take_messages_stops_the_reading() {
    let limits = Limits::default().messages_waiting_max(2);
    let (mut port, _running, mut peer) = connected(limits).await;
    let sending = tokio::runtime::Handle::try_current().unwrap().spawn(async move {
        for sent in 0..100 {
            let send = peer.send(Frame::binary(vec![sent; 10 << 10]));
            if tokio::time::timeout(Duration::from_secs(5), send).await.is_err() {
                return (sent, peer);
            }
        }
        panic!("everything was read");
    });
    let (sent, peer) = sending.await.unwrap();
    assert!(sent < 10, "{sent}");
    for expected in 0..sent {
        match receive(&mut port).await {
            Some(Incoming::Message(Message::Binary(bytes))) => assert_eq!(bytes[0], expected),
            other => panic!("{other:?}"),
        }
    }
    drop(peer);
}

#[tokio::test(start_paused = true)]
async fn the_rate_of_messages() {
    let limits = Limits::default().messages_per_second(10);
    let (mut port, _running, mut peer) = connected(limits).await;
    for _ in 0..30 {
        peer.feed(Frame::text("x")).await.unwrap();
    }
    peer.flush().await.unwrap();
    let begun = Instant::now();
    for _ in 0..30 {
        assert!(matches!(receive(&mut port).await, Some(Incoming::Message(_))));
    }
    assert_eq!(begun.elapsed().as_millis() / 100, 20);
}

#[tokio::test]
async fn an_end_from_outside_and_a_dropped_worker() {
    let ending = Ending {
        code: 1012,
        reason: "replaced",
        outcome: Outcome::Ok,
    };
    let (mut port, running, mut peer) = connected_until(Limits::default(), async move { ending }).await;
    assert!(matches!(peer.next().await, Some(Ok(Frame::Close(Some(frame)))) if u16::from(frame.code) == 1012));
    assert!(peer.next().await.is_none());
    assert!(closed(&mut port).await.was_clean);
    assert_eq!(running.await.unwrap().code, 1012);

    let (port, running, mut peer) = connected(Limits::default()).await;
    drop(port);
    assert!(matches!(peer.next().await, Some(Ok(Frame::Close(Some(frame)))) if u16::from(frame.code) == 1011));
    assert!(peer.next().await.is_none());
    assert_eq!(running.await.unwrap().outcome, Outcome::WorkerLost);
}

#[test]
fn a_wire_that_never_ran_is_a_lost_connection() {
    let (mut port, wire) = pair(&Limits::default(), Hooks::default());
    drop(wire);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let Poll::Ready(Some(Incoming::Closed(closed))) = port.poll_receive(&mut cx) else {
        panic!("no end");
    };
    assert_eq!(closed.code, 1006);
    assert!(matches!(port.poll_receive(&mut cx), Poll::Ready(None)));
}
