//! Messages between a pool and its cells, on streams of HTTP/2, each with its length in front.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use h2::{Reason, RecvStream, SendStream};
use isopod_outcome::Outcome;
use isopod_runtime::WrittenScript;
use isopod_runtime::fetch::WrittenServers;
use isopod_runtime::remote::{Parcel, Target};
use isopod_runtime::written::{
    FRAME_BYTES_MAX, PARTS_MAX, WrittenAnswer, WrittenEvent, WrittenFault, WrittenItem, bounded,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Bytes of a stream that may be on their way: those of a body that its reader has not taken.
pub(super) const WINDOW_BYTES: u32 = 256 << 10;

/// Bytes of a connection that may be on their way: no stream ever waits for the reader of another.
pub(super) const CONNECTION_BYTES: u32 = (1 << 31) - 1;

/// Bytes of the headers of a message of HTTP/2; the reason why a body was cut off is a trailer.
pub(super) const HEADER_BYTES_MAX: u32 = 256 << 10;

/// The largest message: the largest frame, with what is said of it.
const MESSAGE_BYTES_MAX: usize = FRAME_BYTES_MAX + (1 << 10);

/// Bytes that hold a message's length.
const PREFIX: usize = size_of::<u32>();

/// Said to a cell, on its control stream.
#[derive(Serialize, Deserialize)]
pub(super) enum ToCell {
    /// The first message.
    Boot(Box<Boot>),
    /// See [`Trim`](crate::Trim).
    TrimMemory,
    TrimIo,
    /// The places of the process's servers.
    Servers(WrittenServers),
}

/// The worker that a cell is to run.
#[derive(Serialize, Deserialize)]
pub(super) struct Boot {
    /// The version of the program that says so.
    pub(super) build: String,
    pub(super) script: WrittenScript,
    pub(super) script_name: String,
    pub(super) version: u64,
    pub(super) worker: u64,
    pub(super) concurrency: usize,
    /// The time after which code of the start is stopped by force.
    pub(super) stop_in: Option<Duration>,
    pub(super) io_threads: usize,
    pub(super) is_tuned: bool,
    /// Lines of the log above this level are wanted: from 0, nothing, to 5, everything.
    pub(super) log_level: u8,
    pub(super) servers: WrittenServers,
}

/// Said by a cell, on its control stream.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromCell {
    /// The worker is ready.
    Booted { memory_bytes: u64 },
    /// The worker cannot start: the last message.
    BootFailed(WrittenFault),
    /// The URLs of modules that were loaded.
    Loaded(Vec<String>),
    /// Its code has run for some milliseconds without a break.
    LongTurn,
    /// Its watchdog stops the code because of this limit.
    Stopping(Outcome),
    /// The code has returned since.
    Returned,
    /// The isolate must not be used again. Its events are being answered.
    Condemning,
    /// The isolate must not be used again: the last message.
    Condemned { outcome: Outcome, reason: String },
}

/// Said to a cell, on the stream of an event.
#[derive(Serialize, Deserialize)]
pub(super) enum Order {
    /// The first message.
    Begin {
        /// Index and generation.
        slot: (u32, u32),
        event: Box<WrittenEvent>,
        /// The numbers of the functions and objects that a call brings.
        #[serde(deserialize_with = "bounded")]
        stubs: Vec<u64>,
        /// Number of long turns that the pool has heard of.
        long_turns: u64,
        /// The time after which its code is stopped by force.
        stop_in: Option<Duration>,
    },
    StopIn(Duration),
    Cancel(Outcome),
    /// The caller takes no more items.
    CloseItems,
}

/// Said by a cell, on the stream of an event.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    Item(WrittenItem),
    /// At most once, after all items. With the numbers of the functions and objects in it.
    Answer(Box<WrittenAnswer>, #[serde(deserialize_with = "bounded")] Vec<u64>),
    /// It stands until its connection has ended.
    Session,
    Streaming,
    Answered,
    /// It has not been begun and will not be: the only message.
    Unbegun,
    /// The last message.
    Ended {
        outcome: Outcome,
        memory_bytes: u64,
    },
}

/// The first number of a question of a cell. Those of events are below.
pub(super) const ASK: u64 = 1 << 63;

/// The first number of a question of a pool.
pub(super) const CALL: u64 = 1 << 62;

/// Streams of a question, and of an answer.
pub(super) const BODIES_MAX: usize = Parcel::BODIES_MAX;

/// Functions and objects of an event, of a question, and of an answer.
pub(super) const STUBS_MAX: usize = PARTS_MAX;

/// A question: of a cell to its pool's process, or of that to a function of the cell's.
#[derive(Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) target: Target,
    pub(super) bytes: ByteBuf,
    pub(super) beside: Beside,
}

/// The answer to a question.
#[derive(Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) answer: Result<ByteBuf, String>,
    pub(super) beside: Beside,
}

impl Told {
    pub(super) fn failed(error: String) -> Self {
        Self {
            answer: Err(error),
            beside: Beside::default(),
        }
    }
}

/// The parts that go with a question or an answer.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Beside {
    /// The lengths of its streams, where they are known.
    #[serde(deserialize_with = "bounded")]
    pub(super) bodies: Vec<Option<u64>>,
    /// The numbers of its functions and objects.
    #[serde(deserialize_with = "bounded")]
    pub(super) stubs: Vec<u64>,
    /// It is a WebSocket.
    pub(super) has_socket: bool,
}

/// A line of a cell's log.
#[derive(Serialize, Deserialize)]
pub(super) struct LogLine {
    /// From 1, an error, to 5.
    pub(super) level: u8,
    /// For a line of a worker's `console`: the worker, the id of the request, and who made it.
    pub(super) console: Option<(u64, String, Option<String>)>,
    pub(super) text: String,
}

/// A connection that has ended, or on which something was said that is not understood.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Broken(pub(super) String);

impl From<h2::Error> for Broken {
    fn from(error: h2::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// A message with its length in front.
pub(super) fn encode(message: &impl Serialize) -> Result<Bytes, Broken> {
    let mut bytes =
        postcard::to_extend(message, vec![0; PREFIX]).map_err(|error| Broken(format!("cannot be written: {error}")))?;
    let length = bytes.len() - PREFIX;
    if length > MESSAGE_BYTES_MAX {
        return Err(Broken(format!(
            "a message of {length} bytes exceeds the limit of {MESSAGE_BYTES_MAX} bytes: send large data as a stream"
        )));
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked above")]
    bytes[..PREFIX].copy_from_slice(&(length as u32).to_le_bytes());
    Ok(bytes.into())
}

/// Says something without waiting: it is sent when there is room.
pub(super) fn say(stream: &mut SendStream<Bytes>, message: &impl Serialize) -> Result<(), Broken> {
    Ok(stream.send_data(encode(message)?, false)?)
}

/// Sends bytes as there is room for them.
pub(super) async fn write(stream: &mut SendStream<Bytes>, mut bytes: Bytes) -> Result<(), Broken> {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let room = std::future::poll_fn(|cx| match stream.capacity() {
            0 => stream.poll_capacity(cx),
            room => std::task::Poll::Ready(Some(Ok(room))),
        });
        let room = room.await.ok_or_else(|| Broken("the stream was closed".to_owned()))??;
        let part = bytes.split_to(room.min(bytes.len()));
        stream.send_data(part, false)?;
    }
    Ok(())
}

/// The messages of a stream.
pub(super) struct Messages {
    stream: RecvStream,
    unread: BytesMut,
    reset: Option<Reason>,
}

impl Messages {
    pub(super) fn new(stream: RecvStream) -> Self {
        Self {
            stream,
            unread: BytesMut::new(),
            reset: None,
        }
    }

    /// Returns why the other side broke it off, once it has.
    pub(super) const fn reset(&self) -> Option<Reason> {
        self.reset
    }

    /// Waits for the next message. May be dropped and called again. `None`: there are no more.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Broken> {
        loop {
            if let Some(message) = take(&mut self.unread)? {
                return Ok(Some(message));
            }
            let Some(chunk) = self.stream.data().await else {
                return match self.unread.is_empty() {
                    true => Ok(None),
                    false => Err(Broken("the stream ends within a message".to_owned())),
                };
            };
            let chunk = chunk.inspect_err(|error| self.reset = error.reason())?;
            self.unread.extend_from_slice(&chunk);
            self.stream.flow_control().release_capacity(chunk.len())?;
        }
    }
}

/// Takes the first message of these bytes, if all of it is there.
pub(super) fn take<T: DeserializeOwned>(unread: &mut BytesMut) -> Result<Option<T>, Broken> {
    let Some(prefix) = unread.first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*prefix) as usize;
    if length > MESSAGE_BYTES_MAX {
        return Err(Broken(format!("a message of {length} bytes is too long")));
    }
    if unread.len() < PREFIX + length {
        return Ok(None);
    }
    unread.advance(PREFIX);
    let message = unread.split_to(length);
    match postcard::take_from_bytes(&message) {
        Ok((message, [])) => Ok(Some(message)),
        Ok((_, rest)) => Err(Broken(format!("{} bytes follow a message", rest.len()))),
        Err(error) => Err(Broken(format!("a message is not understood: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_when_it_is_complete() {
        let bytes = encode(&Report::Ended {
            outcome: Outcome::ExceededCpu,
            memory_bytes: 7,
        });
        let bytes = bytes.unwrap();
        for cut in 0..bytes.len() {
            assert!(take::<Report>(&mut BytesMut::from(&bytes[..cut])).unwrap().is_none());
        }
        let twice = [&bytes[..], &bytes[..]].concat();
        let mut unread = BytesMut::from(&twice[..]);
        for _ in 0..2 {
            let report = take::<Report>(&mut unread).unwrap();
            let Some(Report::Ended { outcome, memory_bytes }) = report else {
                panic!("{report:?}")
            };
            assert_eq!((outcome, memory_bytes), (Outcome::ExceededCpu, 7));
        }
        assert!(unread.is_empty());
    }

    #[test]
    fn invalid_messages_are_errors() {
        let too_long = [0xff; 8];
        assert!(take::<Report>(&mut BytesMut::from(&too_long[..])).is_err());
        let longer_than_it_says = [2, 0, 0, 0, 2, 2];
        assert!(take::<Report>(&mut BytesMut::from(&longer_than_it_says[..])).is_err());
        let of_no_kind = [1, 0, 0, 0, 77];
        assert!(take::<Report>(&mut BytesMut::from(&of_no_kind[..])).is_err());
    }
}
