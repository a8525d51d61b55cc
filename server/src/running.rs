//! A running server and its handles.

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use tokio::sync::oneshot;

use crate::{
    config::Address,
    metric::Metric,
    route::Routes,
    shared::{Core, Stage},
    tls::TlsError,
};

/// Report of a shutdown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Requests completed while the server drained.
    pub finished: u64,
    /// Requests cut off at the deadline.
    pub cut: u64,
}

/// A handle to a bound or running server, for changing its routes and reading its metrics. Clones are handles to the same
/// server. A handle does not keep the server running.
#[derive(Clone)]
pub struct ServerHandle {
    pub(crate) core: Arc<Core>,
}

impl ServerHandle {
    /// Replaces the routes for new requests. Requests in flight stay with their worker.
    pub fn set_routes(&self, routes: Routes) {
        self.core.routes.store(Arc::new(routes));
    }

    /// Reloads the certificates and keys of all listeners for new handshakes. Existing connections are not affected.
    ///
    /// # Errors
    ///
    /// A file is unusable. Its listener, and those after it, keep their certificates.
    pub fn reload_certificates(&self) -> Result<(), TlsError> {
        self.core
            .identities
            .iter()
            .try_for_each(|identity| identity.read_again())
    }

    /// Returns the server's own metrics, without the metrics of its [`Dispatch`](crate::Dispatch).
    #[must_use]
    pub fn figures(&self) -> Vec<Metric> {
        self.core.counts.snapshot()
    }

    /// Returns whether the server has begun to drain.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.core.stage() != Stage::Serving
    }

    /// Returns the number of requests in flight.
    #[must_use]
    pub fn requests_open(&self) -> u64 {
        self.core.counts.requests_open()
    }
}

impl std::fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerHandle")
            .field("draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}

/// A running server. Dropping it cuts all connections at once; use [`Running::shutdown`] to drain.
#[must_use = "dropping a running server stops it"]
pub struct Running {
    pub(crate) handle: ServerHandle,
    pub(crate) addresses: Vec<Address>,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) report: oneshot::Receiver<ShutdownReport>,
    pub(crate) thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Returns the addresses, in the order of the configuration, with the ports chosen by the system.
    #[must_use]
    pub fn local_addrs(&self) -> &[Address] {
        &self.addresses
    }

    /// Returns the address of the admin listener, if any.
    #[must_use]
    pub const fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// Returns a handle.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// See [`ServerHandle::set_routes`].
    pub fn set_routes(&self, routes: Routes) {
        self.handle.set_routes(routes);
    }

    /// Drains the server: `/readyz` reports it, no connections are accepted, accepted requests are completed and connections
    /// closed. Remaining requests are cut after `deadline`, or when the future is dropped.
    pub async fn shutdown(mut self, deadline: Duration) -> ShutdownReport {
        self.handle.core.drain_within(deadline);
        // The sender is lost only together with the host's runtime and all connections.
        let report = (&mut self.report).await.unwrap_or_default();
        if let Some(thread) = self.thread.take() {
            // The thread has sent its report, and does not block any more.
            let _ = thread.join();
        }
        report
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handle.core.cut.cancel();
        self.handle.core.drain_within(Duration::ZERO);
    }
}
