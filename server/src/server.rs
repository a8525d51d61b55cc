//! Starting and stopping: the stages of a server's life are decided here and nowhere else.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::{Semaphore, oneshot, watch},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accept::Accept,
    admin,
    clock::Clock,
    config::{Address, Limits, Mode, ServerConfig},
    dispatch::Dispatch,
    error::StartError,
    listener::{self, Listener},
    metrics::Counts,
    route::Routes,
};

/// Where the server is in its life. It only ever moves on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
#[repr(u8)]
pub(crate) enum Stage {
    Serving,
    /// Nobody new is let in; who is in, or was on the way, is answered.
    Draining,
    /// Listeners and idle connections are closed.
    Closing,
}

/// What all connections share, whatever answers the requests.
pub(crate) struct Core {
    pub(crate) limits: Arc<Limits>,
    pub(crate) routes: ArcSwap<Routes>,
    pub(crate) mode: Mode,
    pub(crate) clock: Arc<Clock>,
    pub(crate) counts: Counts,
    /// Cancelled when [`Stage::Closing`] begins: the listeners close.
    pub(crate) closing: CancellationToken,
    /// Cancelled: every connection is dropped where it stands.
    pub(crate) cut: CancellationToken,
    stage: AtomicU8,
    drain: watch::Sender<Option<Duration>>,
}

pub(crate) struct App<D> {
    pub(crate) core: Arc<Core>,
    pub(crate) dispatch: D,
}

impl Core {
    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Acquire) {
            0 => Stage::Serving,
            1 => Stage::Draining,
            _ => Stage::Closing,
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.stage() != Stage::Serving
    }

    /// Done once the server drains.
    pub(crate) fn draining(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut drain = self.drain.subscribe();
        async move {
            // The sender lives in the core; if it is gone, so is the server.
            let _ = drain.wait_for(Option::is_some).await;
        }
    }

    fn enter(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::AcqRel);
        self.clock.wake_all();
        if stage == Stage::Closing {
            self.closing.cancel();
        }
    }
}

/// A server that has not been started.
///
/// ```
/// # use isopod_server::{Body, BoxError, Dispatch, Failure, RequestMeta, Routes, Server, ServerConfig};
/// # use http_body_util::{BodyExt, Full};
/// struct Hello;
///
/// impl Dispatch for Hello {
///     async fn fetch(&self, _: &str, _: http::Request<Body>, _: RequestMeta) -> Result<http::Response<Body>, Failure> {
///         let body = Full::from("hello").map_err(|never| match never {}).boxed_unsync();
///         Ok(http::Response::new(body))
///     }
/// }
///
/// let config = ServerConfig { routes: Routes::to("hello"), ..ServerConfig::default() };
/// let running = Server::new(config, Hello).start()?;
/// println!("listening on {}", running.local_addrs()[0]);
/// # Ok::<(), isopod_server::StartError>(())
/// ```
pub struct Server<D> {
    config: ServerConfig,
    dispatch: D,
}

impl<D: Dispatch> Server<D> {
    /// A server that has `dispatch` answer what comes in.
    pub const fn new(config: ServerConfig, dispatch: D) -> Self {
        Self { config, dispatch }
    }

    /// Starts the server on threads of its own, named `isopod-http`. Works from any thread, inside a runtime or not;
    /// when it returns, connections are accepted.
    ///
    /// # Errors
    ///
    /// When an address, a certificate or a thread cannot be had. Nothing is left running then.
    pub fn start(self) -> Result<Running, StartError> {
        let (started, ready) = std::sync::mpsc::sync_channel(1);
        let (report, reported) = oneshot::channel();
        // The runtime lives and ends on a thread of its own: where the host runs async code, dropping one would panic.
        let live = move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(self.config.threads.max(1))
                .thread_name("isopod-http")
                .enable_all()
                .build()
                .map_err(StartError::Threads);
            let bound = runtime.and_then(|runtime| Ok((self.bind(runtime.handle())?, runtime)));
            let ((bound, main), runtime) = match bound {
                Ok(bound) => bound,
                Err(error) => return drop(started.send(Err(error))),
            };
            drop(started.send(Ok(bound)));
            let result = runtime.block_on(main);
            runtime.shutdown_timeout(Duration::from_secs(1));
            // Nobody waits when the server was dropped instead of shut down.
            let _ = report.send(result);
        };
        let thread = std::thread::Builder::new()
            .name("isopod-http".into())
            .spawn(live)
            .map_err(StartError::Threads)?;
        // Tokio panics where the system refuses a thread of its runtime: then nobody answers.
        let refused = |_| Err(StartError::Threads(std::io::Error::other("one of them was refused")));
        match ready.recv().unwrap_or_else(refused) {
            Ok(bound) => Ok(bound.running(reported, Some(thread))),
            Err(error) => {
                let _ = thread.join();
                Err(error)
            }
        }
    }

    /// Starts the server on a runtime of the host's. It must have its I/O and time drivers enabled, and stay alive.
    ///
    /// # Errors
    ///
    /// When an address or a certificate cannot be had. Nothing is left running then.
    pub fn start_on(self, runtime: &Handle) -> Result<Running, StartError> {
        let (bound, main) = self.bind(runtime)?;
        let (report, reported) = oneshot::channel();
        runtime.spawn(async move {
            let result = main.await;
            // Nobody waits when the server was dropped instead of shut down.
            let _ = report.send(result);
        });
        Ok(bound.running(reported, None))
    }

    fn bind(
        self,
        runtime: &Handle,
    ) -> Result<(Bound, impl Future<Output = ShutdownReport> + Send + use<D>), StartError> {
        let _entered = runtime.enter();
        let Self { config, dispatch } = self;
        if config.listeners.is_empty() {
            return Err(StartError::NoListener);
        }
        let mut listeners = Vec::with_capacity(config.listeners.len());
        let mut addresses = Vec::with_capacity(config.listeners.len());
        for listen in &config.listeners {
            let listener = Listener::bind(listen)?;
            let refused = |source| StartError::Bind {
                address: listen.address.clone(),
                source,
            };
            addresses.push(listener.address(&listen.address).map_err(refused)?);
            listeners.push(listener);
        }
        let admin = match config.admin {
            Some(address) => {
                let refused = |source| StartError::BindAdmin { address, source };
                let listener = listener::tcp(address).map_err(refused)?;
                let address = listener.local_addr().map_err(refused)?;
                Some((listener, address))
            }
            None => None,
        };
        let core = Arc::new(Core {
            clock: Clock::new(config.limits.resolution()),
            limits: Arc::new(config.limits),
            routes: ArcSwap::from_pointee(config.routes),
            mode: config.mode,
            counts: Counts::default(),
            closing: CancellationToken::new(),
            cut: CancellationToken::new(),
            stage: AtomicU8::new(Stage::Serving as u8),
            drain: watch::Sender::new(None),
        });
        let bound = Bound {
            core: core.clone(),
            addresses,
            admin: admin.as_ref().map(|(_, address)| *address),
        };
        let app = Arc::new(App { core, dispatch });
        Ok((bound, run(app, listeners, admin.map(|(listener, _)| listener))))
    }
}

/// The server's life, from the first connection to the report.
async fn run<D: Dispatch>(app: Arc<App<D>>, listeners: Vec<Listener>, admin: Option<TcpListener>) -> ShutdownReport {
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
        };
        accepting.spawn(accept.until_draining(listener));
    }
    let beside = async {
        match admin {
            Some(listener) => tokio::join!(core.clock.run(), admin::serve(app.clone(), listener)).0,
            None => core.clock.run().await,
        }
    };
    let life = async {
        core.draining().await;
        let deadline = core.drain.borrow().unwrap_or_default();
        let open = core.counts.requests_open.load(Ordering::Acquire);
        let before = core.counts.answered();
        core.enter(Stage::Draining);
        let listeners = accepting.join_all().await;
        let mut late = JoinSet::new();
        for (accept, listener) in listeners {
            late.spawn(accept.until_closing(listener));
        }
        connections.close();
        let finish = async {
            // Too short a linger is no linger, and no longer than what there is.
            let _ = tokio::time::timeout(core.limits.drain_linger, connections.wait()).await;
            core.enter(Stage::Closing);
            connections.wait().await;
        };
        let in_time = tokio::time::timeout(deadline, finish).await.is_ok();
        core.enter(Stage::Closing);
        let cut = if in_time {
            0
        } else {
            core.counts.requests_open.load(Ordering::Acquire)
        };
        let finished = core.counts.answered() - before;
        tracing::info!(target: "isopod::server", open, finished, cut, "the server has drained");
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

/// How a shutdown went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Requests answered to their end while the server drained.
    pub finished: u64,
    /// Requests cut off at the deadline.
    pub cut: u64,
}

struct Bound {
    core: Arc<Core>,
    addresses: Vec<Address>,
    admin: Option<SocketAddr>,
}

impl Bound {
    fn running(self, report: oneshot::Receiver<ShutdownReport>, thread: Option<JoinHandle<()>>) -> Running {
        Running {
            bound: self,
            report,
            thread,
        }
    }
}

/// A server that accepts connections. Dropping it cuts them all at once; [`Running::shutdown`] is the kind way.
#[must_use = "dropping a running server stops it"]
pub struct Running {
    bound: Bound,
    report: oneshot::Receiver<ShutdownReport>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Where the server listens, in the order of the configuration, with the ports the system chose.
    #[must_use]
    pub fn local_addrs(&self) -> &[Address] {
        &self.bound.addresses
    }

    /// Where health and metrics are served, if they are.
    #[must_use]
    pub const fn admin_addr(&self) -> Option<SocketAddr> {
        self.bound.admin
    }

    /// Has these routes decide from the next request on. Those under way stay where they went.
    pub fn set_routes(&self, routes: Routes) {
        self.bound.core.routes.store(Arc::new(routes));
    }

    /// Drains: `/readyz` says so, nothing new is accepted, accepted requests are answered and their connections
    /// closed. After `deadline` what is left is cut. Dropping the future cuts at once.
    pub async fn shutdown(mut self, deadline: Duration) -> ShutdownReport {
        self.bound.core.drain.send_replace(Some(deadline));
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
        self.bound.core.cut.cancel();
        self.bound.core.drain.send_replace(Some(Duration::ZERO));
    }
}
