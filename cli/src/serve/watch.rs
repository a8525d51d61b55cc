//! The module that follows changes of files: what the configuration then says is deployed.

use std::sync::Arc;

use isopod_host::{Context, Module, PhaseResult, async_trait};
use isopod_server::ServerHandle;
use tokio::sync::Mutex;

use super::changes::Changes;
use super::ingress::Ingress;
use super::scheduler::{Scheduler, Triggers};
use super::site::{Mistakes, Site};
use super::{Source, http};
use crate::config::Config;
use crate::logging;

pub(super) struct Watch {
    source: Arc<Source>,
    first: Arc<Config>,
    changes: Option<Changes>,
}

impl Watch {
    pub(super) fn new(source: Source, first: Arc<Config>) -> Self {
        Self {
            source: Arc::new(source),
            first,
            changes: None,
        }
    }
}

#[async_trait]
impl Module for Watch {
    fn name(&self) -> &str {
        "watch"
    }

    fn depends_on(&self) -> Vec<String> {
        vec![Ingress::NAME.to_owned(), Scheduler::NAME.to_owned()]
    }

    /// What changes while workers start is not missed.
    async fn build(&mut self, _ctx: &Context) -> PhaseResult {
        self.changes = Some(Changes::of(&self.first.root)?);
        Ok(())
    }

    async fn ready(&mut self, ctx: &Context) -> PhaseResult {
        let Some(changes) = self.changes.take() else {
            return Ok(());
        };
        let follower = Follower {
            source: Arc::clone(&self.source),
            first: Arc::clone(&self.first),
            site: ctx.hub().get::<Mutex<Site>>()?,
            server: ctx.hub().get::<ServerHandle>()?,
            triggers: ctx.hub().get::<Triggers>()?,
        };
        let host = ctx.host().clone();
        ctx.service(async move {
            tokio::select! {
                () = follower.follow(changes) => {}
                // What comes now is for the next start.
                () = host.stopping() => {}
            }
            Ok(())
        });
        Ok(())
    }
}

struct Follower {
    source: Arc<Source>,
    first: Arc<Config>,
    site: Arc<Mutex<Site>>,
    server: Arc<ServerHandle>,
    triggers: Arc<Triggers>,
}

impl Follower {
    /// Deploys anew whenever files change, until there is nothing more to watch. A configuration that cannot be read
    /// changes nothing until it is mended.
    async fn follow(self, mut changes: Changes) {
        while let Some(path) = changes.next().await {
            let config = match self.source.read() {
                Ok(config) => Arc::new(config),
                Err(error) => {
                    logging::tell(format_args!("{error:#}"));
                    continue;
                }
            };
            match self.apply(&config).await {
                Ok(mistakes) if mistakes.is_empty() => {
                    logging::tell(format_args!("deployed anew: {} changed", path.display()))
                }
                Ok(mistakes) => eprint!("{mistakes}"),
                Err(error) => logging::tell(format_args!("{error:#}")),
            }
            let fixed = fixed_settings(&self.first, &config);
            if !fixed.is_empty() {
                logging::tell(format_args!(
                    "changed, and taken up by the next start only: {}",
                    fixed.join(", ")
                ));
            }
        }
    }

    /// First what is new, then the routes to it, then what no route leads to any more: no request meets a worker that is
    /// not there.
    async fn apply(&self, config: &Arc<Config>) -> anyhow::Result<Mistakes> {
        let routes = http::routes(config)?;
        let mut site = self.site.lock().await;
        let mistakes = site.deploy(config).await;
        self.server.set_routes(routes);
        self.triggers.send_replace(Arc::clone(config));
        site.retire_all_but(config);
        Ok(mistakes)
    }
}

/// The settings that differ and that a running process cannot take up.
fn fixed_settings(now: &Config, new: &Config) -> Vec<&'static str> {
    [
        ("threads", now.threads != new.threads),
        ("listen", now.listen != new.listen),
        ("tls", now.tls != new.tls),
        ("admin", now.admin != new.admin),
        ("mode", now.mode != new.mode),
        ("log", now.log != new.log),
        ("pool", now.pool != new.pool),
        ("ingress", now.ingress != new.ingress),
        ("shutdown", now.shutdown != new.shutdown),
    ]
    .into_iter()
    .filter_map(|(key, differs)| differs.then_some(key))
    .collect()
}
