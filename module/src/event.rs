//! Messages of the host's bus, for handlers.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc;

use crate::error::{BoxError, Error};
use crate::link::Link;
use crate::payload::Payload;
use crate::protocol::{Cause, ResultRef, ToHost};
use crate::task::panic_message;

/// A message of the host's bus that is being handled. Clones are handles to the same message.
#[derive(Clone)]
pub struct Event {
    inner: Arc<Inner>,
}

struct Inner {
    link: Arc<Link>,
    received: Received,
}

/// A received message.
pub(crate) struct Received {
    pub(crate) event: u64,
    pub(crate) topic: String,
    pub(crate) source: String,
    pub(crate) depth: u32,
    pub(crate) at_ms: f64,
    pub(crate) payload: Payload,
}

impl Event {
    /// Returns the message's topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.inner.received.topic
    }

    /// Returns the name of its source: `host`, a module or a script.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.inner.received.source
    }

    /// Returns the number of messages that led to it.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.inner.received.depth
    }

    /// Returns the time of its publication.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        let since = Duration::try_from_secs_f64(self.inner.received.at_ms / 1000.0);
        UNIX_EPOCH + since.unwrap_or_default()
    }

    /// Returns its payload.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.inner.received.payload
    }

    /// Returns the result that it announces, if its topic begins with `results`.
    #[must_use]
    pub fn result(&self) -> Option<ResultRef> {
        self.payload().read().ok()
    }

    /// Reads a result.
    ///
    /// # Errors
    /// It has expired, or is unknown.
    pub async fn read(&self, result: &ResultRef) -> Result<Payload, Error> {
        self.inner.link.read(result).await
    }

    /// Publishes a message, one level deeper than this one.
    ///
    /// # Errors
    /// The host refuses it: the module may not publish under this topic, it exceeds a limit of the bus, or there is a cycle.
    pub async fn publish(&self, topic: &str, payload: impl Into<Payload> + Send) -> Result<(), Error> {
        let payload = payload.into();
        let cause = Some(Cause::Event(self.inner.received.event));
        self.inner.link.publish(topic, &payload, cause).await
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("topic", &self.topic())
            .finish_non_exhaustive()
    }
}

/// A handler of messages, and the pattern that selects them.
pub(crate) struct Listener {
    pub(crate) pattern: String,
    pub(crate) handler: Box<dyn Fn(Event) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>,
}

/// Work that has ended and sent its last frame.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    /// The task of this number.
    Task(u64),
    /// The handling of a message.
    Event,
}

/// Handles messages in order, one at a time, until the channel closes.
pub(crate) async fn handle(
    link: Arc<Link>,
    listeners: Vec<Listener>,
    mut received: mpsc::Receiver<Received>,
    ended: mpsc::Sender<Ended>,
) {
    while let Some(received) = received.recv().await {
        let number = received.event;
        let inner = Arc::new(Inner {
            link: Arc::clone(&link),
            received,
        });
        let event = Event { inner };
        let mut error = None;
        for listener in listeners
            .iter()
            .filter(|listener| matches(&listener.pattern, event.topic()))
        {
            if let Err(failed) = call(listener, event.clone()).await {
                tracing::error!(topic = event.topic(), error = failed, "a handler failed");
                error = Some(failed);
            }
        }
        let handled = ToHost::Handled { event: number, error };
        let sent = link.send(&handled, &Payload::Empty).await;
        if sent.is_err() || ended.send(Ended::Event).await.is_err() {
            return;
        }
    }
}

async fn call(listener: &Listener, event: Event) -> Result<(), String> {
    let called = AssertUnwindSafe(async { (listener.handler)(event).await }).catch_unwind();
    match called.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(panic) => Err(format!("the handler panicked: {}", panic_message(&*panic))),
    }
}

/// Returns whether a pattern matches a topic: `*` matches one segment, a final `>` one or more.
fn matches(pattern: &str, topic: &str) -> bool {
    let (mut wanted, mut there) = (pattern.split('.'), topic.split('.'));
    loop {
        match (wanted.next(), there.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) => return true,
            (Some(segment), Some(found)) if segment == "*" || segment == found => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_a_segment_and_a_final_angle_one_or_more() {
        let selected = |pattern: &str| {
            let topics = ["a", "a.b", "a.b.c", "b"];
            topics
                .into_iter()
                .filter(|topic| matches(pattern, topic))
                .collect::<Vec<_>>()
        };
        assert_eq!(selected("a"), ["a"]);
        assert_eq!(selected("a.*"), ["a.b"]);
        assert_eq!(selected("a.>"), ["a.b", "a.b.c"]);
        assert_eq!(selected(">"), ["a", "a.b", "a.b.c", "b"]);
        assert_eq!(selected("*.b"), ["a.b"]);
    }
}
