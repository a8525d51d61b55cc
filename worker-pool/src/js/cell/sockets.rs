//! WebSockets between a pool and its cells: each is a stream, on which messages go in both directions.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{Request, Response};
use isopod_outcome::Outcome;
use isopod_runtime::websocket::relay::{ReceiveFrom, Relay, Relayed, SendTo, far};
use isopod_runtime::websocket::{SocketLimits, Upgrade, Wire};
use tokio::time::timeout;

use super::wire::{Messages, encode, write};

/// Of a worker that sent more than there is room for: there is none for a message that says so.
const FULL: Reason = Reason::ENHANCE_YOUR_CALM;

/// Time for the other side to end its half of a stream.
const REST: Duration = Duration::from_secs(5);

struct To<'s>(&'s mut SendStream<Bytes>);

impl SendTo for To<'_> {
    async fn send(&mut self, message: Relayed) -> bool {
        match encode(&message) {
            Ok(bytes) => write(self.0, bytes).await.is_ok(),
            Err(_) => false,
        }
    }
}

/// The messages of a stream; of one that was asked for, once the other side has answered.
enum From {
    Asked(ResponseFuture),
    Reads(Messages),
    Ended,
}

impl ReceiveFrom for &mut From {
    async fn receive(&mut self) -> Option<Relayed> {
        if let From::Asked(response) = self {
            **self = From::Reads(Messages::new(response.await.ok()?.into_body()));
        }
        let From::Reads(messages) = self else { return None };
        match messages.next().await {
            Ok(message) => message,
            Err(_) => {
                let is_full = messages.reset() == Some(FULL);
                // It would fail again and again.
                **self = From::Ended;
                is_full.then_some(Relayed::Full)
            }
        }
    }
}

/// Connects the WebSocket of the other side's that has this number. Returns what is to be run where the byte stream is, and the
/// connection. `why` has the reason why the worker was lost, once it is known.
pub(super) fn connect(
    requests: &SendRequest<Bytes>,
    number: u64,
    limits: &SocketLimits,
    why: Arc<OnceLock<Outcome>>,
) -> Option<(Upgrade, impl Future<Output = ()> + Send + use<>)> {
    let request = Request::post(format!("http://cell/socket/{number}")).body(()).ok()?;
    let (response, mut to) = requests.clone().send_request(request, false).ok()?;
    let (far, wire) = far(limits, why);
    let connection = async move {
        let mut from = From::Asked(response);
        far.relay(To(&mut to), &mut from).await;
        drop(to.send_data(Bytes::new(), true));
        // A stream that is dropped before its end is reset, and what it has not sent is discarded.
        let rest = async { while (&mut from).receive().await.is_some() {} };
        drop(timeout(REST, rest).await);
    };
    Some((Upgrade::new(wire), connection))
}

/// Connects a WebSocket of this side with the other, which asks for it.
pub(super) async fn serve(wire: Option<Wire>, heard: RecvStream, mut respond: SendResponse<Bytes>) {
    let Some(wire) = wire else {
        return respond.send_reset(Reason::REFUSED_STREAM);
    };
    let Ok(mut to) = respond.send_response(Response::new(()), false) else {
        return;
    };
    match wire.relay(To(&mut to), &mut From::Reads(Messages::new(heard))).await {
        Relay::Ended => drop(to.send_data(Bytes::new(), true)),
        Relay::Full => to.send_reset(FULL),
    }
}
