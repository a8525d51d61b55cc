//! Frames: a header of fixed size, a head in JSON, and a body.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::payload::Payload;

/// Size of a frame's header: the kind of the body (1 byte), and the lengths of head and body (4 bytes each, big-endian).
pub const HEADER_BYTES: usize = 9;

const EMPTY: u8 = 0;
const JSON: u8 = 1;
const BYTES: u8 = 2;

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
}

/// Appends a frame to `out`, or nothing if it is not within the limits.
///
/// # Errors
/// The head or the body is too large, or cannot be converted to JSON.
pub fn encode(message: &impl Serialize, body: &Payload, limits: &Limits, out: &mut BytesMut) -> Result<(), FrameError> {
    let head = serde_json::to_vec(message).map_err(FrameError::Message)?;
    let written;
    let (kind, body): (u8, &[u8]) = match body {
        Payload::Empty => (EMPTY, &[]),
        Payload::Json(value) => {
            written = serde_json::to_vec(value).map_err(FrameError::Json)?;
            (JSON, &written)
        }
        Payload::Bytes(bytes) => (BYTES, bytes),
    };
    let (head_len, body_len) = (within_head(head.len(), limits)?, within_body(body.len(), limits)?);
    out.reserve(HEADER_BYTES + head.len() + body.len());
    out.put_u8(kind);
    out.put_u32(head_len);
    out.put_u32(body_len);
    out.put_slice(&head);
    out.put_slice(body);
    Ok(())
}

/// Takes a frame from the start of `input`; `None` if it is incomplete. Sizes are checked as soon as the header is complete.
///
/// # Errors
/// The input is not a frame of this protocol. The rest of the stream cannot be read either.
pub fn decode<M: DeserializeOwned>(input: &mut BytesMut, limits: &Limits) -> Result<Option<Frame<M>>, FrameError> {
    let Some(mut header) = input.get(..HEADER_BYTES) else {
        return match input.first() {
            Some(&kind) if kind > BYTES => Err(FrameError::Kind(kind)),
            _ => Ok(None),
        };
    };
    let kind = header.get_u8();
    let (head, body) = (header.get_u32() as usize, header.get_u32() as usize);
    if kind > BYTES {
        return Err(FrameError::Kind(kind));
    }
    within_head(head, limits)?;
    within_body(body, limits)?;
    if kind == EMPTY && body > 0 {
        return Err(FrameError::Unexpected(body));
    }
    if input.len() < HEADER_BYTES + head + body {
        return Ok(None);
    }
    input.advance(HEADER_BYTES);
    let message = serde_json::from_slice(&input.split_to(head)).map_err(FrameError::Message)?;
    let bytes: Bytes = input.split_to(body).freeze();
    let payload = match kind {
        EMPTY => Payload::Empty,
        JSON => Payload::Json(serde_json::from_slice(&bytes).map_err(FrameError::Json)?),
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
