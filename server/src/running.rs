//! A server at work, and its handles.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    config::Address,
    metrics::Metric,
    route::Routes,
    server::{Core, Stage},
    tls::TlsError,
};

/// How a shutdown went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Requests answered to their end while the server drained.
    pub finished: u64,
    /// Requests cut off at the deadline.
    pub cut: u64,
}

/// A server from elsewhere, before it accepts and while it does: what may be changed, and its figures. Cloning it makes
/// another handle of the same server; it keeps nothing open.
#[derive(Clone)]
pub struct ServerHandle {
    pub(crate) core: Arc<Core>,
}

impl ServerHandle {
    /// Has these routes decide from the next request on. Those under way stay where they went.
    pub fn set_routes(&self, routes: Routes) {
        self.core.routes.store(Arc::new(routes));
    }

    /// Reads the certificates and keys of all listeners again, for handshakes from now on. Connections go on as they are.
    ///
    /// # Errors
    ///
    /// Files cannot be used. Their listener keeps what it had, and so do those after it.
    pub fn reload_certificates(&self) -> Result<(), TlsError> {
        self.core
            .identities
            .iter()
            .try_for_each(|identity| identity.read_again())
    }

    /// The server's own figures, without those of its [`Dispatch`](crate::Dispatch).
    #[must_use]
    pub fn figures(&self) -> Vec<Metric> {
        self.core.counts.snapshot()
    }

    /// Whether it has begun to drain.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.core.stage() != Stage::Serving
    }

    /// How many requests are being answered.
    #[must_use]
    pub fn requests_open(&self) -> u64 {
        self.core.counts.requests_open.load(Ordering::Acquire)
    }
}

impl std::fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerHandle")
            .field("draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}

/// A server that accepts connections. Dropping it cuts them all at once; [`Running::shutdown`] is the kind way.
#[must_use = "dropping a running server stops it"]
pub struct Running {
    pub(crate) handle: ServerHandle,
    pub(crate) addresses: Vec<Address>,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) report: oneshot::Receiver<ShutdownReport>,
    pub(crate) thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Where the server listens, in the order of the configuration, with the ports the system chose.
    #[must_use]
    pub fn local_addrs(&self) -> &[Address] {
        &self.addresses
    }

    /// Where health and metrics are served, if they are.
    #[must_use]
    pub const fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// A handle of it.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// See [`ServerHandle::set_routes`].
    pub fn set_routes(&self, routes: Routes) {
        self.handle.set_routes(routes);
    }

    /// Drains: `/readyz` says so, nothing new is accepted, accepted requests are answered and their connections
    /// closed. After `deadline` what is left is cut. Dropping the future cuts at once.
    pub async fn shutdown(mut self, deadline: Duration) -> ShutdownReport {
        self.handle.core.drain_within(deadline);
        // The sender is only lost with the host's runtime, and every connection with it.
        let report = (&mut self.report).await.unwrap_or_default();
        if let Some(thread) = self.thread.take() {
            // It has sent its last word and is past everything that could block.
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
