//! The configuration as the rest of the program sees it: plain data, complete, every path and secret looked up.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::cron::Cron;
use super::database::DatabaseLimits;
use super::file::Var;
use super::pool::Pool;
use super::problem::Note;
use super::sections::{Ingress, Jsx, Limits, Log, Mode, Modules, Network, Policy, Recycle, Shutdown, Tls};
use super::values::{DatabaseUrl, Listen, RoutePattern, Secret, TopicPattern};

/// Everything `serve` needs to know. Made by [`load`](super::load).
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The folder that relative paths started from.
    pub root: PathBuf,
    /// Worker threads; `None`: one for each core.
    pub threads: Option<usize>,
    /// Where to listen, at least one place.
    pub listen: Vec<Listen>,
    /// TLS on the TCP listeners.
    pub tls: Option<Tls>,
    /// The listener for health and metrics.
    pub admin: Option<Admin>,
    /// What error responses tell.
    pub mode: Mode,
    /// Logging.
    pub log: Log,
    /// The workers by name; none where `assets` is served.
    pub workers: BTreeMap<String, Worker>,
    /// A folder without a script, whose files are served.
    pub assets: Option<PathBuf>,
    /// Which requests go to which of `workers`, in the order of the file.
    pub routes: Vec<Route>,
    /// All workers together.
    pub pool: Pool,
    /// Limits on what comes in over HTTP.
    pub ingress: Ingress,
    /// How the process ends.
    pub shutdown: Shutdown,
    /// What is worth a line when starting: keys that are accepted and have no effect, workers nothing leads to.
    pub notes: Vec<Note>,
    /// The files that this was read from, those that could have been there included: a change of one changes it.
    pub files: Vec<PathBuf>,
}

/// The listener for health and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens.
    pub listen: Listen,
    /// Names it may be asked by, beside addresses, `localhost` and names without a dot.
    pub hosts: Vec<String>,
    /// What those who ask must know.
    pub token: Option<Secret>,
}

/// One worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// The entry file.
    pub main: PathBuf,
    /// Variables in `env`.
    pub vars: BTreeMap<String, Var>,
    /// Secrets in `env`, with their values.
    pub secrets: BTreeMap<String, Secret>,
    /// SQL databases in `env`.
    pub databases: Vec<Database>,
    /// How long it is kept.
    pub policy: Policy,
    /// Events it interleaves.
    pub concurrency: usize,
    /// Whether it is given fewer while it is always at work.
    pub adapts: bool,
    /// How many are kept warm.
    pub workers_min: usize,
    /// How much of the threads it gets where several want more than there are.
    pub weight: u32,
    /// How many there are at most; `None`: as many as there may be threads.
    pub workers_max: Option<usize>,
    /// What one of it may use.
    pub limits: Limits,
    /// When it is replaced by a fresh one.
    pub recycle: Recycle,
    /// The folder that its modules come from; `None`: that of `main`.
    pub root: Option<PathBuf>,
    /// What its modules may read besides modules.
    pub modules: Modules,
    /// Its import map.
    pub import_map: Option<PathBuf>,
    /// JSX in its .jsx and .tsx files.
    pub jsx: Jsx,
    /// When its `scheduled` handler is called.
    pub crons: Vec<Cron>,
    /// What it has to do with the process's events.
    pub events: Events,
    /// Which hosts it may connect to.
    pub network: Network,
}

impl Config {
    /// Every file that the configuration consists of, or that it names for what is no module: env files, keys, databases,
    /// import maps. No worker may load one, whichever worker it is for.
    pub fn withheld(&self) -> Vec<PathBuf> {
        let tls = self.tls.iter().flat_map(|tls| [&tls.cert, &tls.key]);
        let of_workers = self.workers.values().flat_map(|worker| {
            let databases = worker.databases.iter().filter_map(|database| match &database.url {
                // What follows a question mark is for SQLite.
                DatabaseUrl::Sqlite(path) => Some(PathBuf::from(path.to_string_lossy().split('?').next()?)),
                _ => None,
            });
            databases.chain(worker.import_map.clone())
        });
        let named = self.files.iter().chain(tls).cloned();
        named.chain(of_workers).collect()
    }
}

/// What a worker publishes and subscribes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// The name in `env` that it publishes by; `None`: it may publish nothing.
    pub binding: Option<String>,
    /// What it may publish.
    pub publish: Vec<TopicPattern>,
    /// What its `message` handler is called with.
    pub subscribe: Vec<TopicPattern>,
}

/// A SQL database in `env`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Its name in `env`.
    pub binding: String,
    /// Where it is.
    pub url: DatabaseUrl,
    /// Connections at most, for each worker thread.
    pub max_connections: u32,
    /// What the worker may ask of it.
    pub limits: DatabaseLimits,
}

/// Requests that go to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Which requests.
    pub pattern: RoutePattern,
    /// The worker's name, a key of [`Config::workers`].
    pub worker: String,
}
