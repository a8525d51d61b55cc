//! Frames: a header of fixed size, a head in JSON, and a body.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::payload::Payload;
use crate::shared::{End, Loan, SharedError};

/// Size of a frame's header: the kind of the body (1 byte), and the lengths of head and body (4 bytes each, big-endian).
pub const HEADER_BYTES: usize = 9;

const EMPTY: u8 = 0;
const JSON: u8 = 1;
const BYTES: u8 = 2;
/// Added to the kind of a body that is in shared memory.
const SHARED: u8 = 2;
const SHARED_JSON: u8 = JSON + SHARED;

/// Maximum sizes in a frame. A larger frame is refused before its bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum size of the head, in bytes. Default: 64 KiB.
    pub head_bytes_max: u32,
    /// Maximum size of the body, in bytes. Default: 8 MiB.
    pub body_bytes_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes_max: 64 << 10,
            body_bytes_max: 8 << 20,
        }
    }
}

/// A received frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame<M> {
    /// Its head.
    pub message: M,
    /// Its body.
    pub body: Payload,
    /// Size of the body on the wire, in bytes.
    pub body_bytes: usize,
}

/// An error from a frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The head is too large.
    #[error("a frame's head has {bytes} bytes, above the limit of {max}; send large values as body")]
    Head {
        /// Its size in bytes.
        bytes: usize,
        /// The maximum.
        max: u32,
    },
    /// The body is too large.
    #[error("a frame's body has {bytes} bytes, above the limit of {max}; send less, or raise `body_bytes_max`")]
    Body {
        /// Its size in bytes.
        bytes: usize,
        /// The maximum.
        max: u32,
    },
    /// The kind of the body is unknown.
    #[error("a frame's first byte is {0}; it must be 0 (no body), 1 (JSON) or 2 (bytes)")]
    Kind(u8),
    /// A frame without a body has bytes in its body.
    #[error("a frame of kind 0 has a body of {0} bytes")]
    Unexpected(usize),
    /// The head is not a message.
    #[error("a frame's head is no message of this protocol: {0}")]
    Message(#[source] serde_json::Error),
    /// The body is not JSON.
    #[error("a frame's body is not JSON: {0}")]
    Json(#[source] serde_json::Error),
    /// The body is not in the shared memory.
    #[error(transparent)]
    Shared(#[from] SharedError),
}

/// Appends a frame to `out`, or nothing if it is not within the limits.
///
/// # Errors
/// The head or the body is too large, or cannot be converted to JSON.
pub fn encode(message: &impl Serialize, body: &Payload, limits: &Limits, out: &mut BytesMut) -> Result<(), FrameError> {
    encode_with(message, body, limits, None, out)
}

/// Like [`encode`], and sends the body through shared memory, if there is any with a free slot and the body is large enough.
/// The frame must then be written before that of the next body.
///
/// # Errors
/// As [`encode`].
pub fn encode_with(
    message: &impl Serialize,
    body: &Payload,
    limits: &Limits,
    end: Option<&End>,
    out: &mut BytesMut,
) -> Result<(), FrameError> {
    let parts = Parts::new(message, body, limits)?;
    match end.and_then(|end| end.loan(&parts.body)).is_some_and(Loan::send) {
        true => parts.put_shared(out),
        false => parts.put(out),
    }
    Ok(())
}

/// A frame that is not yet written.
#[derive(Clone, Debug)]
pub struct Parts {
    kind: u8,
    head: Vec<u8>,
    body: Bytes,
    head_len: u32,
    body_len: u32,
}

impl Parts {
    /// Converts a message and its body.
    ///
    /// # Errors
    /// The head or the body is too large, or cannot be converted to JSON.
    pub fn new(message: &impl Serialize, body: &Payload, limits: &Limits) -> Result<Self, FrameError> {
        let (kind, body) = match body {
            Payload::Empty => (EMPTY, Bytes::new()),
            Payload::Json(value) => (JSON, serde_json::to_vec(value).map_err(FrameError::Json)?.into()),
            Payload::Bytes(bytes) => (BYTES, bytes.clone()),
        };
        let parts = Self::bare(message, kind, body.len(), limits)?;
        Ok(Self { body, ..parts })
    }

    /// Converts a message whose body of this many bytes is in shared memory only.
    ///
    /// # Errors
    /// As [`Parts::new`].
    pub fn without_body(message: &impl Serialize, body: usize, limits: &Limits) -> Result<Self, FrameError> {
        Self::bare(message, BYTES, body, limits)
    }

    fn bare(message: &impl Serialize, kind: u8, body: usize, limits: &Limits) -> Result<Self, FrameError> {
        let head = serde_json::to_vec(message).map_err(FrameError::Message)?;
        Ok(Self {
            kind,
            head_len: within_head(head.len(), limits)?,
            body_len: within_body(body, limits)?,
            head,
            body: Bytes::new(),
        })
    }

    /// Returns the body, which is empty if it is in shared memory only.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the size of the body in bytes, wherever it is.
    #[must_use]
    pub const fn body_bytes(&self) -> u32 {
        self.body_len
    }

    /// Appends the frame, with its body.
    pub fn put(&self, out: &mut BytesMut) {
        out.reserve(HEADER_BYTES + self.head.len() + self.body.len());
        self.put_head(self.kind, out);
        out.put_slice(&self.body);
    }

    /// Appends the frame of a body that was sent through shared memory.
    pub fn put_shared(&self, out: &mut BytesMut) {
        self.put_head(self.kind + SHARED, out);
    }

    fn put_head(&self, kind: u8, out: &mut BytesMut) {
        out.put_u8(kind);
        out.put_u32(self.head_len);
        out.put_u32(self.body_len);
        out.put_slice(&self.head);
    }
}

/// Takes a frame from the start of `input`; `None` if it is incomplete. Sizes are checked as soon as the header is complete.
///
/// # Errors
/// The input is not a frame of this protocol. The rest of the stream cannot be read either.
pub fn decode<M: DeserializeOwned>(input: &mut BytesMut, limits: &Limits) -> Result<Option<Frame<M>>, FrameError> {
    decode_with(input, limits, None)
}

/// Like [`decode`], for frames whose body may be in shared memory.
///
/// # Errors
/// As [`decode`], or the body is not in the memory.
pub fn decode_with<M: DeserializeOwned>(
    input: &mut BytesMut,
    limits: &Limits,
    end: Option<&End>,
) -> Result<Option<Frame<M>>, FrameError> {
    let is_known = |kind: u8| kind <= BYTES || end.is_some() && kind <= BYTES + SHARED;
    let Some(mut header) = input.get(..HEADER_BYTES) else {
        return match input.first() {
            Some(&kind) if !is_known(kind) => Err(FrameError::Kind(kind)),
            _ => Ok(None),
        };
    };
    let kind = header.get_u8();
    let (head, body) = (header.get_u32() as usize, header.get_u32() as usize);
    if !is_known(kind) {
        return Err(FrameError::Kind(kind));
    }
    within_head(head, limits)?;
    within_body(body, limits)?;
    if kind == EMPTY && body > 0 {
        return Err(FrameError::Unexpected(body));
    }
    let shared = end.filter(|_| kind > BYTES);
    let inline = if shared.is_some() { 0 } else { body };
    if input.len() < HEADER_BYTES + head + inline {
        return Ok(None);
    }
    input.advance(HEADER_BYTES);
    let message = serde_json::from_slice(&input.split_to(head)).map_err(FrameError::Message)?;
    let bytes: Bytes = match shared {
        // JSON is parsed from a copy, which the other side cannot change meanwhile.
        Some(end) if kind == SHARED_JSON => end.receive_copy(body)?,
        Some(end) => end.receive(body)?,
        None => input.split_to(body).freeze(),
    };
    let payload = match kind {
        EMPTY => Payload::Empty,
        JSON | SHARED_JSON => Payload::Json(serde_json::from_slice(&bytes).map_err(FrameError::Json)?),
        _ => Payload::Bytes(bytes),
    };
    Ok(Some(Frame {
        message,
        body: payload,
        body_bytes: body,
    }))
}

fn within_head(bytes: usize, limits: &Limits) -> Result<u32, FrameError> {
    let max = limits.head_bytes_max;
    let len = u32::try_from(bytes).ok().filter(|len| *len <= max);
    len.ok_or(FrameError::Head { bytes, max })
}

fn within_body(bytes: usize, limits: &Limits) -> Result<u32, FrameError> {
    let max = limits.body_bytes_max;
    let len = u32::try_from(bytes).ok().filter(|len| *len <= max);
    len.ok_or(FrameError::Body { bytes, max })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};
    use serde_json::json;

    use super::*;
    use crate::protocol::ToHost;

    fn wire(message: &ToHost, body: &Payload) -> BytesMut {
        let mut out = BytesMut::new();
        encode(message, body, &Limits::default(), &mut out).unwrap();
        out
    }

    #[test]
    fn a_complete_frame_is_read_before_the_next() {
        let first = wire(&ToHost::Progress { task: 1 }, &json!(0.5).into());
        let second = wire(&ToHost::Pong { ping: 9 }, &Payload::Empty);
        let whole = [&first[..], &second[..]].concat();
        let mut input = BytesMut::new();
        let mut read = Vec::new();
        for byte in whole {
            input.put_u8(byte);
            while let Some(frame) = decode::<ToHost>(&mut input, &Limits::default()).unwrap() {
                read.push((frame.message, frame.body, frame.body_bytes));
            }
        }
        assert_eq!(
            read,
            [
                (ToHost::Progress { task: 1 }, json!(0.5).into(), 3),
                (ToHost::Pong { ping: 9 }, Payload::Empty, 0)
            ]
        );
    }

    #[test]
    fn frames_that_are_too_large_are_refused_by_their_header() {
        let limits = Limits {
            head_bytes_max: 100,
            body_bytes_max: 10,
        };
        let read = |header: &[u8]| {
            decode::<ToHost>(&mut BytesMut::from(header), &limits)
                .unwrap_err()
                .to_string()
        };
        assert!(read(&[1, 0, 0, 0, 101, 0, 0, 0, 0]).contains("head has 101 bytes"));
        assert!(read(&[1, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]).contains("body has 4294967295 bytes"));
        assert!(read(&[0, 0, 0, 0, 1, 0, 0, 0, 1]).contains("kind 0 has a body"));
        assert!(read(b"GET").contains("first byte is 71"));
        let mut out = BytesMut::new();
        let large = Payload::from(vec![0; 11]);
        assert!(matches!(
            encode(&ToHost::Progress { task: 1 }, &large, &limits, &mut out),
            Err(FrameError::Body { bytes: 11, max: 10 })
        ));
        assert!(out.is_empty());
    }

    proptest! {
        #[test]
        fn any_body_round_trips(task in any::<u64>(), bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut out = wire(&ToHost::Progress { task }, &bytes.clone().into());
            let frame = decode::<ToHost>(&mut out, &Limits::default()).unwrap().unwrap();
            prop_assert_eq!(frame.message, ToHost::Progress { task });
            prop_assert_eq!(frame.body, bytes.into());
        }
    }
}
