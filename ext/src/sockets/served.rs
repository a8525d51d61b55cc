//! Answers of the process with the network to connections and lookups of workers in sandboxes.

use std::rc::Rc;

use tokio::time::timeout;

use super::dns;
use super::error::{ConnectError, Failed};
use super::target::Target;
use super::transport::{self, spawn_here};
use crate::event::Body;
use crate::fetch::{FetchConfig, NetworkReply, begun, incoming, run_pipe, sent};
use crate::io::{Io, IoError};

/// Opens a connection for a worker in another process. `is_granted` says that a binding of its script permits it.
pub(crate) async fn serve_connect(
    io: &Io,
    config: FetchConfig,
    is_granted: bool,
    (host, port): (String, u16),
    stream: Option<Body>,
) -> Result<(NetworkReply, Option<Body>), String> {
    let target = match Target::new(&host, port, config, is_granted) {
        Ok(target) => target,
        Err(error) => return Ok((failed(&error), None)),
    };
    let stream = begun(stream.ok_or("a connection has a stream")?).await?;
    let limit = target.config.connection.connect_timeout;
    let connecting = io.bound(()).run(move |()| async move {
        let too_late = Failed::ConnectTimeout {
            host: target.hostname(),
            limit,
        };
        let connected = timeout(limit, transport::connect(&target)).await;
        let (socket, addresses) = connected.unwrap_or_else(|_| Err(too_late.into()))?;
        let (to, received) = incoming();
        spawn_here(run_pipe(socket, stream, to));
        Ok::<_, ConnectError>((
            NetworkReply::Connected(addresses.remote, addresses.local),
            Some(sent(received)),
        ))
    });
    let connected = connecting.await.map_err(|error: IoError| error.to_string())?;
    Ok(connected.unwrap_or_else(|error| (failed(&error), None)))
}

/// Resolves a host for a worker in another process.
pub(crate) async fn serve_lookup(io: Rc<Io>, config: FetchConfig, name: &str) -> NetworkReply {
    match dns::addresses(&config, &io, name).await {
        Ok(addresses) => NetworkReply::Addresses(addresses),
        Err(error) => dns::failed(&error),
    }
}

/// Looks up records for a worker in another process.
pub(crate) async fn serve_records(io: Rc<Io>, config: FetchConfig, name: &str, kind: &str) -> NetworkReply {
    let records = dns::records(&config, &io, name, kind).await;
    match records.map(|records| serde_json::to_string(&records)) {
        Ok(Ok(json)) => NetworkReply::Records(json),
        Ok(Err(error)) => NetworkReply::Failed {
            message: error.to_string(),
            code: None,
        },
        Err(error) => dns::failed(&error),
    }
}

fn failed(error: &ConnectError) -> NetworkReply {
    let code = match error {
        ConnectError::Failed(failed) => Some(failed.code().into_owned()),
        _ => None,
    };
    NetworkReply::Failed {
        message: error.to_string(),
        code,
    }
}
