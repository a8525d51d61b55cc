//! Requests of a worker in a sandbox, which the process with the network sends.

use std::sync::Arc;

use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use serde_bytes::ByteBuf;
use tokio::sync::OwnedSemaphorePermit;

use super::{FetchService, Incoming, Opening, Outgoing, OutgoingBody, Payer, in_either_form, layers_of};
use crate::bindings::Remote;
use crate::coding::decode::ByteStream;
use crate::event::Body;
use crate::fetch::body::{Chunks, IncomingBody, chunks_of};
use crate::fetch::elsewhere::{
    NetworkCall, NetworkReply, RemoteBody, RemoteRequest, ask, headers as headers_of, written,
};
use crate::fetch::pipe::{Writer, piped, streamed};
use crate::fetch::send_error::SendError;
use crate::websocket::ClientOpening;

/// Maximum size of a body inside its request. A larger body is a stream, which cannot be repeated.
const BODY_WITHIN_MAX: usize = 64 << 10;

/// A WebSocket that is being opened, and its writer.
type Socket = (Box<ClientOpening>, Writer);

impl FetchService {
    /// Sends a request through the process with the network.
    pub(super) async fn send_elsewhere(
        &self,
        remote: Arc<dyn Remote>,
        request: Outgoing,
        payer: Payer,
        open: OwnedSemaphorePermit,
    ) -> Result<Incoming, SendError> {
        let is_head = request.method == Method::HEAD;
        let (call, stream, opening) = elsewhere(request);
        let reply = ask(remote, &NetworkCall::Fetch(Box::new(call)), stream).await;
        let (status, reason, headers, length, body) = match reply.map_err(SendError::Elsewhere)? {
            (
                NetworkReply::Head {
                    status,
                    reason,
                    headers,
                    length,
                },
                body,
            ) => (status, reason, headers_of(headers), length, body.unwrap_or_default()),
            (NetworkReply::Transport { url, cause }, _) => return Err(SendError::Transport { url, cause }),
            (NetworkReply::Failed { message, .. }, _) => return Err(SendError::Elsewhere(message)),
            _ => return Err(SendError::Elsewhere("the pool's answer is no response".to_owned())),
        };
        let status = StatusCode::from_u16(status).map_err(|error| SendError::Elsewhere(error.to_string()))?;
        let (stream, length, encoded) = if status == StatusCode::SWITCHING_PROTOCOLS {
            let Some((opening, writer)) = opening else {
                return Err(SendError::Switched);
            };
            opening.check(&headers)?;
            self.io.spawn(opening.run(writer.with(body)))?;
            let none: ByteStream = Box::pin(futures::stream::empty());
            (none, None, None)
        } else {
            let layers = layers_of(status, &headers, is_head);
            let plain = chunks_of(body);
            if layers.is_empty() {
                (plain, length, None)
            } else {
                let bytes_max = self.config.limits.decoded_bytes_max;
                let (stream, encoded) = in_either_form(plain, layers, length, bytes_max, payer);
                (stream, None, Some(encoded))
            }
        };
        Ok(Incoming {
            status,
            reason,
            headers,
            length,
            body: IncomingBody {
                chunks: Chunks::Stream(stream),
                encoded,
                _open: open,
            },
        })
    }
}

/// Splits a request into its question, the accompanying stream, and the WebSocket that it opens.
fn elsewhere(request: Outgoing) -> (RemoteRequest, Option<Body>, Option<Socket>) {
    let length = request.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let mut call = RemoteRequest {
        method: request.method.to_string(),
        url: request.url.into(),
        headers: written(&request.headers),
        depth: request.depth,
        body: RemoteBody::Empty,
    };
    if let Some(Opening::Socket(opening)) = request.opening {
        let (writer, stream) = piped();
        call.body = RemoteBody::Socket;
        return (call, Some(stream), Some((opening, writer)));
    }
    let stream = match request.body {
        OutgoingBody::Empty => None,
        OutgoingBody::Full(bytes) if bytes.len() <= BODY_WITHIN_MAX => {
            call.body = RemoteBody::Full(ByteBuf::from(Vec::from(bytes)));
            None
        }
        OutgoingBody::Full(bytes) => Some(Body::from(bytes)),
        OutgoingBody::Stream(pumped) => Some(streamed(pumped.into_stream())),
        OutgoingBody::Pulled(body) => Some(*body),
    };
    if stream.is_some() {
        call.body = RemoteBody::Stream(length);
    }
    (call, stream, None)
}
