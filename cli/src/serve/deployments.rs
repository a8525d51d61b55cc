//! Deployment of a configuration's workers in a pool, with their connections to the bus.

use std::collections::{BTreeMap, BTreeSet};
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

use super::changes::{Burst, real};
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
    /// Workers that could not start.
    broken: BTreeSet<String>,
    /// A part of the last deployment failed.
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

/// The workers that a deployment starts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    /// Those that the changes concern; the others continue.
    Only(BTreeSet<String>),
}

impl Scope {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }
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
            broken: BTreeSet::new(),
            is_broken: false,
        }
    }

    /// Returns the maximum number of workers at a time.
    pub(super) fn workers_max(&self) -> usize {
        self.pool.stats().threads.max
    }

    /// Returns the workers that changes concern: those that have loaded a changed file, and those of the last deployment that
    /// could not start. `shared` are the files of the configuration, which concern all workers.
    pub(super) fn scope(&self, burst: &Burst, config: &Config, shared: &BTreeSet<PathBuf>) -> Scope {
        let Some(changed) = &burst.files else {
            return Scope::All;
        };
        let loaded = self.deployed.iter().map(|(name, place)| {
            let main = config.workers.get(name).map(|worker| worker.main.clone());
            let files = place.modules.files().into_iter().chain(main);
            (name, files.map(|file| real(&file)).collect::<BTreeSet<_>>())
        });
        let loaded: Vec<_> = loaded.collect();
        let concerns_one =
            |path: &PathBuf| !shared.contains(path) && loaded.iter().any(|(_, files)| files.contains(path));
        if !changed.iter().all(concerns_one) || config.workers.keys().any(|name| !self.deployed.contains_key(name)) {
            return Scope::All;
        }
        let of_changed = loaded.iter().filter(|(_, files)| !files.is_disjoint(changed));
        let names = of_changed.map(|(name, _)| (*name).clone());
        Scope::Only(names.chain(self.broken.iter().cloned()).collect())
    }

    /// Deploys workers at the same time, and waits until each has started or failed. A worker that cannot start responds with its
    /// error; others are deployed regardless.
    pub(super) async fn deploy(&mut self, config: &Config, scope: &Scope) -> Mistakes {
        let hosts = config.routes.iter().filter_map(|route| route.pattern.host.as_deref());
        self.servers.set_hosts(hosts.map(str::to_ascii_lowercase).collect());
        let mut mistakes = Mistakes::default();
        mistakes.0.extend(self.sites.set(config).await.err());
        let workers = config.workers.iter().filter(|(name, _)| scope.has(name));
        let mut results = Vec::new();
        for (name, worker) in workers.clone() {
            results.push(self.install(config, name, worker).await);
        }
        // The pool decides how many of them start at once.
        let started = workers.zip(results).map(async |((name, worker), installed)| {
            let started = match installed {
                Ok(()) => self.pool.warm(name).await.map_err(|failure| failure_error(&failure)),
                Err(error) => Err(error),
            };
            (name, worker, started)
        });
        for (name, worker, started) in join_all(started).await {
            let started = self.subscribe(name, worker).and(started);
            match started.with_context(|| format!("worker {name:?} cannot start")) {
                Ok(()) => self.broken.remove(name),
                Err(error) => {
                    mistakes.0.push(error);
                    self.broken.insert(name.clone())
                }
            };
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

    /// A part of the last deployment failed.
    pub(super) const fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Returns the files of modules that the workers have loaded.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.deployed.values().flat_map(|place| place.modules.files()).collect()
    }

    /// Deploys a worker, which does not start yet.
    async fn install(&mut self, config: &Config, name: &str, worker: &config::Worker) -> Result<()> {
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
        Ok(())
    }

    /// Connects a deployed worker's subscriptions, unless they are those of its last version.
    fn subscribe(&mut self, name: &str, worker: &config::Worker) -> Result<()> {
        let Some(place) = self.deployed.get_mut(name) else {
            return Ok(());
        };
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
        Ok(())
    }

    /// Undeploys workers that are no longer configured.
    pub(super) fn retire_all_but(&mut self, config: &Config) {
        for (gone, _) in self
            .deployed
            .extract_if(.., |name, _| !config.workers.contains_key(name))
        {
            self.pool.undeploy(&gone);
            self.broken.remove(&gone);
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
