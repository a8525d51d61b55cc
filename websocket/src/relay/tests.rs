use std::time::Duration;

use futures::{SinkExt, StreamExt};
use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc,
    task::JoinHandle,
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message as Frame};

use super::*;
use crate::{Incoming, Report, Role};

struct To(mpsc::Sender<Relayed>);
struct From(mpsc::Receiver<Relayed>);

impl SendTo for To {
    async fn send(&mut self, message: Relayed) -> bool {
        self.0.send(message).await.is_ok()
    }
}

impl ReceiveFrom for From {
    async fn receive(&mut self) -> Option<Relayed> {
        self.0.recv().await
    }
}

struct Connected {
    /// The worker's end.
    port: Port,
    peer: WebSocketStream<DuplexStream>,
    running: JoinHandle<Report>,
    near: JoinHandle<Relay>,
    far: JoinHandle<()>,
}

fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::runtime::Handle::try_current().unwrap().spawn(task)
}

async fn connected(limits: &Limits) -> Connected {
    let (port, wire) = pair(limits, Hooks::default());
    let (far, outer) = far(limits, Arc::default());
    let ((to_far, of_near), (to_near, of_far)) = (mpsc::channel(1), mpsc::channel(1));
    let (ours, theirs) = duplex(16 << 10);
    Connected {
        port,
        near: spawn(wire.relay(To(to_far), From(of_far))),
        far: spawn(far.relay(To(to_near), From(of_near))),
        running: spawn(outer.run(ours, Bytes::new(), Role::Server, pending())),
        peer: WebSocketStream::from_raw_socket(theirs, Role::Client, None).await,
    }
}

async fn receive(port: &mut Port) -> Option<Incoming> {
    poll_fn(|cx| port.poll_receive(cx)).await
}

fn text(text: &str) -> Message {
    Message::text(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

#[tokio::test]
async fn messages_of_any_size_and_the_close_reach_the_other_side() {
    let mut all = connected(&Limits::default()).await;
    for size in [0, 1, PART_BYTES, PART_BYTES + 1, 900_000] {
        let message = "é".repeat(size / 2);
        all.peer.send(Frame::text(message.clone())).await.unwrap();
        assert!(matches!(receive(&mut all.port).await, Some(Incoming::Message(got)) if got == text(&message)));
        all.port.send(Message::Binary(vec![7; size].into())).unwrap();
        assert_eq!(all.peer.next().await.unwrap().unwrap(), Frame::binary(vec![7; size]));
    }
    all.port.close(Close::of_application(Some(3000), "done").unwrap());
    assert!(matches!(all.peer.next().await, Some(Ok(Frame::Close(Some(frame)))) if u16::from(frame.code) == 3000));
    assert!(all.peer.next().await.is_none());
    let Some(Incoming::Closed(closed)) = receive(&mut all.port).await else {
        panic!("the worker is told of the end")
    };
    assert_eq!((closed.code, closed.was_clean), (3000, true));
    assert_eq!(all.near.await.unwrap(), Relay::Ended);
    all.far.await.unwrap();
    let report = all.running.await.unwrap();
    assert_eq!((report.outcome, report.code), (Outcome::Ok, 3000));
    assert_eq!(all.port.unsent_bytes(), 0);
}

#[tokio::test]
async fn a_close_of_the_peer_reaches_the_worker() {
    let mut all = connected(&Limits::default()).await;
    all.peer.close(None).await.unwrap();
    assert!(matches!(receive(&mut all.port).await, Some(Incoming::Closed(closed)) if closed.was_clean));
    assert_eq!(all.running.await.unwrap().outcome, Outcome::Ok);
}

#[tokio::test]
async fn a_lost_side_ends_the_other() {
    let mut all = connected(&Limits::default()).await;
    all.far.abort();
    assert!(matches!(receive(&mut all.port).await, Some(Incoming::Closed(closed)) if closed.code == 1006));

    let mut all = connected(&Limits::default()).await;
    all.near.abort();
    assert!(matches!(all.peer.next().await, Some(Ok(Frame::Close(Some(frame)))) if u16::from(frame.code) == 1011));
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_disconnected_at_the_workers_limit() {
    let mut all = connected(&Limits::default().buffered_bytes_max(1 << 20)).await;
    let mut sent = 0;
    while all.port.send(Message::Binary(vec![0; 1 << 10].into())).is_ok() {
        sent += 1;
        if sent % 64 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(sent < 8 << 10, "what is on the way is bounded");
    }
    assert!(matches!(receive(&mut all.port).await, Some(Incoming::Closed(closed)) if closed.error.is_some()));
    let end = all.near.await.unwrap();
    assert_eq!(end, Relay::Full);
}

#[tokio::test]
async fn a_worker_that_does_not_read_stops_the_peer() {
    let mut all = connected(&Limits::default().messages_waiting_max(1)).await;
    let mut sent = 0;
    while tokio::time::timeout(
        Duration::from_millis(200),
        all.peer.send(Frame::binary(vec![0; 256 << 10])),
    )
    .await
    .is_ok()
    {
        sent += 1;
        assert!(sent < 64, "what is on the way is bounded");
    }
    // The worker's messages pass meanwhile.
    all.port.send(text("still here")).unwrap();
    assert_eq!(all.peer.next().await.unwrap().unwrap(), Frame::text("still here"));
    assert!(matches!(receive(&mut all.port).await, Some(Incoming::Message(_))));
}

#[tokio::test]
async fn an_invalid_message_ends_the_connection() {
    for wrong in [
        Relayed::Text(ByteBuf::from([0xff])),
        Relayed::Close(Some((1006, String::new()))),
        Relayed::Closed {
            code: 1000,
            reason: String::new(),
            was_clean: true,
            error: None,
        },
    ] {
        let (far, outer) = far(&Limits::default(), Arc::default());
        let ((to_far, of_near), (to_near, _of_far)) = (mpsc::channel(1), mpsc::channel(1));
        let (ours, theirs) = duplex(16 << 10);
        spawn(far.relay(To(to_near), From(of_near)));
        spawn(outer.run(ours, Bytes::new(), Role::Server, pending()));
        let mut peer = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
        to_far.send(wrong).await.unwrap();
        assert!(matches!(peer.next().await, Some(Ok(Frame::Close(Some(frame)))) if u16::from(frame.code) == 1011));
    }
}
