//! A WebSocket client that sends single frames, including invalid ones.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use crate::client::{Answer, Connection};

/// The example of RFC 6455, section 1.3.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A frame of the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    /// Code and reason.
    Close(u16, String),
    Ping,
    Pong(Vec<u8>),
}

impl Frame {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn close(code: u16, reason: &str) -> Self {
        Self::Close(code, reason.to_owned())
    }
}

/// A client of an open WebSocket.
pub(crate) struct Socket {
    pub(crate) connection: Connection,
}

/// A handshake with additional headers, which may begin with another host.
pub(crate) fn handshake(path: &str, headers: &str) -> String {
    let host = if headers.starts_with("host: ") {
        ""
    } else {
        "host: localhost\r\n"
    };
    format!(
        "GET {path} HTTP/1.1\r\n{host}connection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n{headers}\r\n"
    )
}

impl Socket {
    /// Opens a WebSocket. Panics if the server does not accept it.
    #[track_caller]
    pub(crate) fn open(address: SocketAddr, path: &str) -> Self {
        let (socket, answer) = Self::open_with(address, path, "");
        assert_eq!(answer.status, 101, "{answer:?}");
        assert_eq!(answer.header("sec-websocket-accept"), Some(ACCEPT));
        socket
    }

    /// Sends a handshake with additional headers, and reads the head of the answer.
    pub(crate) fn open_with(address: SocketAddr, path: &str, headers: &str) -> (Self, Answer) {
        let mut connection = Connection::open(address).expect("a connection");
        let request = handshake(path, headers);
        connection
            .stream
            .get_mut()
            .write_all(request.as_bytes())
            .expect("a handshake that is sent");
        let answer = connection.read_head().expect("an answer");
        (Self { connection }, answer)
    }

    /// Sends bytes unchanged.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.connection.stream.get_mut().write_all(bytes)
    }

    fn send(&mut self, opcode: u8, payload: &[u8]) {
        let sent = self.send_raw(&frame(0x80 | opcode, payload));
        sent.expect("a frame that is sent");
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.send(TEXT, text.as_bytes());
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.send(BINARY, bytes);
    }

    pub(crate) fn ping(&mut self, payload: &[u8]) {
        self.send(PING, payload);
    }

    pub(crate) fn close(&mut self, code: u16, reason: &str) {
        self.send(CLOSE, &[&code.to_be_bytes()[..], reason.as_bytes()].concat());
    }

    /// Reads one frame, which must be whole and unmasked.
    #[track_caller]
    pub(crate) fn read(&mut self) -> Frame {
        self.try_read().expect("a frame")
    }

    pub(crate) fn try_read(&mut self) -> io::Result<Frame> {
        let stream = &mut self.connection.stream;
        let mut head = [0; 2];
        stream.read_exact(&mut head)?;
        assert_eq!(head[0] & 0xf0, 0x80, "a whole frame without extensions");
        assert_eq!(head[1] & 0x80, 0, "frames of a server are not masked");
        let len = match head[1] {
            126 => {
                let mut len = [0; 2];
                stream.read_exact(&mut len)?;
                u16::from_be_bytes(len).into()
            }
            127 => {
                let mut len = [0; 8];
                stream.read_exact(&mut len)?;
                usize::try_from(u64::from_be_bytes(len)).map_err(io::Error::other)?
            }
            len => len.into(),
        };
        let mut payload = vec![0; len];
        stream.read_exact(&mut payload)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(io::Error::other);
        Ok(match head[0] & 0x0f {
            TEXT => Frame::Text(text(&payload)?),
            BINARY => Frame::Binary(payload),
            CLOSE if payload.is_empty() => Frame::close(1005, ""),
            CLOSE => Frame::Close(u16::from_be_bytes([payload[0], payload[1]]), text(&payload[2..])?),
            PING => Frame::Ping,
            PONG => Frame::Pong(payload),
            other => return Err(io::Error::other(format!("opcode {other}"))),
        })
    }

    /// Reads until the server has closed the connection, and panics if it sends more frames.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let mut rest = Vec::new();
        let end = self.connection.stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{rest:?} ({end:?})");
    }
}

/// A masked frame with this first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        len => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}
