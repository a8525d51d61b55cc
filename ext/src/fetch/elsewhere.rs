//! The network for a worker in a sandbox, which asks its pool's process, where the guard decides.
//!
//! Calls and replies use the protocol of bindings. A stream that accompanies a call begins with an extra byte, and
//! is answered once that byte was read, because a stream that is not read by then would be dropped.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use futures::{StreamExt as _, stream};
use http::HeaderMap;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::identity::by_identity;
use crate::bindings::{Parcel, Remote, Target, pack, unpack};
use crate::event::{Body, BodyError, Headers};

/// The process with the network of a worker.
#[derive(Clone, Default)]
pub struct Network(Option<Arc<dyn Remote>>);

impl Network {
    /// Uses the network of the process at the other end of a connection.
    #[must_use]
    pub fn elsewhere(remote: Arc<dyn Remote>) -> Self {
        Self(Some(remote))
    }

    /// Returns the connection to the process with the network; `None` for this process.
    pub(crate) fn remote(&self) -> Option<&Arc<dyn Remote>> {
        self.0.as_ref()
    }
}

by_identity!(Network, "elsewhere", "here");

/// A call of a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum NetworkCall {
    /// Send a request.
    Fetch(Box<RemoteRequest>),
    /// Open a TCP connection, whose stream accompanies the call.
    Connect { host: String, port: u16 },
    /// Resolve a host.
    Lookup(String),
    /// Look up the records of a name and a type.
    Records(String, String),
}

/// A request to be sent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RemoteRequest {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, ByteBuf)>,
    pub(crate) depth: u32,
    pub(crate) body: RemoteBody,
}

/// The body of a request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum RemoteBody {
    Empty,
    Full(ByteBuf),
    /// The accompanying stream, with its length if known.
    Stream(Option<u64>),
    /// No body: the request opens a WebSocket, whose bytes are the stream.
    Socket,
}

/// The reply to a call.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum NetworkReply {
    /// The head of a response. Its body accompanies it as received, with this length.
    Head {
        status: u16,
        reason: String,
        headers: Vec<(String, ByteBuf)>,
        length: Option<u64>,
    },
    /// A connection, whose stream accompanies it: the remote and the local address.
    Connected(SocketAddr, SocketAddr),
    Addresses(Vec<String>),
    /// Records in JSON.
    Records(String),
    /// The exchange failed. The URL without its query, and the innermost cause.
    Transport {
        url: String,
        cause: String,
    },
    /// There is no answer. The reason, and its Node.js code, if any.
    Failed {
        message: String,
        code: Option<String>,
    },
}

/// Makes a call and waits for the reply. Fails if the process cannot be reached.
pub(crate) async fn ask(
    remote: Arc<dyn Remote>,
    call: &NetworkCall,
    stream: Option<Body>,
) -> Result<(NetworkReply, Option<Body>), String> {
    let parcel = Parcel::with_bodies(pack(call)?, stream.map(opened).into_iter().collect());
    let Parcel { bytes, bodies, .. } = remote.ask(Target::Network, parcel).await?;
    Ok((unpack(&bytes)?, bodies.into_iter().next()))
}

/// Returns the stream with an extra first byte.
fn opened(body: Body) -> Body {
    let first = stream::iter([Ok(Frame::data(Bytes::from_static(&[0])))]);
    Body::new(StreamBody::new(first.chain(frames(body))))
}

/// Waits for the extra first byte of a stream, and removes it.
pub(crate) async fn begun(mut body: Body) -> Result<Body, String> {
    let mut data = match body.frame().await {
        Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        Some(Err(error)) => return Err(error.to_string()),
        None => Bytes::new(),
    };
    if data.is_empty() {
        return Err("a stream ended before it began".to_owned());
    }
    data.advance(1);
    if data.is_empty() {
        return Ok(body);
    }
    let first = stream::iter([Ok(Frame::data(data))]);
    Ok(Body::new(StreamBody::new(first.chain(frames(body)))))
}

fn frames(body: Body) -> impl stream::Stream<Item = Result<Frame<Bytes>, BodyError>> + Send {
    stream::unfold(body, |mut body| async move { Some((body.frame().await?, body)) })
}

/// Converts headers to their written form.
pub(crate) fn written(headers: &HeaderMap) -> Vec<(String, ByteBuf)> {
    let headers = headers.iter();
    headers
        .map(|(name, value)| (name.as_str().to_owned(), ByteBuf::from(value.as_bytes())))
        .collect()
}

/// Converts headers from their written form. Invalid ones are skipped.
pub(crate) fn headers(written: Vec<(String, ByteBuf)>) -> HeaderMap {
    let mut headers = Headers::default();
    for (name, value) in written {
        let name = http::HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, http::HeaderValue::from_bytes(&value)) {
            // Fails only above the maximum number of a message.
            let _ = headers.append(name, value);
        }
    }
    headers.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_extra_first_byte_of_a_stream_is_removed() {
        for content in ["", "a", "abc"] {
            let body = begun(opened(Body::from(content))).await.unwrap();
            assert_eq!(body.collect().await.unwrap().to_bytes(), content);
        }
        // The pieces of a stream may have been joined.
        let body = begun(Body::from("\0abc")).await.unwrap();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abc");
        assert!(begun(Body::empty()).await.is_err());
    }

    #[test]
    fn invalid_headers_are_skipped() {
        let pairs = [("a", "1"), ("b c", "2"), ("d", "3\n"), ("a", "4")];
        let map = headers(
            pairs
                .map(|(name, value)| (name.to_owned(), ByteBuf::from(value)))
                .into(),
        );
        assert_eq!(
            written(&map),
            [("a", "1"), ("a", "4")].map(|(name, value)| (name.to_owned(), ByteBuf::from(value)))
        );
    }
}
