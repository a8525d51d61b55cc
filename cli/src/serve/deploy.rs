//! Host module that deploys the configured workers. They start before connections are accepted.

use std::sync::Arc;

use isopod::host::{Context, Module, PhaseResult, async_trait};
use isopod::{CacheLimits, OwnServers, Pool, ResponseCache};
use tokio::sync::Mutex;

use super::deployments::{Deployments, Scope};
use super::life::Life;
use super::memory::Returns;
use super::sites::Sites;
use super::{banner, pool, sandbox};
use crate::config::{Config, OpenQueues};
use crate::logging;

/// Policy for a worker that cannot start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// The process exits.
    Fatal,
    /// The error page is served until a change fixes it, in development.
    Shown,
}

pub(super) struct Deploy {
    config: Arc<Config>,
    mistake: Mistake,
    life: Arc<Life>,
    servers: OwnServers,
    sites: Sites,
    queues: Arc<OpenQueues>,
    deployments: Option<Arc<Mutex<Deployments>>>,
    returns: Option<Returns>,
}

impl Deploy {
    pub(super) const NAME: &'static str = "deployments";

    /// `returns` returns memory to the operating system while there are workers.
    pub(super) const fn new(
        config: Arc<Config>,
        mistake: Mistake,
        servers: OwnServers,
        sites: Sites,
        queues: Arc<OpenQueues>,
        life: Arc<Life>,
        returns: Returns,
    ) -> Self {
        Self {
            config,
            mistake,
            life,
            servers,
            sites,
            queues,
            deployments: None,
            returns: Some(returns),
        }
    }
}

#[async_trait]
impl Module for Deploy {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn depends_on(&self) -> Vec<String> {
        vec![pool::NAME.to_owned()]
    }

    async fn build(&mut self, ctx: &Context) -> PhaseResult {
        let pool = ctx.hub().get::<Pool>()?;
        let limits = CacheLimits::default()
            .bytes_max(self.config.pool.cache)
            .object_bytes_max(usize::try_from(self.config.pool.cache_object).unwrap_or(usize::MAX));
        let deployments = Deployments::new(
            Pool::clone(&pool),
            ResponseCache::new(limits),
            self.servers.clone(),
            self.sites.clone(),
            Arc::clone(&self.queues),
            ctx,
        );
        let deployments = Arc::new(Mutex::new(deployments));
        ctx.hub().register(Arc::clone(&deployments))?;
        self.deployments = Some(deployments);
        Ok(())
    }

    async fn start(&mut self, ctx: &Context) -> PhaseResult {
        let Some(deployments) = &self.deployments else {
            return Ok(());
        };
        sandbox::look(&self.config, &*ctx.hub().get::<Pool>()?).await?;
        let mut deployments = deployments.lock().await;
        let mistakes = tokio::select! {
            mistakes = deployments.deploy(&self.config, &Scope::All) => mistakes,
            // A shutdown during startup does not wait for workers to boot.
            () = ctx.host().stopping() => return Ok(()),
        };
        match self.mistake {
            Mistake::Fatal if !mistakes.is_empty() => Err(mistakes.into_error().into()),
            Mistake::Fatal | Mistake::Shown => {
                banner::lines(&self.config, deployments.workers_max())
                    .iter()
                    .for_each(logging::tell);
                eprint!("{mistakes}");
                Ok(())
            }
        }
    }

    async fn drain(&mut self, _ctx: &Context) -> PhaseResult {
        if let Some(deployments) = &self.deployments {
            let messages = async { deployments.lock().await.drain_subscriptions().await };
            if tokio::time::timeout(self.life.left().max(pool::DRAIN_MIN), messages)
                .await
                .is_err()
            {
                tracing::warn!(target: "isopod", "not all messages were handled before the shutdown deadline");
            }
        }
        Ok(())
    }

    async fn close(&mut self, _ctx: &Context) -> PhaseResult {
        self.deployments = None;
        self.returns = None;
        Ok(())
    }
}
