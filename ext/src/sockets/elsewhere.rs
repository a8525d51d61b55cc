//! Connections of a worker in a sandbox, which the process with the network opens.

use std::net::SocketAddr;
use std::sync::Arc;

use super::error::{ConnectError, Failed};
use super::target::Target;
use crate::bindings::Remote;
use crate::fetch::{NetworkCall, NetworkReply, Piped, ask, piped};

/// Requests a connection. Also returns its remote and local addresses.
pub(super) async fn connect(
    remote: Arc<dyn Remote>,
    target: &Target,
) -> Result<(Box<dyn Piped>, (SocketAddr, SocketAddr)), ConnectError> {
    let (writer, stream) = piped();
    let call = NetworkCall::Connect {
        host: target.hostname(),
        port: target.port(),
    };
    let failed = |message, code| ConnectError::Failed(Failed::Elsewhere { message, code });
    match ask(remote, &call, Some(stream)).await {
        Ok((NetworkReply::Connected(remote, local), Some(body))) => Ok((writer.with(body), (remote, local))),
        Ok((NetworkReply::Failed { message, code }, _)) => Err(failed(message, code)),
        Ok(_) => Err(Failed::Lost.into()),
        Err(error) => Err(failed(error, None)),
    }
}
