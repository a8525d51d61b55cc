//! Incoming HTTP/1 data, passed to hyper one message at a time.
//!
//! hyper determines messages and their ends; only the end of a head is searched here. The next head is passed on after the
//! previous response was written. This determines which bytes belong to a body, and any response that hyper writes without a
//! request is its own error response.

use std::io;

use crate::chunks::Chunks;

/// Framing of a request body, as parsed by hyper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// A length in bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// The part of a message to which the next byte belongs.
#[derive(Debug)]
enum Part {
    /// A head, and the state of the search for its end.
    Head(HeadEnd),
    /// A whole head that was passed on, and that hyper has not parsed yet.
    Judged,
    Length(u64),
    Chunks(Chunks),
    /// The next head, which waits until the request has been answered.
    Next,
}

/// Search for the empty line at the end of a head, as lenient as hyper's parser: a line may end with a line feed alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeadEnd {
    Within,
    Line,
    LineCr,
}

/// State of one connection.
#[derive(Debug)]
pub(crate) struct Inbound {
    part: Part,
}

impl Inbound {
    pub(crate) const fn new() -> Self {
        Self {
            part: Part::Head(HeadEnd::Within),
        }
    }

    /// Returns whether the next byte must wait until the response is written. `began` is the framing of the head that was
    /// passed on; `is_answered` says that nothing is left to write.
    pub(crate) fn is_held(&mut self, began: Option<Framing>, is_answered: bool) -> bool {
        match (&self.part, began) {
            (Part::Judged, Some(Framing::Length(0))) => self.part = Part::Next,
            (Part::Judged, Some(Framing::Length(length))) => self.part = Part::Length(length),
            (Part::Judged, Some(Framing::Chunked)) => self.part = Part::Chunks(Chunks::new()),
            // An empty line before the head.
            (Part::Judged, None) => self.part = Part::Head(HeadEnd::Within),
            _ => {}
        }
        if matches!(self.part, Part::Next) && is_answered {
            self.part = Part::Head(HeadEnd::Within);
        }
        matches!(self.part, Part::Next)
    }

    /// Returns the number of these bytes that belong to the current message. The others must be passed again later.
    ///
    /// # Errors
    ///
    /// A chunk is malformed.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.part {
            Part::Head(end) => {
                let Some(len) = end.find(bytes) else {
                    return Ok(bytes.len());
                };
                self.part = Part::Judged;
                Ok(len)
            }
            Part::Length(left) => {
                let len = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= len as u64;
                if *left == 0 {
                    self.part = Part::Next;
                }
                Ok(len)
            }
            Part::Chunks(chunks) => {
                let len = chunks.take(bytes)?;
                if chunks.is_ended() {
                    self.part = Part::Next;
                }
                Ok(len)
            }
            Part::Judged | Part::Next => Ok(0),
        }
    }
}

impl HeadEnd {
    /// Returns the end of the head in these bytes, if present.
    fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut place = 0;
        while place < bytes.len() {
            if *self == Self::Within {
                place += memchr::memchr(b'\n', &bytes[place..])? + 1;
                *self = Self::Line;
                continue;
            }
            *self = match (*self, bytes[place]) {
                (_, b'\n') => return Some(place + 1),
                (Self::Line, b'\r') => Self::LineCr,
                _ => Self::Within,
            };
            place += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Framing, Inbound};

    /// Returns the messages that are passed on, if each head has this framing.
    fn messages(bytes: &[u8], framing: Framing, piece: usize) -> Vec<String> {
        let mut inbound = Inbound::new();
        let (mut messages, mut rest) = (vec![String::new()], bytes);
        while !rest.is_empty() {
            if inbound.is_held(Some(framing), false) {
                messages.push(String::new());
                assert!(!inbound.is_held(None, true));
            }
            let len = inbound.take(&rest[..piece.min(rest.len())]).unwrap();
            let message = messages.last_mut().unwrap();
            message.push_str(std::str::from_utf8(&rest[..len]).unwrap());
            rest = &rest[len..];
        }
        messages
    }

    #[test]
    fn messages_are_passed_one_at_a_time() {
        let none = ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", "GET /b HTTP/1.1\n\n", "x"];
        let sized = ["POST / HTTP/1.1\r\n\r\n\r\n\r\n1", "POST / HTTP/1.1\n\r\n12345"];
        let chunked = ["POST / HTTP/1.1\r\n\r\n2\r\n\n\n\r\n0\r\n\r\n", "POST"];
        for piece in [1, 2, 3, 7, 1000] {
            assert_eq!(messages(none.concat().as_bytes(), Framing::Length(0), piece), none);
            assert_eq!(messages(sized.concat().as_bytes(), Framing::Length(5), piece), sized);
            assert_eq!(messages(chunked.concat().as_bytes(), Framing::Chunked, piece), chunked);
        }
    }

    #[test]
    fn empty_lines_before_a_head_are_part_of_it() {
        let mut inbound = Inbound::new();
        assert_eq!(inbound.take(b"\r\n\r\nGET / HTTP/1.1\r\n\r\n").unwrap(), 4);
        assert!(!inbound.is_held(None, true));
        assert_eq!(inbound.take(b"GET / HTTP/1.1\r\n\r\nGET").unwrap(), 18);
        assert!(inbound.is_held(Some(Framing::Length(0)), false));
        assert!(!inbound.is_held(None, true));
    }
}
