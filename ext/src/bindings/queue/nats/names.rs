//! The names of a queue on a server.

use std::fmt::Write as _;

/// The names of streams and subjects of a queue.
#[derive(Debug)]
pub(super) struct Names {
    /// The queue's name as a part of subjects.
    pub(super) token: String,
    /// The stream of the messages.
    pub(super) stream: String,
    /// The subject of due messages.
    pub(super) subject: String,
    /// The prefix of the subjects of delayed messages.
    pub(super) later: String,
    /// The prefix of the subjects of messages from other queues, one subject per message.
    pub(super) moved: String,
}

impl Names {
    /// The stream's consumer, which all consumers of the queue share.
    pub(super) const CONSUMER: &'static str = "consumers";

    pub(super) fn new(prefix: &str, queue: &str) -> Self {
        let token = written(queue);
        Self {
            stream: format!("{prefix}_queue_{token}"),
            subject: format!("{prefix}.queue.{token}"),
            later: format!("{prefix}.later.{token}."),
            moved: format!("{prefix}.moved.{token}."),
            token,
        }
    }
}

/// Encodes a text for names of streams and subjects, and for headers: bytes other than ASCII letters, digits, `-` and `_`
/// become `=` and two hexadecimal digits.
pub(super) fn written(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => written.push(char::from(byte)),
            byte => {
                // Writing to a string does not fail.
                let _ = write!(written, "={byte:02x}");
            }
        }
    }
    written
}

/// Decodes an encoded text. Other text stays unchanged.
pub(super) fn read(written: &str) -> String {
    let mut bytes = Vec::with_capacity(written.len());
    let mut rest = written.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after.get(..2).filter(|_| *first == b'=');
        let escaped = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_those_that_a_server_takes() {
        let names = Names::new("shop", "new orders.ä");
        assert_eq!(names.stream, "shop_queue_new=20orders=2e=c3=a4");
        assert_eq!(names.subject, "shop.queue.new=20orders=2e=c3=a4");
        assert_eq!(names.later, "shop.later.new=20orders=2e=c3=a4.");
    }

    proptest! {
        #[test]
        fn a_text_is_decoded_unchanged(text in ".*") {
            prop_assert_eq!(read(&written(&text)), text);
        }
    }
}
