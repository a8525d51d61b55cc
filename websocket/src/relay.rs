//! Connections across two processes, with the worker's [`Port`] in one and the byte stream's [`Wire`] in the other.
//!
//! Each process has a pair. In the worker's process, [`Wire::relay`] turns the worker's messages into [`Relayed`] messages
//! instead of running the wire. In the other process, the [`Far`] end does this for the port of its pair, whose wire is run.
//! Backpressure is the transport's flow control.

use std::{
    future::{pending, poll_fn},
    pin::pin,
    sync::{Arc, OnceLock},
};

use bytes::{Bytes, BytesMut};
use isopod_outcome::Outcome;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use tokio_util::sync::PollSemaphore;

use crate::{
    end::Guard,
    limits::Limits,
    message::{Close, Closed, Message, REASON_BYTES_MAX},
    pair::{Hooks, Port, Received, Sent, Wire, pair},
};

/// Maximum size of a relayed part of a message.
const PART_BYTES: usize = 64 << 10;

/// Number of unsent bytes above which no more are taken from the transport.
const UNSENT_BYTES: usize = 64 << 10;

/// Maximum size of the text of an error.
const ERROR_BYTES_MAX: usize = 1 << 10;

/// A message between the two sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Relayed {
    /// A part of a message that is not its last.
    Part(ByteBuf),
    /// The last part of a text message.
    Text(ByteBuf),
    /// The last part of a binary message.
    Binary(ByteBuf),
    /// The worker closes the connection.
    Close(Option<(u16, String)>),
    /// The worker exceeded its room. Derived from the end of the transport.
    Full,
    /// The worker's end was dropped without a close, for this reason.
    Gone(Option<Outcome>),
    /// The connection has ended. The last message to the worker.
    Closed {
        /// As in [`Closed`].
        code: u16,
        /// As in [`Closed`].
        reason: String,
        /// As in [`Closed`].
        was_clean: bool,
        /// As in [`Closed`].
        error: Option<String>,
    },
}

/// The transport to the other side.
pub trait SendTo {
    /// Sends a message once there is room. Returns false if the other side is gone.
    fn send(&mut self, message: Relayed) -> impl Future<Output = bool> + Send;
}

/// The transport from the other side.
pub trait ReceiveFrom {
    /// Waits for the next message; cancel-safe. `None` at the end, or after invalid data.
    fn receive(&mut self) -> impl Future<Output = Option<Relayed>> + Send;
}

/// The end of the relay of a near wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relay {
    /// Both sides know that the connection has ended.
    Ended,
    /// The worker exceeded its room. There is no room for a message either, so the end of the transport becomes
    /// [`Relayed::Full`] on the other side.
    Full,
}

/// Assembles a side's messages from their parts.
struct Whole {
    parts: BytesMut,
    bytes_max: usize,
}

impl Whole {
    fn add(&mut self, part: &[u8]) -> Result<(), TooLarge> {
        if self.parts.len().saturating_add(part.len()) > self.bytes_max {
            return Err(TooLarge);
        }
        self.parts.extend_from_slice(part);
        Ok(())
    }

    fn end(&mut self, part: ByteBuf) -> Result<Bytes, TooLarge> {
        if self.parts.is_empty() && part.len() <= self.bytes_max {
            return Ok(part.into_vec().into());
        }
        self.add(&part)?;
        Ok(self.parts.split().freeze())
    }
}

/// A message exceeds the maximum size.
struct TooLarge;

/// Sends a message in parts.
async fn send_message(to: &mut (impl SendTo + Send), message: Message) -> bool {
    let (is_text, mut bytes) = match message {
        Message::Text(text) => (true, Bytes::from(text)),
        Message::Binary(bytes) => (false, bytes),
    };
    while bytes.len() > PART_BYTES {
        let part = bytes.split_to(PART_BYTES);
        if !to.send(Relayed::Part(ByteBuf::from(&part[..]))).await {
            return false;
        }
    }
    let rest = ByteBuf::from(&bytes[..]);
    to.send(match is_text {
        true => Relayed::Text(rest),
        false => Relayed::Binary(rest),
    })
    .await
}

impl Wire {
    /// Relays the worker's messages until the connection has ended. Dropping the future ends it.
    pub async fn relay(mut self, mut to: impl SendTo + Send, mut from: impl ReceiveFrom + Send) -> Relay {
        let mut guard = self.guard.take();
        let end = self.relay_on(&mut guard, &mut to, &mut from).await;
        self.tell(Closed::lost(match end {
            Relay::Ended => None,
            Relay::Full => Some("the peer reads too slowly".to_owned()),
        }));
        if let Some(guard) = guard {
            guard.ended();
        }
        end
    }

    async fn relay_on(
        &mut self,
        guard: &mut Option<Box<dyn Guard>>,
        to: &mut (impl SendTo + Send),
        from: &mut (impl ReceiveFrom + Send),
    ) -> Relay {
        // The two directions use different channels, so that they proceed concurrently.
        let (room, received, room_bytes) = (self.room.clone(), self.received.clone(), self.room_bytes);
        let keep = self.hooks.keep.take();
        let bytes_max = self.limits.message_bytes_max;
        let close_timeout = self.limits.close_timeout;
        let overflow = self.overflow.clone();
        let mut closed = None;
        let receiving = async {
            let mut room = PollSemaphore::new(room);
            let mut whole = Whole {
                parts: BytesMut::new(),
                bytes_max,
            };
            while let Some(relayed) = from.receive().await {
                let message = match relayed {
                    Relayed::Part(part) => match whole.add(&part) {
                        Ok(()) => continue,
                        Err(TooLarge) => return,
                    },
                    Relayed::Text(part) => whole.end(part).ok().and_then(|bytes| Message::text(bytes).ok()),
                    Relayed::Binary(part) => whole.end(part).ok().map(Message::Binary),
                    Relayed::Closed {
                        code,
                        mut reason,
                        was_clean,
                        mut error,
                    } => {
                        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
                        if let Some(error) = &mut error {
                            error.truncate(error.floor_char_boundary(ERROR_BYTES_MAX));
                        }
                        closed = Some(Closed {
                            code,
                            reason,
                            was_clean,
                            error,
                        });
                        return;
                    }
                    Relayed::Close(_) | Relayed::Full | Relayed::Gone(_) => return,
                };
                let Some(message) = message else { return };
                let bytes = u32::try_from(message.len()).unwrap_or(u32::MAX).clamp(1, room_bytes);
                let Some(permit) = poll_fn(|cx| room.poll_acquire_many(cx, bytes)).await else {
                    return;
                };
                let message = match &keep {
                    Some(keep) => message.kept(keep),
                    None => message,
                };
                if received.send(Received::Message(message, permit)).await.is_err() {
                    // The worker is gone, which the other direction handles.
                    return pending().await;
                }
            }
        };
        let sending = async {
            loop {
                let ending = async {
                    match guard {
                        Some(guard) => poll_fn(|cx| guard.poll_end(cx)).await,
                        None => pending().await,
                    }
                };
                let sent = tokio::select! {
                    biased;
                    () = overflow.cancelled() => return Relay::Full,
                    ending = ending => {
                        // The guard is not polled again, and is notified of the end below.
                        to.send(Relayed::Close(Some((ending.code, ending.reason.to_owned())))).await;
                        break;
                    }
                    sent = self.sent.recv() => sent,
                };
                match sent {
                    Some(Sent::Message(message)) => {
                        let bytes = message.len();
                        tokio::select! {
                            biased;
                            () = overflow.cancelled() => return Relay::Full,
                            sent = send_message(to, message) => if !sent { return Relay::Ended },
                        }
                        self.has_sent(bytes);
                    }
                    Some(Sent::Close(close)) => {
                        to.send(Relayed::Close(close.into_parts())).await;
                        break;
                    }
                    None => {
                        let why = self.hooks.why.as_ref().and_then(|why| why());
                        to.send(Relayed::Gone(why)).await;
                        break;
                    }
                }
            }
            // The other side runs the close handshake and reports its end.
            tokio::time::sleep(close_timeout.saturating_mul(2)).await;
            Relay::Ended
        };
        let end = {
            let (mut receiving, mut sending) = (pin!(receiving), pin!(sending));
            tokio::select! {
                biased;
                () = &mut receiving => Relay::Ended,
                end = &mut sending => end,
            }
        };
        if let Some(closed) = closed {
            self.tell(closed);
        }
        end
    }
}

/// The relay's end in the byte stream's process.
pub struct Far {
    port: Port,
    why: Arc<OnceLock<Outcome>>,
}

/// Creates the relay's end and the wire to be run. `why` returns the reason for the loss of the other side, once known.
#[must_use]
pub fn far(limits: &Limits, why: Arc<OnceLock<Outcome>>) -> (Far, Wire) {
    let known = why.clone();
    let hooks = Hooks {
        keep: None,
        why: Some(Box::new(move || known.get().copied())),
    };
    let (port, wire) = pair(limits, hooks);
    (Far { port, why }, wire)
}

impl Far {
    /// Relays until the connection has ended, or the other side is lost. Dropping the future ends the connection.
    pub async fn relay(self, mut to: impl SendTo + Send, mut from: impl ReceiveFrom + Send) {
        let Self { mut port, why } = self;
        let mut received = port.take_receiver();
        let to_worker = async {
            while let Some(received) = received.recv().await {
                match received {
                    // Its share of the memory is released once it is sent.
                    Received::Message(message, _room) => {
                        if !send_message(&mut to, message).await {
                            return;
                        }
                    }
                    Received::Closed(closed) => {
                        let Closed {
                            code,
                            reason,
                            was_clean,
                            error,
                        } = closed;
                        to.send(Relayed::Closed {
                            code,
                            reason,
                            was_clean,
                            error,
                        })
                        .await;
                        return;
                    }
                }
            }
        };
        let from_worker = async {
            let bytes_max = port.buffered_bytes_max();
            let mut whole = Whole {
                parts: BytesMut::new(),
                bytes_max,
            };
            loop {
                let message = match from.receive().await {
                    Some(Relayed::Part(part)) => match whole.add(&part) {
                        Ok(()) => continue,
                        Err(TooLarge) => return,
                    },
                    Some(Relayed::Text(part)) => whole.end(part).ok().and_then(|bytes| Message::text(bytes).ok()),
                    Some(Relayed::Binary(part)) => whole.end(part).ok().map(Message::Binary),
                    Some(Relayed::Close(close)) => {
                        let (code, reason) = close.map_or((None, String::new()), |(code, reason)| (Some(code), reason));
                        let Ok(close) = Close::of_application(code, &reason) else {
                            return;
                        };
                        port.close(close);
                        return pending().await;
                    }
                    Some(Relayed::Full) => {
                        port.overflow();
                        return pending().await;
                    }
                    Some(Relayed::Gone(outcome)) => {
                        if let Some(outcome) = outcome {
                            // Set once.
                            let _ = why.set(outcome);
                        }
                        return;
                    }
                    Some(Relayed::Closed { .. }) | None => return,
                };
                let Some(message) = message else { return };
                port.has_room(bytes_max.saturating_sub(message.len()).clamp(1, UNSENT_BYTES))
                    .await;
                // The other direction reports the end of a closed connection.
                let _ = port.send(message);
            }
        };
        let (mut to_worker, mut from_worker) = (pin!(to_worker), pin!(from_worker));
        tokio::select! {
            biased;
            () = &mut to_worker => {}
            () = &mut from_worker => {}
        }
    }
}

#[cfg(test)]
mod tests;
