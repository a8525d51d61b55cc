//! Requests of a worker in a sandbox, sent by the process with the network. The destination and the end of a message are
//! determined here, regardless of the worker's claims.

use bytes::Bytes;
use deno_core::url::Url;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, header};

use super::OURS;
use super::elsewhere::{NetworkReply, RemoteBody, RemoteRequest, begun, headers, written};
use super::send_error::SendError;
use super::service::{FetchService, Incoming, Opening, Outgoing, OutgoingBody, Payer};
use crate::event::Body;

impl FetchService {
    /// Sends a request, and returns the head of the response with its body.
    pub(crate) async fn answer(
        &self,
        remote: RemoteRequest,
        stream: Option<Body>,
    ) -> Result<(NetworkReply, Option<Body>), String> {
        let request = request(remote, stream).await?;
        Ok(match self.send(request, Payer::default()).await {
            Ok(incoming) => {
                let Incoming {
                    status,
                    reason,
                    headers,
                    length,
                    body,
                } = incoming;
                let (body, length) = body.into_received(length);
                let head = NetworkReply::Head {
                    status: status.as_u16(),
                    reason,
                    headers: written(&headers),
                    length,
                };
                (head, Some(body))
            }
            Err(SendError::Transport { url, cause }) => (NetworkReply::Transport { url, cause }, None),
            Err(error) => {
                let message = error.to_string();
                (NetworkReply::Failed { message, code: None }, None)
            }
        })
    }
}

async fn request(remote: RemoteRequest, stream: Option<Body>) -> Result<Outgoing, String> {
    let method = Method::from_bytes(remote.method.as_bytes()).map_err(|error| error.to_string())?;
    let url = Url::parse(&remote.url).map_err(|error| error.to_string())?;
    let mut headers = others(headers(remote.headers));
    let is_socket = matches!(remote.body, RemoteBody::Socket);
    let stream = match stream {
        Some(stream) => Some(begun(stream).await?),
        None => None,
    };
    let (body, length) = match (remote.body, stream) {
        (RemoteBody::Full(bytes), _) => {
            let length = bytes.len() as u64;
            (OutgoingBody::Full(Bytes::from(bytes.into_vec())), Some(length))
        }
        (RemoteBody::Stream(length), Some(stream)) => (OutgoingBody::Pulled(Box::new(stream)), length),
        (RemoteBody::Socket, Some(stream)) => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            return Ok(Outgoing {
                method: Method::GET,
                url,
                headers,
                body: OutgoingBody::Empty,
                depth: remote.depth,
                opening: Some(Opening::Pipe(Box::new(stream))),
            });
        }
        // https://fetch.spec.whatwg.org/#http-network-or-cache-fetch
        _ => (
            OutgoingBody::Empty,
            matches!(method, Method::POST | Method::PUT).then_some(0),
        ),
    };
    if is_socket {
        return Err("a WebSocket has a stream".to_owned());
    }
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    Ok(Outgoing {
        method,
        url,
        headers,
        body,
        depth: remote.depth,
        opening: None,
    })
}

/// The headers that a worker may choose.
fn others(mut headers: HeaderMap) -> HeaderMap {
    for name in &OURS {
        headers.remove(name);
    }
    headers
}

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::*;

    fn remote(body: RemoteBody) -> RemoteRequest {
        let headers = [
            ("host", "other"),
            ("Content-Length", "7"),
            ("x", "1"),
            ("transfer-encoding", "chunked"),
        ];
        RemoteRequest {
            method: "POST".to_owned(),
            url: "http://example.com/".to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), ByteBuf::from(value)))
                .into(),
            depth: 1,
            body,
        }
    }

    #[tokio::test]
    async fn a_worker_cannot_control_framing_and_destination() {
        for (body, length) in [(RemoteBody::Empty, "0"), (RemoteBody::Full(ByteBuf::from("abc")), "3")] {
            let request = request(remote(body), None).await.unwrap();
            let names: Vec<_> = request.headers.keys().map(header::HeaderName::as_str).collect();
            assert_eq!(names.len(), 2, "{names:?}");
            assert_eq!(
                (&request.headers["x"], &request.headers["content-length"]),
                (&HeaderValue::from_static("1"), &HeaderValue::from_static(length))
            );
        }
        assert!(request(remote(RemoteBody::Socket), None).await.is_err());
    }
}
