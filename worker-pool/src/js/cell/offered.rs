//! Requests for what a side has offered, which both sides of each connection answer alike.

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Request, Response};

use super::offers::Offers;
use super::{bodies, sockets};

/// Answers a request for a body or a WebSocket, or one that releases an object. Returns any other request.
pub(super) async fn serve(
    offers: &Offers,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Option<(Request<RecvStream>, SendResponse<Bytes>)> {
    let path = request.uri().path();
    if path.starts_with("/body/") {
        bodies::serve(offers, request, respond).await;
    } else if path.starts_with("/socket/") {
        let socket = offers.take_socket(path);
        sockets::serve(socket, request.into_body(), respond).await;
    } else if path.starts_with("/release/") {
        offers.release(path);
        drop(respond.send_response(Response::new(()), true));
    } else {
        return Some((request, respond));
    }
    None
}
