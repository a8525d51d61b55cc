//! HTTP/2 as raw frames, for data that no client sends.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RESET: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const ACK: u8 = 1;

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Encodes the header block of a `GET` of the path from `localhost`, without Huffman coding.
pub(crate) fn block(path: &str) -> Vec<u8> {
    let literal = |index: u8, value: &str| {
        let length = u8::try_from(value.len()).unwrap();
        assert!(length < 127);
        [&[index, length], value.as_bytes()].concat()
    };
    // :method GET, :scheme http, then :path and :authority, not indexed
    [&[0x82, 0x86][..], &literal(0x04, path), &literal(0x01, "localhost")].concat()
}

pub(crate) fn request(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(path))
}

pub(crate) fn reset(stream: u32) -> Vec<u8> {
    frame(RESET, 0, stream, &8u32.to_be_bytes())
}

/// Opens a connection with these settings.
pub(crate) async fn open(address: SocketAddr, settings: &[(u16, u32)]) -> (Reader, OwnedWriteHalf) {
    let (reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
    let settings: Vec<u8> = settings
        .iter()
        .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    writer.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    writer.write_all(&frame(SETTINGS, 0, 0, &settings)).await.unwrap();
    (Reader(reader), writer)
}

pub(crate) struct Reader(OwnedReadHalf);

pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Reader {
    /// Reads the next frame; `None` at the connection's end, orderly or not.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }

    /// Reads until a frame matches. Panics if the connection ends before.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let frame = self.next().await.expect("a frame before the end");
            if wanted(&frame) {
                return frame;
            }
        }
    }

    /// Reads to the connection's end. Returns whether a GOAWAY came before.
    pub(crate) async fn rest(mut self) -> bool {
        let mut warned = false;
        while let Some(frame) = self.next().await {
            warned |= frame.kind == GOAWAY;
        }
        warned
    }
}
