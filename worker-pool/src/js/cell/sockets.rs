//! WebSockets between a pool and its cells: each is a stream with messages in both directions.

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

/// The reason for a worker that sent more than there is room for. A message with that reason would not fit either.
const FULL: Reason = Reason::ENHANCE_YOUR_CALM;

/// Time limit for the other side to end its half of a stream.
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

/// The messages of a stream. Those of a requested stream begin with the response.
enum From {
    Requested(ResponseFuture),
    Reads(Messages),
    Ended,
}

impl ReceiveFrom for &mut From {
    async fn receive(&mut self) -> Option<Relayed> {
        if let From::Requested(response) = self {
            **self = From::Reads(Messages::new(response.await.ok()?.into_body()));
        }
        let From::Reads(messages) = self else { return None };
        match messages.next().await {
            Ok(message) => message,
            Err(_) => {
                let is_full = messages.reset() == Some(FULL);
                // Polled again, it would fail again.
                **self = From::Ended;
                is_full.then_some(Relayed::Full)
            }
        }
    }
}

/// Connects to the other side's WebSocket with this number. Returns the upgrade, to be run where the byte stream is, and the
/// connection. `why` has the reason for the loss of the worker, once it is known.
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
        let mut from = From::Requested(response);
        far.relay(To(&mut to), &mut from).await;
        drop(to.send_data(Bytes::new(), true));
        // Dropping a stream before its end would reset it and discard unsent data.
        let rest = async { while (&mut from).receive().await.is_some() {} };
        drop(timeout(REST, rest).await);
    };
    Some((Upgrade::new(wire), connection))
}

/// Connects a WebSocket of this side to the other side, which has requested it.
pub(super) async fn serve(wire: Option<Wire>, incoming: RecvStream, mut respond: SendResponse<Bytes>) {
    let Some(wire) = wire else {
        return respond.send_reset(Reason::REFUSED_STREAM);
    };
    let Ok(mut to) = respond.send_response(Response::new(()), false) else {
        return;
    };
    match wire.relay(To(&mut to), &mut From::Reads(Messages::new(incoming))).await {
        Relay::Ended => drop(to.send_data(Bytes::new(), true)),
        Relay::Full => to.send_reset(FULL),
    }
}
