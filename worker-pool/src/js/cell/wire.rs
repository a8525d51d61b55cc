//! Messages between a pool and its cells, on HTTP/2 streams, each with a length prefix.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use h2::{Reason, RecvStream, SendStream};
use isopod_outcome::Outcome;
use isopod_runtime::WrittenScript;
use isopod_runtime::fetch::WrittenServers;
use isopod_runtime::remote::{Parcel, Target, Transit};
use isopod_runtime::written::{
    FRAME_BYTES_MAX, PARTS_MAX, WrittenAnswer, WrittenEvent, WrittenFault, WrittenItem, bounded,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Window of a stream: bytes of a body that its reader has not taken.
pub(super) const WINDOW_BYTES: u32 = 256 << 10;

/// Window of a connection, so large that no stream waits for the reader of another.
pub(super) const CONNECTION_BYTES: u32 = (1 << 31) - 1;

/// Maximum size of HTTP/2 headers and trailers. The reason why a body was cut off is a trailer.
pub(super) const HEADER_BYTES_MAX: u32 = 256 << 10;

/// Maximum size of a message: the largest frame and its description.
const MESSAGE_BYTES_MAX: usize = FRAME_BYTES_MAX + (1 << 10);

/// Messages of at most this size are sent at once, even if the other side reads none.
const SMALL_BYTES: usize = Transit::SMALL_BYTES;

/// Size of the length prefix.
const PREFIX: usize = size_of::<u32>();

/// A message to a cell on its control stream.
#[derive(Serialize, Deserialize)]
pub(super) enum ToCell {
    /// The first message.
    Boot(Box<Boot>),
    /// See [`Trim`](crate::Trim).
    TrimMemory,
    TrimIo,
    /// The addresses of the process's servers.
    Servers(WrittenServers),
}

/// The worker that a cell has to run.
#[derive(Serialize, Deserialize)]
pub(super) struct Boot {
    /// The version of the pool's program.
    pub(super) build: String,
    pub(super) script: WrittenScript,
    pub(super) script_name: String,
    pub(super) version: u64,
    pub(super) worker: u64,
    pub(super) concurrency: usize,
    /// The time after which code of the start is terminated.
    pub(super) stop_in: Option<Duration>,
    pub(super) io_threads: usize,
    pub(super) is_tuned: bool,
    /// The level of the log, from 0 (nothing) to 5 (everything).
    pub(super) log_level: u8,
    pub(super) servers: WrittenServers,
}

/// A message of a cell on its control stream.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromCell {
    /// The worker is ready.
    Booted { memory_bytes: u64 },
    /// The worker cannot start. The last message.
    BootFailed(WrittenFault),
    /// The URLs of modules that were loaded.
    Loaded(Vec<String>),
    /// A turn has run for some milliseconds.
    LongTurn,
    /// The watchdog terminates the code because of this limit.
    Stopping(Outcome),
    /// The long or terminated turn has ended.
    Returned,
    /// The isolate must not be used again. Its events are still being answered.
    Condemning,
    /// The isolate must not be used again. The last message.
    Condemned { outcome: Outcome, reason: String },
}

/// A message to a cell on the stream of an event.
#[derive(Serialize, Deserialize)]
pub(super) enum Order {
    /// The first message.
    Begin {
        /// The number of the event, by which its parts are requested.
        number: u64,
        /// Index and generation.
        slot: (u32, u32),
        event: Box<WrittenEvent>,
        /// The numbers of the functions and objects in the arguments.
        #[serde(deserialize_with = "bounded")]
        stubs: Vec<u64>,
        /// Number of long turns that were reported to the pool.
        long_turns: u64,
        /// The time after which its code is terminated.
        stop_in: Option<Duration>,
    },
    StopIn(Duration),
    Cancel(Outcome),
    /// The caller takes no more items.
    CloseItems,
}

/// A message of a cell on the stream of an event.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    Item(WrittenItem),
    /// The answer, at most once and after all items, with the numbers of the functions and objects in it.
    Answer(Box<WrittenAnswer>, #[serde(deserialize_with = "bounded")] Vec<u64>),
    /// The event lasts until its WebSocket has ended.
    Session,
    Streaming,
    Answered,
    /// The event has not begun and will not. The only message.
    Unbegun,
    /// The last message.
    Ended {
        outcome: Outcome,
        memory_bytes: u64,
    },
}

/// The path of the streams of events.
pub(super) const EVENT: &str = "/event";

/// The first number of a call of a cell. The numbers of events are below.
pub(super) const ASK: u64 = 1 << 63;

/// The first number of a call of a pool.
pub(super) const CALL: u64 = 1 << 62;

/// Maximum number of streams of a call, and of a response.
pub(super) const BODIES_MAX: usize = Parcel::BODIES_MAX;

/// Maximum number of functions and objects of an event, a call, and a response.
pub(super) const STUBS_MAX: usize = PARTS_MAX;

/// A call of a cell to the pool's process, or of that process to a function in the cell. Its bytes follow.
#[derive(Serialize, Deserialize)]
pub(super) struct CallHead {
    pub(super) target: Target,
    pub(super) beside: Beside,
}

/// The response to a call. Its bytes follow.
#[derive(Serialize, Deserialize)]
pub(super) struct ReplyHead {
    /// True if there is no answer, and the reason follows.
    pub(super) has_failed: bool,
    pub(super) beside: Beside,
}

/// The parts of a call or response besides its bytes.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Beside {
    /// The lengths of its streams, as far as they are known.
    #[serde(deserialize_with = "bounded")]
    pub(super) bodies: Vec<Option<u64>>,
    /// The numbers of its functions and objects.
    #[serde(deserialize_with = "bounded")]
    pub(super) stubs: Vec<u64>,
    /// True if it is a WebSocket.
    pub(super) has_socket: bool,
}

/// A line of a cell's log.
#[derive(Serialize, Deserialize)]
pub(super) struct LogLine {
    /// From 1 (error) to 5 (trace).
    pub(super) level: u8,
    /// For a line of a worker's `console`: the worker, the id of the request, and who made it.
    pub(super) console: Option<(u64, String, Option<String>)>,
    pub(super) text: String,
}

/// An error of a connection: it has ended, or a message on it is invalid.
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

/// Encodes a message with its length prefix.
pub(super) fn encode(message: &impl Serialize) -> Result<Bytes, Broken> {
    let [message, _none] = encode_before(message, Bytes::new())?;
    Ok(message)
}

/// A message that bytes follow, as they are, with the length of both in front.
pub(super) fn encode_before(head: &impl Serialize, bytes: Bytes) -> Result<[Bytes; 2], Broken> {
    let mut head =
        postcard::to_extend(head, vec![0; PREFIX]).map_err(|error| Broken(format!("cannot be written: {error}")))?;
    let prefix = prefix(head.len() - PREFIX + bytes.len())?;
    head[..PREFIX].copy_from_slice(&prefix);
    Ok([head.into(), bytes])
}

fn prefix(length: usize) -> Result<[u8; PREFIX], Broken> {
    match u32::try_from(length) {
        Ok(prefix) if length <= MESSAGE_BYTES_MAX => Ok(prefix.to_le_bytes()),
        _ => Err(Broken(format!(
            "a message of {length} bytes exceeds the limit of {MESSAGE_BYTES_MAX} bytes: send large data as a stream"
        ))),
    }
}

/// Sends a message in parts. Small ones do not wait for room.
pub(super) async fn write_all(stream: &mut SendStream<Bytes>, parts: [Bytes; 2]) -> Result<(), Broken> {
    let is_small = parts.iter().map(Bytes::len).sum::<usize>() <= SMALL_BYTES;
    for part in parts {
        match is_small {
            true if part.is_empty() => {}
            true => stream.send_data(part, false)?,
            false => write(stream, part).await?,
        }
    }
    Ok(())
}

/// Queues a message without waiting. It is sent when there is room.
pub(super) fn say(stream: &mut SendStream<Bytes>, message: &impl Serialize) -> Result<(), Broken> {
    Ok(stream.send_data(encode(message)?, false)?)
}

/// Sends bytes as room becomes available.
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

    /// Returns the reason why the other side reset the stream, if it has.
    pub(super) const fn reset(&self) -> Option<Reason> {
        self.reset
    }

    /// Waits for the next message; `None` at the end. Cancel safe.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Broken> {
        self.until(take).await
    }

    /// Waits for the length of the next message. May be dropped and called again. `None`: there are no more.
    pub(super) async fn announced(&mut self) -> Result<Option<usize>, Broken> {
        self.until(|unread| length(unread)).await
    }

    /// Waits for the next message, with the bytes that follow it. `None`: there are no more.
    pub(super) async fn next_before<T: DeserializeOwned>(&mut self) -> Result<Option<(T, Bytes)>, Broken> {
        let Some(length) = self.announced().await? else {
            return Ok(None);
        };
        self.unread.reserve((PREFIX + length).saturating_sub(self.unread.len()));
        let taken = self.until(take_before).await?;
        if self.unread.is_empty() {
            // It shares the memory of the message.
            self.unread = BytesMut::new();
        }
        Ok(taken)
    }

    /// Waits until something can be taken from the unread bytes. May be dropped and called again. `None`: there are no more.
    async fn until<T>(
        &mut self,
        take: impl Fn(&mut BytesMut) -> Result<Option<T>, Broken>,
    ) -> Result<Option<T>, Broken> {
        loop {
            if let Some(taken) = take(&mut self.unread)? {
                return Ok(Some(taken));
            }
            if !self.more().await? {
                return Ok(None);
            }
        }
    }

    /// Waits for the end of the stream. An error if there is another message, or it is broken off.
    pub(super) async fn end(&mut self) -> Result<(), Broken> {
        // An end may come with a chunk that is empty.
        while self.unread.is_empty() {
            if !self.more().await? {
                return Ok(());
            }
        }
        Err(Broken("a message follows the last one".to_owned()))
    }

    /// Waits for more bytes. False: there are no more.
    async fn more(&mut self) -> Result<bool, Broken> {
        let Some(chunk) = self.stream.data().await else {
            return match self.unread.is_empty() {
                true => Ok(false),
                false => Err(Broken("the stream ends within a message".to_owned())),
            };
        };
        let chunk = chunk.inspect_err(|error| self.reset = error.reason())?;
        self.unread.extend_from_slice(&chunk);
        self.stream.flow_control().release_capacity(chunk.len())?;
        Ok(true)
    }
}

/// The length of the first message, if it is there.
fn length(unread: &BytesMut) -> Result<Option<usize>, Broken> {
    let Some(prefix) = unread.first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    match u32::from_le_bytes(*prefix) as usize {
        length if length > MESSAGE_BYTES_MAX => Err(Broken(format!("a message of {length} bytes is too long"))),
        length => Ok(Some(length)),
    }
}

/// Takes the first message of these bytes, if it is complete.
pub(super) fn take<T: DeserializeOwned>(unread: &mut BytesMut) -> Result<Option<T>, Broken> {
    match take_before(unread)? {
        Some((message, rest)) if rest.is_empty() => Ok(Some(message)),
        Some((_, rest)) => Err(Broken(format!("{} bytes follow a message", rest.len()))),
        None => Ok(None),
    }
}

/// Takes the first message of these bytes, if all of it is there, with the bytes that follow it.
pub(super) fn take_before<T: DeserializeOwned>(unread: &mut BytesMut) -> Result<Option<(T, Bytes)>, Broken> {
    let Some(length) = length(unread)? else {
        return Ok(None);
    };
    if unread.len() < PREFIX + length {
        return Ok(None);
    }
    unread.advance(PREFIX);
    let message = unread.split_to(length).freeze();
    match postcard::take_from_bytes(&message) {
        Ok((head, rest)) => Ok(Some((head, message.slice_ref(rest)))),
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
    fn bytes_follow_a_message_as_they_are() {
        let parts = encode_before(&(7_u32, "seven"), Bytes::from_static(b"more")).unwrap();
        let bytes = parts.concat();
        for cut in 0..bytes.len() {
            let mut unread = BytesMut::from(&bytes[..cut]);
            assert!(take_before::<(u32, String)>(&mut unread).unwrap().is_none());
        }
        let mut unread = BytesMut::from(&[&bytes[..], b"next"].concat()[..]);
        let ((number, text), rest) = take_before::<(u32, String)>(&mut unread).unwrap().unwrap();
        assert_eq!(
            (number, &*text, &rest[..], &unread[..]),
            (7, "seven", &b"more"[..], &b"next"[..])
        );
        assert!(take::<(u32, String)>(&mut BytesMut::from(&bytes[..])).is_err());
        assert!(encode_before(&(), vec![0; MESSAGE_BYTES_MAX + 1].into()).is_err());
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
