//! The frames that the two sides of an event exchange, and their encoding.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bounded::bounded;
use super::fault::{WrittenCut, WrittenFault};

/// The version of the encoding. Other versions are rejected.
pub const VERSION: u8 = 1;

/// The largest encoded frame.
pub const FRAME_BYTES_MAX: usize = 64 << 20;

/// The largest body that is part of a frame. Larger ones are streams.
pub const INLINE_BYTES_MAX: usize = 64 << 10;

/// One message between the two sides of an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[allow(
    clippy::large_enum_variant,
    reason = "a frame lives until it is encoded, or taken apart"
)]
pub enum Frame {
    /// The event itself, to the worker's side.
    Event(WrittenEvent),
    /// The progress of a task, or a partial result, to the caller's side.
    Item(WrittenItem),
    /// The answer, to the caller's side.
    Answer(WrittenAnswer),
    /// The reason why a stream ends before its end, to its reader's side.
    Cut(WrittenCut),
}

/// An event in written form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrittenEvent {
    /// The named entry point; `None` is the default export.
    pub entrypoint: Option<String>,
    /// The kind of event, with its input.
    pub kind: WrittenKind,
}

/// The kinds of events, as [`EventKind`](crate::handlers::EventKind) has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WrittenKind {
    /// An HTTP request.
    Fetch {
        /// The method.
        method: String,
        /// The URI.
        uri: String,
        /// The URL that the script sees, if it is not the URI.
        url: Option<String>,
        /// The headers.
        #[serde(deserialize_with = "bounded")]
        headers: WrittenHeaders,
        /// Properties of the connection.
        cf: Option<WrittenCf>,
        /// The number of calls between workers that led to it; `None` where it comes from outside.
        depth: Option<u32>,
        /// The worker that makes the request, if it comes by a service binding.
        caller: Option<WrittenCaller>,
        /// The body.
        body: WrittenBody,
    },
    /// A call.
    Call {
        /// The name of the function.
        function: String,
        /// The arguments.
        arguments: WrittenArguments,
        /// The caller accepts any value, and needs none.
        takes_any: bool,
    },
    /// An event for any other handler.
    Handler {
        /// The name of the handler.
        handler: String,
        /// The script with the JavaScript side of the handler.
        script: Option<String>,
        /// The arguments of the JavaScript side.
        arguments: WrittenArguments,
        /// The caller accepts any value, and needs none.
        takes_any: bool,
        /// The caller accepts progress and partial results.
        has_items: bool,
        /// The data of a message.
        data: WrittenData,
        /// The number of messages that led to it.
        depth: u32,
        /// The id of the message.
        message: Option<u64>,
        /// The worker that caused it, for a call between workers.
        caller: Option<WrittenCaller>,
        /// A value of the host. Its part that stays in the sending process goes with the frame, as the only function.
        attachment: Option<serde_bytes::ByteBuf>,
    },
    /// A call between workers.
    Rpc {
        /// The arguments.
        message: WrittenMessage,
        /// The worker that makes it.
        caller: Option<WrittenCaller>,
    },
}

/// [`RpcMessage`](crate::rpc::RpcMessage) in written form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrittenMessage {
    /// Its data.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// The functions, objects and streams in it.
    #[serde(deserialize_with = "bounded")]
    pub parts: Vec<WrittenPart>,
}

/// A part of a message in written form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WrittenPart {
    /// The number of a function or an object: its place among those that go with the frame, from 0.
    Stub(u32),
    /// A stream.
    Stream(WrittenBody),
}

/// [`Caller`](crate::event::Caller) in written form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrittenCaller {
    /// The name of its script.
    pub worker: String,
    /// The number of calls between workers that lead to the request, itself included.
    pub depth: u32,
    /// The time left until its deadline, since clocks differ between processes. `None`: it has no deadline.
    pub time_left: Option<Duration>,
    /// The id of the request that it handles.
    pub request_id: Option<String>,
    /// The properties of its service binding.
    pub props: WrittenData,
    /// The JSON text of the request's `cf`.
    pub cf: Option<serde_bytes::ByteBuf>,
}

/// [`RequestCf`](crate::event::RequestCf) in written form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WrittenCf {
    /// Such as `HTTP/2`.
    pub http_protocol: Option<String>,
    /// Such as `TLSv1.3`.
    pub tls_version: Option<String>,
    /// Such as `AEAD-AES128-GCM-SHA256`.
    pub tls_cipher: Option<String>,
    /// The client's `Accept-Encoding`.
    pub client_accept_encoding: Option<String>,
}

/// Names and values of headers, in order.
pub type WrittenHeaders = Vec<(String, serde_bytes::ByteBuf)>;

/// A body in written form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WrittenBody {
    /// No bytes.
    Empty,
    /// All bytes.
    Whole(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A stream, whose chunks the transport carries.
    Stream {
        /// Its number: its place among the bodies that go with the frame, from 0.
        number: u32,
        /// The number of its bytes, if that is known.
        length: Option<u64>,
    },
}

/// The arguments of a call in written form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WrittenArguments {
    /// All as one value.
    Whole(WrittenArgument),
    /// One by one.
    Each(#[serde(deserialize_with = "bounded")] Vec<WrittenArgument>),
}

/// One argument in written form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WrittenArgument {
    /// An [`Encoded`](crate::values::Encoded) value.
    Value(#[serde(with = "serde_bytes")] Vec<u8>),
    /// The error of a value that cannot be encoded: the event fails with it.
    Failed(String),
    /// A stream.
    Stream(WrittenBody),
    /// The number of a function: its place among those of the event, from 0.
    Function(u32),
}

/// [`Data`](crate::event::Data) in written form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WrittenData {
    /// Nothing.
    Empty,
    /// A plain value, [encoded](crate::values::Encoded).
    Plain(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Bytes.
    Bytes(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Any value, in V8's structured clone format.
    Cloned(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// [`TaskItem`](crate::event::TaskItem) in written form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WrittenItem {
    /// Progress, [encoded](crate::values::Encoded).
    Progress(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A partial result.
    Result {
        /// Its name.
        name: String,
        /// Its data.
        data: WrittenData,
    },
}

/// An answer in written form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WrittenAnswer {
    /// An HTTP response.
    Response {
        /// The status.
        status: u16,
        /// The reason phrase; empty for the status's own.
        #[serde(with = "serde_bytes")]
        reason: Vec<u8>,
        /// The headers.
        #[serde(deserialize_with = "bounded")]
        headers: WrittenHeaders,
        /// The body.
        body: WrittenBody,
        /// The response is a WebSocket, whose messages the transport carries.
        has_socket: bool,
    },
    /// An [`Encoded`](crate::values::Encoded) value.
    Value(#[serde(with = "serde_bytes")] Vec<u8>),
    /// A stream.
    Stream(WrittenBody),
    /// A failure.
    Failed(WrittenFault),
    /// The result of a call between workers.
    Message(WrittenMessage),
}

/// The reason why bytes are not a frame, or a frame is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// There are more bytes than a frame may have.
    #[error("a frame of {0} bytes exceeds the limit of {FRAME_BYTES_MAX} bytes: send large data as a stream")]
    TooLarge(usize),
    /// The other side has another version of the encoding.
    #[error("the frame has version {0} of the encoding, and this side reads version {VERSION}")]
    Version(u8),
    /// The bytes are not a frame.
    #[error("the bytes are not a frame: {0}")]
    Malformed(String),
    /// A part of it is invalid.
    #[error("the {0} of a frame is invalid: {1}")]
    Invalid(&'static str, String),
}

impl FrameError {
    pub(super) fn invalid(what: &'static str, error: impl ToString) -> Self {
        Self::Invalid(what, error.to_string())
    }
}

impl Frame {
    /// Encodes the frame.
    ///
    /// # Errors
    /// [`FrameError::TooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let malformed = |error: postcard::Error| FrameError::Malformed(error.to_string());
        let bytes = postcard::to_extend(self, vec![VERSION]).map_err(malformed)?;
        match bytes.len() > FRAME_BYTES_MAX {
            true => Err(FrameError::TooLarge(bytes.len())),
            false => Ok(bytes),
        }
    }

    /// Decodes a frame. Takes any bytes.
    ///
    /// # Errors
    /// [`FrameError`]
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(FrameError::TooLarge(bytes.len()));
        }
        match bytes {
            [] => Err(FrameError::Malformed("there are none".to_owned())),
            [VERSION, bytes @ ..] => match postcard::take_from_bytes(bytes) {
                Ok((frame, [])) => Ok(frame),
                Ok((_, rest)) => Err(FrameError::Malformed(format!("{} bytes follow it", rest.len()))),
                Err(error) => Err(FrameError::Malformed(error.to_string())),
            },
            [version, ..] => Err(FrameError::Version(*version)),
        }
    }
}
