//! The resolved configuration: plain, complete data, with every path and secret looked up.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::PathBuf;

use isopod::Compatibility;
use isopod::storage::NatsServer;

use super::bindings::{Assets, Bound, Configured, Consumer, Events};
use super::cron::Cron;
use super::file::Var;
use super::modules::{Jsx, Modules};
use super::pool::Pool;
use super::problem::Note;
use super::sections::{Ingress, Isolation, Limits, Log, Mode, Network, Policy, Recycle, Sessions, Shutdown, Tls};
use super::storage::{Engine, Server, UsedServer};
use super::values::{Listen, RoutePattern, Secret};

/// The configuration of `serve`, created by [`load`](super::load).
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder that relative paths refer to.
    pub root: PathBuf,
    /// Number of worker threads; `None` means as many as workers need.
    pub threads: Option<usize>,
    /// Addresses to listen on, at least one.
    pub listen: Vec<Listen>,
    /// TLS on the TCP listeners.
    pub tls: Option<Tls>,
    /// The listener for health and metrics.
    pub admin: Option<Admin>,
    /// Level of detail in error responses.
    pub mode: Mode,
    /// Logging.
    pub log: Log,
    /// Workers by name; none if `assets` is served.
    pub workers: BTreeMap<String, Worker>,
    /// Assets that are served without a worker.
    pub assets: Option<Assets>,
    /// Routes to `workers`, in file order.
    pub routes: Vec<Route>,
    /// Limits on all workers together.
    pub pool: Pool,
    /// The engine of the record of cron ticks.
    pub ticks: Engine,
    /// The server by which the messages of workers reach those of other processes.
    pub events: Option<NatsServer>,
    /// Limits on incoming HTTP.
    pub ingress: Ingress,
    /// Shutdown of the process.
    pub shutdown: Shutdown,
    /// Notes to log at startup: keys without effect, workers without routes.
    pub notes: Vec<Note>,
    /// The files that this was read from, including optional ones that do not exist: a change to one may change the
    /// configuration.
    pub files: Vec<PathBuf>,
    /// The names under which the objects of classes are stored, if they differ from the names of the classes.
    pub(super) object_storage: BTreeMap<String, String>,
}

/// The listener for health and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Address to listen on.
    pub listen: Listen,
    /// Accepted `Host` names in addition to addresses, `localhost` and names without a dot.
    pub hosts: Vec<String>,
    /// Required bearer token.
    pub token: Option<Secret>,
}

/// A worker.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Entry file.
    pub main: PathBuf,
    /// Variables in `env`.
    pub vars: BTreeMap<String, Var>,
    /// Secrets in `env`, with their values.
    pub secrets: BTreeMap<String, Secret>,
    /// Other bindings in `env`.
    pub bindings: Vec<Bound>,
    /// Lifetime of its workers.
    pub policy: Policy,
    /// Place where its workers run.
    pub isolation: Isolation,
    /// Maximum number of interleaved events.
    pub concurrency: usize,
    /// Reduce the number of concurrent events of a worker that is always busy.
    pub adapts: bool,
    /// Number of workers kept warm.
    pub workers_min: usize,
    /// Share of the threads when workers want more than there may be.
    pub weight: u32,
    /// Maximum number of workers; `None` means one per core, or the number of threads if it is set.
    pub workers_max: Option<usize>,
    /// Limits of a worker.
    pub limits: Limits,
    /// Conditions for replacing a worker with a fresh one.
    pub recycle: Recycle,
    /// Limits of its sessions.
    pub sessions: Sessions,
    /// Folder from which modules may be imported; `None` means the folder of `main`.
    pub root: Option<PathBuf>,
    /// Files that scripts may import other than code.
    pub modules: Modules,
    /// Import map.
    pub import_map: Option<PathBuf>,
    /// JSX in .jsx and .tsx files.
    pub jsx: Jsx,
    /// Times at which the `scheduled` handler is called.
    pub crons: Vec<Cron>,
    /// Files that are served beside it.
    pub assets: Option<Assets>,
    /// Topics to publish and subscribe to.
    pub events: Events,
    /// Queues whose messages the `queue` handler gets.
    pub consumers: Vec<Consumer>,
    /// Hosts that it may connect to.
    pub network: Network,
    /// The behavior that follows from its compatibility date and flags.
    pub compatibility: Compatibility,
}

/// A binding of one type in a configuration.
#[derive(Debug)]
pub(crate) struct BoundAs<'a, T> {
    /// The worker that has it.
    pub(crate) worker: &'a str,
    /// Its name in `env`.
    pub(crate) name: &'a str,
    /// The binding.
    pub(crate) binding: &'a T,
}

impl Config {
    /// Returns the bindings of this type, of all workers.
    pub(crate) fn bound<T: Configured>(&self) -> Vec<BoundAs<'_, T>> {
        let workers = self.workers.iter();
        let bound = workers.flat_map(|(worker, of)| of.bindings.iter().map(move |bound| (worker, bound)));
        bound
            .filter_map(|(worker, bound)| {
                let binding: &dyn Any = &*bound.binding;
                Some(BoundAs {
                    worker,
                    name: &bound.name,
                    binding: binding.downcast_ref()?,
                })
            })
            .collect()
    }

    /// Returns the servers that bindings, static assets, cron ticks and messages use.
    pub fn servers(&self) -> Vec<UsedServer> {
        let mut all: Vec<UsedServer> = Vec::new();
        let mut add = |server: Option<Server>, used: String| {
            let Some(server) = server else { return };
            match all.iter_mut().find(|known| known.server == server) {
                Some(known) if known.uses.contains(&used) => {}
                Some(known) => known.uses.push(used),
                None => all.push(UsedServer {
                    server,
                    uses: vec![used],
                }),
            }
        };
        for (name, worker) in &self.workers {
            for Bound { name: key, binding } in &worker.bindings {
                add(binding.server(), format!("env.{key} of {name}"));
            }
            for consumer in &worker.consumers {
                let queues = [Some(&consumer.queue), consumer.dead_letters.as_ref()];
                for queue in queues.into_iter().flatten() {
                    add(queue.kept.server(), format!("queue {} of {name}", queue.name));
                }
            }
            let bucket = worker.assets.as_ref().and_then(|assets| assets.place.bucket());
            add(bucket, format!("assets of {name}"));
        }
        add(
            self.assets.as_ref().and_then(|assets| assets.place.bucket()),
            "assets".to_owned(),
        );
        if let Engine::Server(server) = &self.ticks
            && self.workers.values().any(|worker| !worker.crons.is_empty())
        {
            add(Some(Server::Postgres(server.clone())), "cron ticks".to_owned());
        }
        add(self.events.clone().map(Server::Nats), "events".to_owned());
        all
    }

    /// Returns every file of the configuration, and those it names that are not modules: env files, keys, databases, import
    /// maps. No worker may import any of them.
    pub fn withheld(&self) -> Vec<PathBuf> {
        let tls = self.tls.iter().flat_map(|tls| [&tls.cert, &tls.key]);
        let of_workers = self.workers.values().flat_map(|worker| {
            let bindings = worker.bindings.iter().flat_map(|bound| bound.binding.withheld());
            let consumers = worker.consumers.iter();
            let queues = consumers.flat_map(|consumer| [Some(&consumer.queue), consumer.dead_letters.as_ref()]);
            let queues = queues.flatten().filter_map(|queue| queue.kept.file());
            let queues = queues.map(ToOwned::to_owned);
            bindings.chain(queues).chain(worker.import_map.clone())
        });
        let named = self.files.iter().chain(tls).cloned();
        named.chain(of_workers).collect()
    }
}

/// A route to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The matching requests.
    pub pattern: RoutePattern,
    /// The worker's name, a key of [`Config::workers`].
    pub worker: String,
}
