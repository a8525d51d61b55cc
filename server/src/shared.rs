//! State that the connections of a server share.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    client::TrustedProxy,
    clock::Clock,
    config::{Limits, Mode, ServerConfig},
    counts::Counts,
    route::Routes,
    tls::Identity,
};

/// Stage of the server, which only advances.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
#[repr(u8)]
pub(crate) enum Stage {
    Serving,
    /// New connections are refused; existing ones, and connections in flight, are served.
    Draining,
    /// Listeners and idle connections are closed.
    Closing,
}

/// State shared by all connections, independent of the dispatch.
pub(crate) struct Core {
    pub(crate) limits: Arc<Limits>,
    pub(crate) routes: ArcSwap<Routes>,
    pub(crate) trusted_proxies: Vec<TrustedProxy>,
    pub(crate) depth_key: Option<String>,
    pub(crate) identities: Vec<Arc<Identity>>,
    pub(crate) mode: Mode,
    pub(crate) clock: Arc<Clock>,
    pub(crate) counts: Counts,
    /// Canceled when [`Stage::Closing`] begins: the listeners close.
    pub(crate) closing: CancellationToken,
    /// Canceled when every connection is dropped at once.
    pub(crate) cut: CancellationToken,
    stage: AtomicU8,
    drain: watch::Sender<Option<Duration>>,
}

/// The shared state, and the dispatch.
pub(crate) struct App<D> {
    pub(crate) core: Arc<Core>,
    pub(crate) dispatch: D,
}

impl Core {
    pub(crate) fn new(config: ServerConfig, identities: Vec<Arc<Identity>>) -> Self {
        Self {
            clock: Clock::new(config.limits.resolution()),
            limits: Arc::new(config.limits),
            routes: ArcSwap::from_pointee(config.routes),
            trusted_proxies: config.trusted_proxies,
            depth_key: config.depth_key,
            identities,
            mode: config.mode,
            counts: Counts::default(),
            closing: CancellationToken::new(),
            cut: CancellationToken::new(),
            stage: AtomicU8::new(Stage::Serving as u8),
            drain: watch::Sender::new(None),
        }
    }

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

    /// Completes when the server starts to drain.
    pub(crate) fn draining(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut drain = self.drain.subscribe();
        async move {
            // The sender lives in the core, as long as the server.
            let _ = drain.wait_for(Option::is_some).await;
        }
    }

    /// Starts the drain. Until it begins, the last deadline counts.
    pub(crate) fn drain_within(&self, deadline: Duration) {
        self.drain.send_replace(Some(deadline));
    }

    /// Returns the time for the drain.
    pub(crate) fn drain_deadline(&self) -> Duration {
        self.drain.borrow().unwrap_or_default()
    }

    /// Enters a stage, unless a later one was entered.
    pub(crate) fn enter(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::AcqRel);
        self.clock.wake_all();
        if stage == Stage::Closing {
            self.closing.cancel();
        }
    }
}
