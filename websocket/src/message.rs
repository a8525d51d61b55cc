//! Messages and close frames.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::{
    Message as Frame, Utf8Bytes,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// Maximum size of a close reason, in bytes (RFC 6455, section 5.5): a control frame less the code.
pub const REASON_BYTES_MAX: usize = 123;

/// A data message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(Text),
    /// Bytes.
    Binary(Bytes),
}

/// Text in memory that can be shared.
type Text = Utf8Bytes;

impl Message {
    /// Creates a text message of bytes.
    ///
    /// # Errors
    ///
    /// The bytes are not UTF-8.
    pub fn text(bytes: Bytes) -> Result<Self, std::str::Utf8Error> {
        Ok(Self::Text(Text::try_from(bytes)?))
    }

    /// Passes its bytes through a function that does not change them.
    pub(crate) fn kept(self, keep: &dyn Fn(Bytes) -> Bytes) -> Self {
        match self {
            Self::Binary(bytes) => Self::Binary(keep(bytes)),
            Self::Text(text) => match Text::try_from(keep(Bytes::from(text.clone()))) {
                Ok(kept) => Self::Text(kept),
                Err(_) => Self::Text(text),
            },
        }
    }

    /// Returns the size in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Returns whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Message> for Frame {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::Text(text),
            Message::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

/// A close frame: a code and a reason, or neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Close(Option<(u16, String)>);

/// A close frame that a worker may not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidClose {
    /// The code is reserved.
    #[error(
        "the close code must be one that an application may send (1000 to 1003, 1007 to 1014, 3000 to 4999), not {0}"
    )]
    Code(u16),
    /// The reason is too long.
    #[error("the close reason must not be longer than {REASON_BYTES_MAX} bytes in UTF-8")]
    Reason,
    /// There is a reason without a code.
    #[error("a close reason needs a close code")]
    NoCode,
}

impl Close {
    /// Returns a close frame without a code.
    #[must_use]
    pub const fn empty() -> Self {
        Self(None)
    }

    /// Returns a close frame with a code that may be sent (RFC 6455, section 7.4, and its registry). Clients on the web
    /// platform may send only 1000 and codes from 3000.
    ///
    /// # Errors
    ///
    /// The code or the reason is invalid.
    pub fn of_application(code: Option<u16>, reason: &str) -> Result<Self, InvalidClose> {
        if reason.len() > REASON_BYTES_MAX {
            return Err(InvalidClose::Reason);
        }
        match code {
            None if reason.is_empty() => Ok(Self(None)),
            None => Err(InvalidClose::NoCode),
            Some(code @ (1000..=1003 | 1007..=1014 | 3000..=4999)) => Ok(Self(Some((code, reason.to_owned())))),
            Some(code) => Err(InvalidClose::Code(code)),
        }
    }

    /// Returns a close frame for a reason of the protocol.
    pub(crate) fn of_protocol(code: u16, reason: &str) -> Self {
        Self(Some((code, reason.chars().take(REASON_BYTES_MAX / 4).collect())))
    }

    /// Returns the code and the reason, if any.
    pub(crate) fn into_parts(self) -> Option<(u16, String)> {
        self.0
    }

    /// Returns the code, 1005 if there is none.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.0.as_ref().map_or(1005, |(code, _)| *code)
    }

    /// Returns the reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.0.as_ref().map_or("", |(_, reason)| reason)
    }
}

impl From<Option<CloseFrame>> for Close {
    fn from(frame: Option<CloseFrame>) -> Self {
        Self(frame.map(|frame| (frame.code.into(), frame.reason.as_str().to_owned())))
    }
}

impl From<Close> for Option<CloseFrame> {
    fn from(close: Close) -> Self {
        close.0.map(|(code, reason)| CloseFrame {
            code: CloseCode::from(code),
            reason: reason.into(),
        })
    }
}

/// The end of a connection, for the worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The peer's code; 1005 without one, 1006 if the connection was lost.
    pub code: u16,
    /// The peer's reason.
    pub reason: String,
    /// True if the close handshake was completed.
    pub was_clean: bool,
    /// The failure that ended the connection, if any.
    pub error: Option<String>,
}

impl Closed {
    /// Returns the end by a close frame of the peer.
    pub(crate) fn cleanly(close: &Close) -> Self {
        Self {
            code: close.code(),
            reason: close.reason().to_owned(),
            was_clean: true,
            error: None,
        }
    }

    /// Returns the end by a lost connection.
    pub(crate) fn lost(error: Option<String>) -> Self {
        Self {
            code: 1006,
            reason: String::new(),
            was_clean: false,
            error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
    #[test]
    fn application_close_codes() {
        for code in [1000, 1001, 1011, 1014, 3000, 4999] {
            assert_eq!(Close::of_application(Some(code), "bye").unwrap().code(), code);
        }
        for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, u16::MAX] {
            assert_eq!(Close::of_application(Some(code), ""), Err(InvalidClose::Code(code)));
        }
        assert_eq!(Close::of_application(None, ""), Ok(Close::empty()));
        assert_eq!(Close::of_application(None, "why"), Err(InvalidClose::NoCode));
    }

    #[test]
    fn reasons_are_measured_in_bytes() {
        assert!(Close::of_application(Some(1000), &"x".repeat(123)).is_ok());
        assert!(Close::of_application(Some(1000), &"é".repeat(61)).is_ok());
        assert_eq!(
            Close::of_application(Some(1000), &"é".repeat(62)),
            Err(InvalidClose::Reason)
        );
    }
}
