//! A batch of messages as the input of a `queue` handler, and the handler's decision about it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rules::DELAY;
use super::store::{ContentType, QueueMessage, QueueMetrics};
use crate::handlers::{HandlerInput, Input};
use crate::values::{Arguments, ToJsBuffer};

/// A batch of messages: `queue({ queue, messages, metadata, ackAll, retryAll }, env, ctx)`. Its answer is a [`QueueDecision`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct QueueBatch {
    /// The name of the queue.
    pub queue: String,
    /// The messages, each with the number of its attempts, from 1.
    pub messages: Vec<(QueueMessage, u32)>,
    /// The backlog that the script sees. Default: none.
    pub metrics: QueueMetrics,
}

impl QueueBatch {
    /// Creates a batch of messages of this queue, each with the number of its attempts, from 1.
    pub fn new(queue: impl Into<String>, messages: impl IntoIterator<Item = (QueueMessage, u32)>) -> Self {
        Self {
            queue: queue.into(),
            messages: messages.into_iter().collect(),
            metrics: QueueMetrics::default(),
        }
    }
}

isopod_outcome::setters!(QueueBatch { metrics: QueueMetrics });

/// A message for the script. It has either `text` or `bytes`.
#[derive(Serialize)]
struct Given {
    id: String,
    timestamp: f64,
    attempts: u32,
    form: &'static str,
    text: Option<String>,
    bytes: Option<ToJsBuffer>,
}

impl Given {
    #[expect(clippy::cast_precision_loss, reason = "a time in milliseconds")]
    fn new((message, attempts): (QueueMessage, u32)) -> Self {
        let QueueMessage { id, sent_ms, body } = message;
        let form = body.content_type;
        let (text, bytes) = match form {
            ContentType::Text | ContentType::Json => (Some(String::from_utf8_lossy(&body.bytes).into_owned()), None),
            ContentType::Bytes | ContentType::V8 => (None, Some(body.bytes.to_vec().into())),
        };
        Self {
            id,
            timestamp: sent_ms as f64,
            attempts,
            form: form.as_str(),
            text,
            bytes,
        }
    }
}

impl HandlerInput for QueueBatch {
    const HANDLER: &'static str = "queue";
    const SCRIPT: Option<&'static str> = Some("ext:isopod_queue/consumer.js");

    fn into_input(self) -> Input {
        let QueueMetrics {
            count,
            bytes,
            oldest_ms,
        } = self.metrics;
        let messages: Vec<_> = self.messages.into_iter().map(Given::new).collect();
        let arguments = Arguments::new().value(self.queue).value(messages);
        Input::from_arguments(arguments.value([count, bytes, oldest_ms.unwrap_or_default()].map(to_f64)))
    }
}

#[expect(clippy::cast_precision_loss, reason = "numbers of the script's")]
fn to_f64(number: u64) -> f64 {
    number as f64
}

/// The decision of a `queue` handler about its batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct QueueDecision {
    /// The decisions about single messages, by position in the batch.
    each: Vec<(u32, Choice)>,
    /// The decision about all other messages.
    all: Option<Choice>,
    /// The error of the handler, or of a promise passed to `waitUntil`.
    pub error: Option<String>,
}

/// `ack`, or `retry` with the delay in seconds that the script gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Choice {
    Ack,
    Retry(Option<i32>),
}

/// The decision about a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// It was handled.
    Ack,
    /// It is delivered again, after the script's delay, if any.
    Retry(Option<Duration>),
}

impl QueueDecision {
    /// Returns the decision about the message at this position. By default it is acknowledged, unless the handler failed.
    #[must_use]
    pub fn about(&self, place: usize) -> Decision {
        let one = self.each.iter().find(|(at, _)| usize::try_from(*at) == Ok(place));
        match (one.map(|(_, choice)| choice).or(self.all.as_ref()), &self.error) {
            (Some(Choice::Ack), _) | (None, None) => Decision::Ack,
            (Some(Choice::Retry(delay)), _) => Decision::Retry(delay.map(delay_of)),
            (None, Some(_)) => Decision::Retry(None),
        }
    }
}

/// Limits a script's delay to the permitted range.
fn delay_of(seconds: i32) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default()).min(DELAY)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decided(json: serde_json::Value) -> QueueDecision {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn undecided_messages_are_acknowledged_unless_the_handler_failed() {
        assert_eq!(decided(json!({})).about(0), Decision::Ack);
        assert_eq!(decided(json!({ "error": "no" })).about(0), Decision::Retry(None));
    }

    #[test]
    fn a_message_s_decision_overrides_the_batch_s() {
        let decision =
            decided(json!({ "each": [[1, "ack"], [2, { "retry": 7 }]], "all": { "retry": null }, "error": "no" }));
        assert_eq!(decision.about(0), Decision::Retry(None));
        assert_eq!(decision.about(1), Decision::Ack);
        assert_eq!(decision.about(2), Decision::Retry(Some(Duration::from_secs(7))));
    }

    #[test]
    fn a_delay_is_between_nothing_and_a_day() {
        let decision = decided(json!({ "each": [[0, { "retry": -5 }], [1, { "retry": 2_000_000 }]] }));
        assert_eq!(decision.about(0), Decision::Retry(Some(Duration::ZERO)));
        assert_eq!(decision.about(1), Decision::Retry(Some(DELAY)));
    }
}
