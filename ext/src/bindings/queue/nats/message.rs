//! Messages of NATS: the body, and headers for the other fields.
//!
//! A message without these headers, of another program, has the content type `bytes`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_nats::{HeaderMap, Request};

use super::super::store::{ContentType, QueueBody, QueueMessage};
use super::names::{read, written};
use crate::storage::now_ms;

const ID: &str = "Isopod-Id";
const SENT: &str = "Isopod-Sent";
const FORM: &str = "Isopod-Content-Type";
/// The number of attempts before the message was stored again.
const ATTEMPTS: &str = "Isopod-Attempts";

/// Headers of JetStream: <https://docs.nats.io/nats-concepts/jetstream/headers>.
const DEDUPLICATION: &str = "Nats-Msg-Id";
const LAST_OF_SUBJECT: &str = "Nats-Expected-Last-Subject-Sequence";
const SCHEDULE: &str = "Nats-Schedule";
const SCHEDULE_TARGET: &str = "Nats-Schedule-Target";
const BATCH: &str = "Nats-Batch-Id";
const BATCH_PLACE: &str = "Nats-Batch-Sequence";
const BATCH_COMMIT: &str = "Nats-Batch-Commit";

/// A message to be sent to the server.
pub(super) struct Parcel {
    headers: HeaderMap,
    body: bytes::Bytes,
}

impl Parcel {
    /// Creates a message with its number of attempts.
    pub(super) fn new(message: &QueueMessage, attempts: u32) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(ID, written(&message.id));
        headers.insert(SENT, message.sent_ms.to_string());
        headers.insert(FORM, message.body.content_type.as_str());
        if attempts > 0 {
            headers.insert(ATTEMPTS, attempts.to_string());
        }
        let body = message.body.bytes.clone();
        Self { headers, body }
    }

    /// Deduplicates by an id, for the time that the stream remembers it.
    pub(super) fn once(mut self, id: &str) -> Self {
        self.headers.insert(DEDUPLICATION, written(id));
        self
    }

    /// Makes the server store the message only if there is none with its subject.
    pub(super) fn alone(mut self) -> Self {
        self.headers.insert(LAST_OF_SUBJECT, "0");
        self
    }

    /// Schedules the message for `subject` at a time in milliseconds since the Unix epoch.
    pub(super) fn later(mut self, due_ms: u64, subject: &str) -> Self {
        let time = UNIX_EPOCH + Duration::from_millis(due_ms);
        self.headers
            .insert(SCHEDULE, format!("@at {}", humantime::format_rfc3339_millis(time)));
        self.headers.insert(SCHEDULE_TARGET, subject);
        self
    }

    /// Adds the message to an atomic batch, at this position from 1.
    pub(super) fn in_batch(mut self, batch: &str, place: usize, is_last: bool) -> Self {
        self.headers.insert(BATCH, batch);
        self.headers.insert(BATCH_PLACE, place.to_string());
        if is_last {
            self.headers.insert(BATCH_COMMIT, "1");
        }
        self
    }

    pub(super) fn into_parts(self) -> (HeaderMap, bytes::Bytes) {
        (self.headers, self.body)
    }

    pub(super) fn into_request(self) -> Request {
        Request::new().headers(self.headers).payload(self.body)
    }
}

/// A received message.
pub(super) struct Found {
    pub(super) message: QueueMessage,
    /// The number of attempts before it was stored.
    pub(super) attempts: u32,
    /// The time at which it is due, in milliseconds since the Unix epoch, if it is delayed.
    pub(super) due_ms: Option<u64>,
}

impl Found {
    /// Creates the message from its headers, its body and its number in the stream.
    pub(super) fn new(headers: Option<&HeaderMap>, body: bytes::Bytes, number: u64) -> Self {
        let header = |name: &str| {
            headers
                .and_then(|headers| headers.get(name))
                .map(|value| value.as_str())
        };
        let id = header(ID).map_or_else(|| format!("{number:032x}"), read);
        let sent = header(SENT).and_then(|sent| sent.parse().ok());
        let form = header(FORM).and_then(ContentType::named);
        let due = header(SCHEDULE).and_then(|schedule| schedule.strip_prefix("@at "));
        Self {
            message: QueueMessage::again(
                id,
                sent.unwrap_or_else(now_ms),
                QueueBody::new(form.unwrap_or(ContentType::Bytes), body),
            ),
            attempts: header(ATTEMPTS)
                .and_then(|attempts| attempts.parse().ok())
                .unwrap_or_default(),
            due_ms: due.and_then(millis),
        }
    }
}

/// Converts a time of RFC 3339 to milliseconds since the Unix epoch.
pub(super) fn millis(time: &str) -> Option<u64> {
    let time: SystemTime = humantime::parse_rfc3339(time).ok()?;
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_received_message_equals_the_sent_one() {
        let message = QueueMessage::again("an id\r\nwith lines", 7, QueueBody::text("ä"));
        let parcel = Parcel::new(&message, 3).once("x").later(1_500, "a.b");
        let (headers, body) = parcel.into_parts();
        let found = Found::new(Some(&headers), body, 1);
        assert_eq!((found.message, found.attempts, found.due_ms), (message, 3, Some(1_500)));
    }

    #[test]
    fn a_message_of_another_program_is_bytes() {
        let found = Found::new(None, "x".into(), 26);
        assert_eq!(found.message.id, "0000000000000000000000000000001a");
        assert_eq!(found.message.body, QueueBody::bytes("x"));
        assert_eq!((found.attempts, found.due_ms), (0, None));
    }
}
