//! Deployment of a configuration's workers in a pool, with their connections to the bus.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use futures::future::join_all;
use isopod::bindings::rate_limit::RateLimitNamespaces;
use isopod::host::Context;
use isopod::host::bus::Bus;
use isopod::host::workers::{DeliverOptions, EventBridge, WorkerSubscription};
use isopod::modules::ModulesLoaded;
use isopod::{Failure, OwnServers, Pool, ResponseCache};
use tokio::runtime::Handle;

use super::sites::Sites;
use crate::config::{self, Config, Materials, OpenQueues};
use crate::logging;
use crate::scripts;

/// A configuration's workers in a pool.
pub(super) struct Deployments {
    pool: Pool,
    /// The cache behind `caches` of all workers.
    cache: ResponseCache,
    bus: Bus,
    runtime: Handle,
    servers: OwnServers,
    sites: Sites,
    queues: Arc<OpenQueues>,
    rate_limits: RateLimitNamespaces,
    deployed: BTreeMap<String, Place>,
    /// A worker of the last deployment could not start.
    is_broken: bool,
}

/// A worker's connection to the bus. It is kept across versions, so that no message is lost.
struct Place {
    events: config::Events,
    bridge: EventBridge,
    subscription: Option<WorkerSubscription>,
    /// Modules loaded by its version.
    modules: ModulesLoaded,
}

/// Errors that kept workers from starting, each with the worker's name.
#[derive(Default)]
pub(super) struct Mistakes(Vec<anyhow::Error>);

impl Mistakes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_error(self) -> anyhow::Error {
        anyhow::anyhow!("{}", self.to_string().trim_end())
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|error| writeln!(f, "{error:#}"))
    }
}

impl Deployments {
    pub(super) fn new(
        pool: Pool,
        cache: ResponseCache,
        servers: OwnServers,
        sites: Sites,
        queues: Arc<OpenQueues>,
        ctx: &Context,
    ) -> Self {
        Self {
            pool,
            cache,
            bus: ctx.bus().clone(),
            runtime: ctx.runtime().clone(),
            servers,
            sites,
            queues,
            rate_limits: RateLimitNamespaces::default(),
            deployed: BTreeMap::new(),
            is_broken: false,
        }
    }

    /// Returns the maximum number of workers at a time.
    pub(super) fn workers_max(&self) -> usize {
        self.pool.stats().threads.max
    }

    /// Deploys every worker and waits until each has started or failed. A worker that cannot start responds with its error;
    /// others are deployed regardless.
    pub(super) async fn deploy(&mut self, config: &Config) -> Mistakes {
        let hosts = config.routes.iter().filter_map(|route| route.pattern.host.as_deref());
        self.servers.set_hosts(hosts.map(str::to_ascii_lowercase).collect());
        let mut mistakes = Mistakes::default();
        mistakes.0.extend(self.sites.set(config).await.err());
        for (name, worker) in &config.workers {
            let started = self.deploy_one(config, name, worker).await;
            if let Err(error) = started.with_context(|| format!("worker {name:?} cannot start")) {
                mistakes.0.push(error);
            }
        }
        self.is_broken = !mistakes.is_empty();
        mistakes
    }

    /// Starts every worker once next to the deployed ones, then drops it.
    pub(super) async fn rehearse(&self, config: &Config) -> Mistakes {
        let mut mistakes = Mistakes::default();
        for (name, worker) in &config.workers {
            let started = self.rehearse_one(config, name, worker).await;
            if let Err(error) = started.with_context(|| format!("worker {name:?} cannot start")) {
                mistakes.0.push(error);
            }
        }
        mistakes
    }

    async fn rehearse_one(&self, config: &Config, name: &str, worker: &config::Worker) -> Result<()> {
        let bridge = scripts::bridge(&self.bus, name, worker)?;
        let from = Materials {
            worker: name,
            pool: &self.pool,
            cache: &self.cache,
            bridge: &bridge,
            queues: &self.queues,
            rate_limits: &self.rate_limits,
        };
        let (script, mut options) = scripts::script(config, name, worker, &from, &self.servers)?;
        options.workers_min = 0;
        let rehearsal = format!("{name} (rehearsal)");
        self.pool.deploy(rehearsal.as_str(), script, &options)?;
        let started = self.pool.warm(&rehearsal).await;
        self.pool.undeploy(&rehearsal);
        started.map_err(|failure| failure_error(&failure))
    }

    /// A worker of the last deployment could not start.
    pub(super) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Returns the files of modules that the workers have loaded.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.deployed.values().flat_map(|place| place.modules.files()).collect()
    }

    /// Deploys a worker, waits until it has started, and connects its subscriptions.
    async fn deploy_one(&mut self, config: &Config, name: &str, worker: &config::Worker) -> Result<()> {
        let before = self.deployed.remove(name);
        let place = match before {
            Some(place) if place.events == worker.events => place,
            changed => {
                // Two subscriptions at a time would deliver messages twice.
                if let Some(subscription) = changed.and_then(|place| place.subscription) {
                    subscription.drain().await;
                }
                Place {
                    events: worker.events.clone(),
                    bridge: scripts::bridge(&self.bus, name, worker)?,
                    subscription: None,
                    modules: ModulesLoaded::default(),
                }
            }
        };
        let place = self.deployed.entry(name.to_owned()).or_insert(place);
        let from = Materials {
            worker: name,
            pool: &self.pool,
            cache: &self.cache,
            bridge: &place.bridge,
            queues: &self.queues,
            rate_limits: &self.rate_limits,
        };
        let (script, options) = scripts::script(config, name, worker, &from, &self.servers)?;
        place.modules = script.modules_loaded();
        self.pool.deploy(name, script, &options)?;
        let started = self.pool.warm(name).await.map_err(|failure| failure_error(&failure));
        if place.subscription.is_none() && !worker.events.subscribe.is_empty() {
            let patterns: Vec<_> = worker
                .events
                .subscribe
                .iter()
                .map(|topic| topic.pattern().as_str())
                .collect();
            let options = DeliverOptions::default();
            place.subscription = Some(place.bridge.subscribe(&self.runtime, &self.pool, &patterns, options)?);
        }
        started
    }

    /// Undeploys workers that are no longer configured.
    pub(super) fn retire_all_but(&mut self, config: &Config) {
        for (gone, _) in self
            .deployed
            .extract_if(.., |name, _| !config.workers.contains_key(name))
        {
            self.pool.undeploy(&gone);
            logging::tell(format_args!("removed worker {gone:?}; its requests in flight finish"));
        }
    }

    /// Lets workers finish received messages and accepts no more.
    pub(super) async fn drain_subscriptions(&mut self) {
        let places = self.deployed.values_mut();
        let subscriptions: Vec<_> = places.filter_map(|place| place.subscription.take()).collect();
        join_all(subscriptions.into_iter().map(WorkerSubscription::drain)).await;
    }
}

/// Formats a failure for the terminal, with its code excerpt.
pub(crate) fn failure_error(failure: &Failure) -> anyhow::Error {
    anyhow::anyhow!("{}", failure.detail.as_ref().unwrap_or(&failure.message))
}
