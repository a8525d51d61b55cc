//! Sockets between two workers of a process, opened by a request of a service binding.
//!
//! They exchange frames, as over a network, so that limits, backpressure, pings and close codes are the same.

use std::future::pending;
use std::rc::Rc;

use bytes::Bytes;
use deno_core::OpState;
use futures::future::join;
use isopod_websocket::{Role, Wire};

use super::socket::{Socket, open};
use crate::event::Tail;
use crate::quotas::QuotaError;

/// Maximum number of bytes in flight in each direction.
const BUFFER_BYTES: usize = 16 << 10;

/// Opens the socket of the requesting worker. Also returns the connection, to be run on the I/O runtime. `accepted` is the
/// socket of the service's response, and `tail` ends the socket with its event.
pub(crate) fn connect(
    state: &OpState,
    tail: &Rc<Tail>,
    accepted: Wire,
) -> Result<(Socket, impl Future<Output = ()> + Send + use<>), QuotaError> {
    let (socket, asked) = open(state, None, tail)?;
    let connection = async move {
        let (near, far) = tokio::io::duplex(BUFFER_BYTES);
        let asked = asked.run(near, Bytes::new(), Role::Client, pending());
        let accepted = accepted.run(far, Bytes::new(), Role::Server, pending());
        join(asked, accepted).await;
    };
    Ok((socket, connection))
}
