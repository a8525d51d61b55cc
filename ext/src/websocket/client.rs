//! Sockets that a script opens: the handshake of the request, and the connection.

use std::future::pending;
use std::rc::Rc;

use bytes::Bytes;
use deno_core::OpState;
use deno_core::convert::ByteString;
use http::{HeaderMap, HeaderValue};
use isopod_websocket::handshake::{self, AnswerError};
use isopod_websocket::{Role, Wire};
use tokio::io::{AsyncRead, AsyncWrite};

use super::socket::{Socket, open};
use crate::event::Tail;
use crate::quotas::QuotaError;

/// Returns whether the headers of a request ask for a WebSocket.
pub(crate) fn asks_for_socket(headers: &[(ByteString, ByteString)]) -> bool {
    let mut headers = headers.iter();
    headers.any(|(name, value)| name.eq_ignore_ascii_case(b"upgrade") && value.eq_ignore_ascii_case(b"websocket"))
}

/// A handshake that waits for its answer, on the I/O runtime.
pub(crate) struct ClientOpening {
    wire: Wire,
    /// The headers of the request.
    offered: HeaderMap,
    expected: HeaderValue,
}

/// Opens a socket and adds the headers of the handshake to its request. `tail` ends the socket with its event.
pub(crate) fn open_client(
    state: &OpState,
    tail: &Rc<Tail>,
    headers: &mut HeaderMap,
) -> Result<(Socket, ClientOpening), QuotaError> {
    let (socket, wire) = open(state, None, tail)?;
    let expected = handshake::open(headers, fastrand::u128(..).to_ne_bytes());
    let opening = ClientOpening {
        wire,
        offered: headers.clone(),
        expected,
    };
    Ok((socket, opening))
}

impl ClientOpening {
    /// Checks the answer of the server.
    pub(crate) fn check(&self, answer: &HeaderMap) -> Result<(), AnswerError> {
        handshake::check_answer(answer, &self.offered, &self.expected)
    }

    /// Runs the connection to its end.
    pub(crate) async fn run(self, stream: impl AsyncRead + AsyncWrite + Send + Unpin) {
        self.wire.run(stream, Bytes::new(), Role::Client, pending()).await;
    }
}
