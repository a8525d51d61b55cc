//! Start and stop of a server.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::{Semaphore, oneshot},
    task::JoinSet,
};
use tokio_util::task::TaskTracker;

use crate::{
    accept::Accept,
    access::AdminAccess,
    admin::{self, AdminListener, Status},
    config::{Address, ServerConfig},
    dispatch::{Dispatch, Readiness},
    error::StartError,
    listener::{Claim, Listener},
    metric::Metric,
    running::{Running, ServerHandle, ShutdownReport},
    shared::{App, Core, Stage},
};

/// A server that is not started.
///
/// ```
/// # use isopod_server::{ServerBody, Dispatch, Failure, RequestMeta, Routes, Server, ServerConfig};
/// struct Hello;
///
/// impl Dispatch for Hello {
///     async fn fetch(&self, _: &str, _: http::Request<ServerBody>, _: RequestMeta) -> Result<http::Response<ServerBody>, Failure> {
///         Ok(http::Response::new("hello".into()))
///     }
/// }
///
/// let config = ServerConfig::default().routes(Routes::to("hello"));
/// let running = Server::new(config, Hello).start()?;
/// println!("listening on {}", running.local_addrs()[0]);
/// # Ok::<(), isopod_server::StartError>(())
/// ```
pub struct Server<D> {
    config: ServerConfig,
    dispatch: D,
}

impl<D: Dispatch> Server<D> {
    /// Creates a server with a dispatch.
    pub const fn new(config: ServerConfig, dispatch: D) -> Self {
        Self { config, dispatch }
    }

    /// Starts the server on its own threads, named `isopod-http`. Works from any thread, inside or outside a runtime; on
    /// return, connections are accepted.
    ///
    /// # Errors
    ///
    /// An address, a certificate or a thread is unavailable. Everything is cleaned up.
    pub fn start(self) -> Result<Running, StartError> {
        self.config.bind()?.start(self.dispatch)
    }

    /// Starts the server on the host's runtime, which must have its I/O and time drivers enabled and stay alive.
    ///
    /// # Errors
    ///
    /// An address or a certificate is unavailable. Everything is cleaned up.
    pub fn start_on(self, runtime: &Handle) -> Result<Running, StartError> {
        self.config.bind()?.start_on(runtime, self.dispatch)
    }
}

impl ServerConfig {
    /// Binds the addresses and reads the certificates without accepting connections, so that their errors are known before
    /// anything else starts. Works from any thread.
    ///
    /// # Errors
    ///
    /// An address or a certificate is unavailable. Everything is cleaned up.
    pub fn bind(self) -> Result<Bound, StartError> {
        if self.listeners.is_empty() {
            return Err(StartError::NoListener);
        }
        let claims: Vec<_> = self.listeners.iter().map(Claim::new).collect::<Result<_, _>>()?;
        let identities = claims.iter().filter_map(Claim::identity).collect();
        Ok(Bound {
            addresses: claims.iter().map(|claim| claim.address().clone()).collect(),
            claims,
            admin: self.admin.map(AdminListener::bind).transpose()?,
            threads: self.threads.max(1),
            handle: ServerHandle {
                core: Arc::new(Core::new(self, identities)),
            },
        })
    }
}

/// A bound server that does not accept connections yet. Dropping it releases the addresses.
#[must_use = "it accepts no connections until it is started"]
pub struct Bound {
    handle: ServerHandle,
    claims: Vec<Claim>,
    addresses: Vec<Address>,
    admin: Option<AdminListener>,
    threads: usize,
}

impl Bound {
    /// Returns the addresses, in the order of the configuration, with the ports chosen by the system.
    #[must_use]
    pub fn local_addrs(&self) -> &[Address] {
        &self.addresses
    }

    /// Returns the address of the admin listener, if any.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(AdminListener::local_addr)
    }

    /// Returns a handle.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.handle.clone()
    }

    /// Starts on its own threads, named `isopod-http`. Works from any thread, inside or outside a runtime; on return,
    /// connections are accepted.
    ///
    /// # Errors
    ///
    /// A thread is unavailable, or an address is in use. Everything is cleaned up.
    pub fn start<D: Dispatch>(self, dispatch: D) -> Result<Running, StartError> {
        let (handle, addresses, admin) = (self.handle(), self.addresses.clone(), self.admin_addr());
        let (started, ready) = std::sync::mpsc::sync_channel(1);
        let (report, reported) = oneshot::channel();
        // The runtime is dropped on its own thread, because dropping it in the host's asynchronous code would panic.
        let live = move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(self.threads)
                .thread_name("isopod-http")
                .enable_all()
                .build()
                .map_err(StartError::Threads);
            let main = runtime.and_then(|runtime| Ok((self.listen(runtime.handle(), dispatch)?, runtime)));
            let (main, runtime) = match main {
                Ok(main) => main,
                Err(error) => return drop(started.send(Err(error))),
            };
            drop(started.send(Ok(())));
            let result = runtime.block_on(main);
            runtime.shutdown_timeout(Duration::from_secs(1));
            // Without a receiver if the server was dropped instead of shut down.
            let _ = report.send(result);
        };
        let thread = std::thread::Builder::new()
            .name("isopod-http".into())
            .spawn(live)
            .map_err(StartError::Threads)?;
        // Tokio panics if the system refuses a thread for its runtime, so that the sender is dropped.
        let refused = |_| {
            Err(StartError::Threads(std::io::Error::other(
                "a thread could not be spawned",
            )))
        };
        match ready.recv().unwrap_or_else(refused) {
            Ok(()) => Ok(Running {
                handle,
                addresses,
                admin,
                report: reported,
                thread: Some(thread),
            }),
            Err(error) => {
                let _ = thread.join();
                Err(error)
            }
        }
    }

    /// Starts on the host's runtime, which must have its I/O and time drivers enabled and stay alive.
    ///
    /// # Errors
    ///
    /// An address is in use. Everything is cleaned up.
    pub fn start_on<D: Dispatch>(self, runtime: &Handle, dispatch: D) -> Result<Running, StartError> {
        let (handle, addresses, admin) = (self.handle(), self.addresses.clone(), self.admin_addr());
        let main = self.listen(runtime, dispatch)?;
        let (report, reported) = oneshot::channel();
        runtime.spawn(async move {
            let result = main.await;
            // Without a receiver if the server was dropped instead of shut down.
            let _ = report.send(result);
        });
        Ok(Running {
            handle,
            addresses,
            admin,
            report: reported,
            thread: None,
        })
    }

    fn listen<D: Dispatch>(
        self,
        runtime: &Handle,
        dispatch: D,
    ) -> Result<impl Future<Output = ShutdownReport> + Send + use<D>, StartError> {
        let _entered = runtime.enter();
        let listeners: Vec<_> = self.claims.into_iter().map(Claim::listen).collect::<Result<_, _>>()?;
        let admin = self.admin.map(AdminListener::listen).transpose()?;
        let core = self.handle.core;
        let app = Arc::new(App { core, dispatch });
        Ok(run(app, listeners, admin, runtime.clone()))
    }
}

/// The status of a server for its own admin listener.
impl<D: Dispatch> Status for App<D> {
    fn readiness(&self) -> Readiness {
        match self.core.stage() {
            Stage::Serving => self.dispatch.readiness(),
            Stage::Draining | Stage::Closing => Readiness::NotReady("draining".to_owned()),
        }
    }

    fn figures(&self) -> Vec<Metric> {
        let mut figures = self.core.counts.snapshot();
        figures.extend(self.dispatch.stats());
        figures
    }
}

/// Runs the server from the first connection to the report.
async fn run<D: Dispatch>(
    app: Arc<App<D>>,
    listeners: Vec<Listener>,
    admin: Option<(TcpListener, AdminAccess)>,
    runtime: Handle,
) -> ShutdownReport {
    let core = &app.core;
    let connections = TaskTracker::new();
    let room = Arc::new(Semaphore::new(
        core.limits.connections_max.clamp(1, Semaphore::MAX_PERMITS),
    ));
    let mut accepting: JoinSet<(Accept<D>, Listener)> = JoinSet::new();
    for listener in listeners {
        let accept = Accept {
            app: app.clone(),
            room: room.clone(),
            connections: connections.clone(),
            runtime: runtime.clone(),
        };
        accepting.spawn(accept.until_draining(listener));
    }
    let beside = async {
        match admin {
            Some((listener, access)) => tokio::join!(core.clock.run(), admin::serve(app.clone(), listener, access)).0,
            None => core.clock.run().await,
        }
    };
    let life = async {
        core.draining().await;
        let deadline = core.drain_deadline();
        let open = core.counts.requests_open();
        let before = core.counts.answered();
        core.enter(Stage::Draining);
        let listeners = accepting.join_all().await;
        let mut late = JoinSet::new();
        for (accept, listener) in listeners {
            late.spawn(accept.until_closing(listener));
        }
        connections.close();
        let finish = async {
            // The linger ends early when there are no connections.
            let _ = tokio::time::timeout(core.limits.drain_linger, connections.wait()).await;
            core.enter(Stage::Closing);
            connections.wait().await;
        };
        let in_time = tokio::time::timeout(deadline, finish).await.is_ok();
        core.enter(Stage::Closing);
        let cut = if in_time { 0 } else { core.counts.requests_open() };
        let finished = core.counts.answered() - before;
        tracing::info!(target: "isopod::server", open, finished, cut, "server drained");
        late.join_all().await;
        core.cut.cancel();
        connections.wait().await;
        ShutdownReport { finished, cut }
    };
    tokio::select! {
        report = life => report,
        () = beside => ShutdownReport::default(),
    }
}
