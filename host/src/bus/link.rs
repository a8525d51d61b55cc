//! Links between the buses of several processes: a message published on one is delivered on all.
//!
//! A message is sent as a *frame*: a line of JSON about it, and its payload. A message from another process is not sent again.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::broker::Broker;
use super::error::SubscribeError;
use super::handle::Bus;
use super::message::{Message, Payload, Source};
use super::subscription::{Delivery, SubscribeOptions, Subscription};
use super::topic::Topic;

/// Messages that wait to be sent. Further ones are lost, as described at [`Slow`](super::Slow).
const CAPACITY: usize = 4096;

/// The future of a [`Wire`].
pub type WireFuture = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// The function that is called for each frame of another process.
pub type FrameHandler = Box<dyn Fn(Bytes) + Send + Sync>;

/// A transport on which processes send frames to all others, such as a subject of NATS. A frame arrives at most once.
pub trait Wire: Send + Sync + 'static {
    /// Sends a frame to all processes that [receive](Self::receive). This process may receive it too.
    fn send(&self, frame: Bytes) -> WireFuture;

    /// Resolves once `handler` is called for frames that processes send.
    fn receive(&self, handler: FrameHandler) -> WireFuture;
}

/// An error from linking a bus.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The wire does not receive.
    #[error("cannot hear the buses of other processes: {0}")]
    Wire(String),
    /// The bus cannot be subscribed to.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
}

/// The link of a bus with those of other processes. Dropping it stops sending.
#[must_use = "dropping a link ends it"]
pub struct BusLink {
    _sends: AbortOnDropHandle<()>,
}

impl fmt::Debug for BusLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BusLink(…)")
    }
}

impl Bus {
    /// Links the bus with those of other processes on a wire: a message published on one of them is delivered to the
    /// subscribers of all, with its source and its depth. System events are not sent.
    ///
    /// A task on the runtime of `handle` sends the messages. A message that cannot be sent is logged, and lost for the other
    /// processes. A link does not keep the bus open.
    ///
    /// # Errors
    /// The wire does not receive, or the bus takes no more subscriptions.
    pub async fn link(&self, handle: &Handle, wire: impl Wire) -> Result<BusLink, LinkError> {
        let process: Arc<str> = format!("{:032x}", fastrand::u128(..)).into();
        let subscription = self.subscribe(">", SubscribeOptions::default().capacity(CAPACITY))?;
        let (broker, own) = (Arc::downgrade(self.broker()), Arc::clone(&process));
        let handler = move |frame: Bytes| {
            if let Some(broker) = broker.upgrade() {
                deliver(&broker, &own, &frame);
            }
        };
        wire.receive(Box::new(handler)).await.map_err(LinkError::Wire)?;
        let sends = handle.spawn(send_all(subscription, wire, process));
        Ok(BusLink {
            _sends: AbortOnDropHandle::new(sends),
        })
    }
}

/// Sends the messages of this process until the bus ends.
async fn send_all(mut subscription: Subscription, wire: impl Wire, process: Arc<str>) {
    while let Some(delivery) = subscription.recv().await {
        match delivery {
            Delivery::Message(message) if message.is_remote() || message.topic.is_reserved() => {}
            Delivery::Message(message) => {
                if let Err(error) = wire.send(frame(&message, &process)).await {
                    let topic = &message.topic;
                    tracing::warn!(target: "isopod::events", %topic, "a message was not sent to other processes: {error}");
                }
            }
            Delivery::Lagged(count) => {
                tracing::warn!(target: "isopod::events", count, "messages were not sent to other processes: they are too many");
            }
        }
    }
}

/// Publishes the message of a frame, unless this process sent it.
fn deliver(broker: &Broker, process: &str, frame: &[u8]) {
    let message = match read(frame) {
        Ok((of, _)) if of == process => return,
        Ok((_, message)) => message,
        Err(error) => {
            tracing::warn!(target: "isopod::events", "a message of another process cannot be read: {error}");
            return;
        }
    };
    let topic = message.topic.clone();
    if let Err(error) = broker.publish(message) {
        tracing::warn!(target: "isopod::events", %topic, "a message of another process is refused: {error}");
    }
}

/// The first line of a frame.
#[derive(Serialize, Deserialize)]
struct Head {
    /// The process that published the message.
    process: String,
    source: Source,
    depth: u32,
    /// The topics of the messages that led to it, oldest first, its own last.
    chain: Vec<String>,
    form: Form,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    Empty,
    Json,
    Bytes,
    Cloned,
}

fn frame(message: &Message, process: &str) -> Bytes {
    let (form, payload) = match &message.payload {
        Payload::Empty => (Form::Empty, Bytes::new()),
        Payload::Json(value) => (Form::Json, value.to_string().into()),
        Payload::Bytes(bytes) => (Form::Bytes, bytes.clone()),
        Payload::Cloned(bytes) => (Form::Cloned, bytes.clone()),
    };
    let head = Head {
        process: process.to_owned(),
        source: message.source.clone(),
        depth: message.depth,
        chain: message.chain().iter().map(ToString::to_string).collect(),
        form,
    };
    // Strings and numbers always have a text.
    let head = serde_json::to_vec(&head).unwrap_or_default();
    let mut frame = BytesMut::with_capacity(head.len() + 1 + payload.len());
    frame.put_slice(&head);
    frame.put_u8(b'\n');
    frame.put(payload);
    frame.freeze()
}

/// The process and the message of a frame.
fn read(frame: &[u8]) -> Result<(String, Message), String> {
    let end = frame.iter().position(|byte| *byte == b'\n').ok_or("it has no head")?;
    let (head, payload) = (&frame[..end], &frame[end + 1..]);
    let head: Head = serde_json::from_slice(head).map_err(|error| error.to_string())?;
    let topics = head.chain.iter().map(|topic| topic.parse::<Topic>());
    let mut topics = topics
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    let topic = topics.pop().ok_or("it has no topic")?;
    if topic.is_reserved() {
        return Err(format!("its topic {topic} is the system's"));
    }
    let payload = match head.form {
        Form::Empty => Payload::Empty,
        Form::Json => Payload::Json(serde_json::from_slice(payload).map_err(|error| error.to_string())?),
        Form::Bytes => Payload::Bytes(Bytes::copy_from_slice(payload)),
        Form::Cloned => Payload::Cloned(Bytes::copy_from_slice(payload)),
    };
    let message = Message::new(topic, payload).by(head.source).at_depth(head.depth);
    Ok((head.process, message.remote(topics)))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    /// A wire within one process, which delivers each frame to all.
    #[derive(Clone, Default)]
    struct Loop(Arc<Mutex<Vec<FrameHandler>>>);

    impl Wire for Loop {
        fn send(&self, frame: Bytes) -> WireFuture {
            self.0.lock().unwrap().iter().for_each(|handler| handler(frame.clone()));
            Box::pin(async { Ok(()) })
        }

        fn receive(&self, handler: FrameHandler) -> WireFuture {
            self.0.lock().unwrap().push(handler);
            Box::pin(async { Ok(()) })
        }
    }

    fn message(topic: &str, payload: impl Into<Payload>) -> Message {
        Message::new(topic.parse().unwrap(), payload)
    }

    fn next(subscription: &mut Subscription) -> Arc<Message> {
        match subscription.recv_timeout(Duration::from_secs(10)) {
            Some(Delivery::Message(message)) => message,
            other => panic!("no message: {other:?}"),
        }
    }

    #[test]
    fn a_message_reaches_all_buses_once_with_its_source_and_depth() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        let wire = Loop::default();
        let buses = [(); 3].map(|()| Bus::new());
        let links = buses.each_ref().map(|bus| {
            let linked = bus.link(runtime.handle(), wire.clone());
            futures::executor::block_on(linked).unwrap()
        });
        let mut subscriptions = buses
            .each_ref()
            .map(|bus| bus.subscribe("orders.>", SubscribeOptions::default()).unwrap());
        let cause = message("orders.new", ());
        let sent = message("orders.paid", json!({ "id": 7 })).by(Source::worker("shop"));
        buses[1].publish(sent.caused_by(&cause)).unwrap();
        buses[1].publish(message("orders.end", Bytes::from("x\ny"))).unwrap();
        for subscription in &mut subscriptions {
            let first = next(subscription);
            assert_eq!((first.source.clone(), first.depth), (Source::worker("shop"), 1));
            assert_eq!(first.payload, json!({ "id": 7 }).into());
            assert_eq!(
                first.chain().iter().map(Topic::as_str).collect::<Vec<_>>(),
                ["orders.new", "orders.paid"]
            );
            // The second message is next, so nothing was delivered twice.
            assert_eq!(next(subscription).payload, Bytes::from("x\ny").into());
        }
        drop(links);
    }

    #[test]
    fn an_invalid_frame_is_reported() {
        for (frame, part) in [("", "no head"), ("{}\n", "missing field"), ("x\n", "expected value")] {
            let error = read(frame.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let mut system = message("isopod.x", ());
        system.depth = 1;
        assert!(read(&frame(&system, "p")).unwrap_err().contains("the system's"));
    }
}
