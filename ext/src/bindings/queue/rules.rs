//! The limits of the platform: <https://developers.cloudflare.com/queues/platform/limits/>.

use std::time::Duration;

use super::store::QueueMessage;

/// Maximum length of a message in bytes.
pub const MESSAGE_BYTES: usize = 128_000;
/// Maximum number of messages in a batch, sent or delivered.
pub const BATCH_COUNT: usize = 100;
/// Maximum length of all messages that are sent in a batch, in bytes.
pub const BATCH_BYTES: usize = 256_000;
/// Maximum delay until a message is delivered, or delivered again.
pub const DELAY: Duration = Duration::from_secs(86_400);

/// A violation of a limit of queues.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueFault {
    /// The message is too long.
    #[error("message length of {0} bytes exceeds limit of {MESSAGE_BYTES}")]
    MessageBytes(usize),
    /// A message of a batch is too long.
    #[error("message in batch has length {0} bytes which exceeds single message size limit of {MESSAGE_BYTES}")]
    BatchMessageBytes(usize),
    /// There are too many messages.
    #[error("batch message count of {0} exceeds limit of {BATCH_COUNT}")]
    BatchCount(usize),
    /// The messages are too long in total.
    #[error("batch size of {0} bytes exceeds limit of {BATCH_BYTES}")]
    BatchBytes(usize),
    /// The delay is negative or too long.
    #[error("message delay {0} is invalid: it must be 0 to {max} seconds", max = DELAY.as_secs())]
    Delay(i64),
}

/// Checks messages that are sent together.
///
/// # Errors
/// A message exceeds 128,000 bytes, all together exceed 256,000, or there are more than 100.
pub fn check_messages(messages: &[QueueMessage]) -> Result<(), QueueFault> {
    let lengths = messages.iter().map(|message| message.body.bytes.len());
    match (lengths.clone().max().unwrap_or_default(), lengths.sum()) {
        _ if messages.len() > BATCH_COUNT => Err(QueueFault::BatchCount(messages.len())),
        (longest, _) if longest > MESSAGE_BYTES && messages.len() == 1 => Err(QueueFault::MessageBytes(longest)),
        (longest, _) if longest > MESSAGE_BYTES => Err(QueueFault::BatchMessageBytes(longest)),
        (_, total) if total > BATCH_BYTES => Err(QueueFault::BatchBytes(total)),
        _ => Ok(()),
    }
}

/// Checks a delay in seconds.
///
/// # Errors
/// It is negative, or longer than 86,400.
pub fn check_delay(seconds: i64) -> Result<Duration, QueueFault> {
    let delay = u64::try_from(seconds).map(Duration::from_secs).ok();
    delay.filter(|delay| *delay <= DELAY).ok_or(QueueFault::Delay(seconds))
}

#[cfg(test)]
mod tests {
    use super::super::store::QueueBody;
    use super::*;

    fn messages(count: usize, bytes: usize) -> Vec<QueueMessage> {
        (0..count)
            .map(|_| QueueMessage::new(QueueBody::bytes(vec![0; bytes])))
            .collect()
    }

    #[test]
    fn messages_and_batches_are_limited() {
        assert_eq!(check_messages(&messages(1, 128_000)), Ok(()));
        assert_eq!(check_messages(&messages(100, 2_560)), Ok(()));
        let refused = |count, bytes| check_messages(&messages(count, bytes)).unwrap_err();
        assert_eq!(refused(1, 128_001), QueueFault::MessageBytes(128_001));
        assert_eq!(refused(2, 128_001), QueueFault::BatchMessageBytes(128_001));
        assert_eq!(refused(101, 1), QueueFault::BatchCount(101));
        assert_eq!(refused(100, 2_561), QueueFault::BatchBytes(256_100));
    }

    #[test]
    fn delays_are_a_day_at_most() {
        assert_eq!(check_delay(86_400), Ok(DELAY));
        assert_eq!(check_delay(0), Ok(Duration::ZERO));
        assert_eq!(check_delay(86_401), Err(QueueFault::Delay(86_401)));
        assert_eq!(check_delay(-1), Err(QueueFault::Delay(-1)));
    }
}
