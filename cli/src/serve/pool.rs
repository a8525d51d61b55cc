//! Host module with the pool. Its workers start before connections are accepted, and finish after the last request.

use std::sync::Arc;
use std::time::Duration;

use isopod_host::{Context, Module, PhaseResult, async_trait};
use isopod_pool::js::fetch::OwnServers;
use isopod_pool::js::{OsScheduling, Pool, PoolBuilder};
use tokio::sync::Mutex;

use super::banner;
use super::life::Life;
use super::memory::Returns;
use super::site::Site;
use crate::config::{self, Config};
use crate::logging;

/// Minimum time for finishing accepted work, even if requests have used up the deadline.
const DRAIN_MIN: Duration = Duration::from_secs(1);
/// Time for joining threads; workers are idle by then.
const CLOSE: Duration = Duration::from_secs(1);

/// Policy for a worker that cannot start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// The process exits.
    Fatal,
    /// The error page is served until a change fixes it, in development.
    Shown,
}

pub(super) struct WorkerPool {
    config: Arc<Config>,
    mistake: Mistake,
    life: Arc<Life>,
    servers: OwnServers,
    pool: Option<(Pool, Arc<Mutex<Site>>)>,
    returns: Option<Returns>,
}

impl WorkerPool {
    pub(super) const NAME: &'static str = "pool";

    pub(super) const fn new(config: Arc<Config>, mistake: Mistake, servers: OwnServers, life: Arc<Life>) -> Self {
        Self {
            config,
            mistake,
            life,
            servers,
            pool: None,
            returns: None,
        }
    }
}

#[async_trait]
impl Module for WorkerPool {
    fn name(&self) -> &str {
        Self::NAME
    }

    async fn build(&mut self, ctx: &Context) -> PhaseResult {
        let returns = Returns::start()?;
        let pool = pool_builder(&self.config)
            .on(ctx.bus().observer())
            .on(returns.observer());
        let pool = pool.build()?;
        self.returns = Some(returns);
        let site = Arc::new(Mutex::new(Site::new(pool.clone(), self.servers.clone(), ctx)));
        ctx.hub().register(Arc::new(pool.clone()))?;
        ctx.hub().register(Arc::clone(&site))?;
        self.pool = Some((pool, site));
        Ok(())
    }

    async fn start(&mut self, ctx: &Context) -> PhaseResult {
        let Some((_, site)) = &self.pool else { return Ok(()) };
        let mut site = site.lock().await;
        let mistakes = tokio::select! {
            mistakes = site.deploy(&self.config) => mistakes,
            // Whoever stops a process that only begins does not want to wait for it.
            () = ctx.host().stopping() => return Ok(()),
        };
        match self.mistake {
            Mistake::Fatal if !mistakes.is_empty() => Err(mistakes.into_error().into()),
            Mistake::Fatal | Mistake::Shown => {
                let threads = self.config.threads.unwrap_or_else(processors);
                banner::lines(&self.config, threads).iter().for_each(logging::tell);
                eprint!("{mistakes}");
                Ok(())
            }
        }
    }

    async fn drain(&mut self, _ctx: &Context) -> PhaseResult {
        if let Some((pool, site)) = &self.pool {
            let messages = async { site.lock().await.drain_subscriptions().await };
            if tokio::time::timeout(self.life.left().max(DRAIN_MIN), messages)
                .await
                .is_err()
            {
                tracing::warn!(target: "isopod", "not all messages were handled before the shutdown deadline");
            }
            // How many were cut the server has counted, or the log has said of each.
            let report = pool.drain(self.life.left().max(DRAIN_MIN)).await;
            tracing::debug!(target: "isopod", ?report, "pool drained");
        }
        Ok(())
    }

    async fn close(&mut self, _ctx: &Context) -> PhaseResult {
        if let Some((pool, _)) = self.pool.take() {
            let report = pool.shutdown(CLOSE).await;
            self.life.threads_joined(report.threads_joined);
            self.returns = None;
        }
        Ok(())
    }
}

/// Default number of threads, as in the pool's builder.
fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

pub(crate) fn pool_builder(config: &Config) -> PoolBuilder {
    let builder = Pool::builder();
    let builder = match config.threads {
        Some(threads) => builder.threads(threads),
        None => builder,
    };
    let settings = &config.pool;
    let mut builder = builder
        .os_scheduling(match settings.os_scheduling {
            config::OsScheduling::Tuned => OsScheduling::Tuned,
            config::OsScheduling::Untouched => OsScheduling::Untouched,
        })
        .lost_grace(settings.lost_grace)
        .wall_grace(settings.wall_grace)
        .queue_target(settings.queue_target)
        .queue_interval(settings.queue_interval);
    if let Some(threads) = settings.lost_threads_max {
        builder = builder.lost_threads_max(threads);
    }
    if let Some(bytes) = settings.memory.and_then(|bytes| usize::try_from(bytes).ok()) {
        builder = builder.memory_bytes_max(bytes);
    }
    if let Some(events) = settings.queue {
        builder = builder.queue_total_max(events);
    }
    builder
}
