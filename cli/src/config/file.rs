//! `isopod.toml` as it is written. [`resolve`](super::resolve) makes a [`Config`](super::Config) of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::cron::Cron;
use super::database::DatabaseLimits;
use super::pool::Pool;
use super::sections::{
    Ingress, Jsx, Limits, Log, Mode, Modules, Network, Policy, Recycle, Shutdown, Tls, WorkerNetwork,
};
use super::values::{DatabaseUrl, Listen, RoutePattern, Secret, TopicPattern, WorkerName};

/// Worker threads at most. Each has an event loop and I/O threads of its own, so more is a slip of the finger.
pub(super) const THREADS_MAX: usize = 1024;

/// Isopod's configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct File {
    /// The schema this file follows, for editors.
    #[serde(rename = "$schema")]
    pub(super) schema: Option<String>,
    /// The name of the worker at the top level; absent: `main`.
    #[schemars(extend("format" = WorkerName::FORMAT))]
    pub(super) name: Option<String>,
    /// The settings of the worker at the top level.
    #[serde(flatten)]
    pub(super) worker: WorkerFile,
    /// Worker threads; 0: one for each core.
    #[schemars(range(min = 0, max = THREADS_MAX))]
    pub(super) threads: usize,
    /// Where to listen; `unix:` paths are taken from this file's folder.
    pub(super) listen: Vec<Listen>,
    /// TLS on the TCP listeners; absent: plain.
    pub(super) tls: Option<Tls>,
    /// The listener for health and metrics; absent: none.
    pub(super) admin: Option<AdminFile>,
    /// What error responses tell.
    pub(super) mode: Mode,
    /// Logging.
    pub(super) log: Log,
    /// Files with `NAME=value` lines that `secrets`, `url_from` and `token_from` are looked up in, after the environment; later ones win.
    pub(super) env_files: Vec<PathBuf>,
    /// Which requests go to which worker; the most specific pattern wins. Absent: all to the only worker.
    pub(super) routes: Vec<RouteFile>,
    /// Several workers, by name.
    #[schemars(extend("propertyNames" = { "format": WorkerName::FORMAT }))]
    pub(super) workers: BTreeMap<String, NamedWorkerFile>,
    /// Which hosts workers may connect to.
    pub(super) network: Network,
    /// All workers together.
    pub(super) pool: Pool,
    /// Limits on what comes in over HTTP.
    pub(super) ingress: Ingress,
    /// How the process ends.
    pub(super) shutdown: Shutdown,
    /// A folder without a script, whose files are served.
    #[serde(skip)]
    pub(super) assets: Option<PathBuf>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            schema: None,
            name: None,
            worker: WorkerFile::default(),
            threads: 0,
            listen: vec![Listen::Tcp(std::net::SocketAddr::from(([127, 0, 0, 1], 8787)))],
            tls: None,
            admin: None,
            mode: Mode::default(),
            log: Log::default(),
            env_files: Vec::new(),
            routes: Vec::new(),
            workers: BTreeMap::new(),
            network: Network::default(),
            pool: Pool::default(),
            ingress: Ingress::default(),
            shutdown: Shutdown::default(),
            assets: None,
        }
    }
}

/// The listener for `/healthz`, `/readyz`, `/metrics` and `/stats`, apart from the public ones.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(super) struct AdminFile {
    /// Where it listens.
    pub(super) listen: Listen,
    /// Names it may be asked by, beside addresses, `localhost` and names without a dot.
    #[serde(default)]
    pub(super) hosts: Vec<String>,
    /// What `authorization: Bearer` must say, for all paths but `/healthz` and `/readyz`; absent: nothing.
    pub(super) token: Option<String>,
    /// The name of the environment variable that holds the token, which keeps it out of this file.
    pub(super) token_from: Option<String>,
}

/// One of several workers. The one at the top level has the process's `network`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct NamedWorkerFile {
    #[serde(flatten)]
    pub(super) worker: WorkerFile,
    /// Which hosts it may connect to, over what `network` says of all.
    pub(super) network: WorkerNetwork,
}

/// One worker's settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct WorkerFile {
    /// The entry file.
    pub(super) main: Option<PathBuf>,
    /// Variables in `env`: text, or any other value as JSON.
    pub(super) vars: BTreeMap<String, Var>,
    /// Names in `env` whose values come from the environment or an env file.
    pub(super) secrets: Vec<String>,
    /// SQL databases in `env`.
    pub(super) databases: Vec<DatabaseFile>,
    /// How long a worker is kept.
    pub(super) policy: Policy,
    /// Events one worker interleaves; absent: 64, and 1 unless the policy is `per_worker`.
    #[schemars(range(min = 1))]
    pub(super) concurrency: Option<usize>,
    /// Whether a worker that is always at work is given fewer events at a time, down to one.
    pub(super) adapts: bool,
    /// Workers kept warm.
    pub(super) workers_min: usize,
    /// How much of the threads it gets where several workers want more than there are; absent: 1.
    #[schemars(range(min = 1))]
    pub(super) weight: Option<u32>,
    /// Workers at most; absent: as many as there may be threads.
    #[schemars(range(min = 1))]
    pub(super) workers_max: Option<usize>,
    /// What one worker may use.
    pub(super) limits: Limits,
    /// When a worker is replaced by a fresh one.
    pub(super) recycle: Recycle,
    /// When its `scheduled` handler is called.
    pub(super) crons: Vec<Cron>,
    /// What it publishes and subscribes to; absent: nothing.
    pub(super) events: Option<EventsFile>,
    /// The folder that modules come from; absent: that of `main`. Packages come from the `node_modules` above it, too.
    pub(super) root: Option<PathBuf>,
    /// What modules may read besides modules.
    pub(super) modules: Modules,
    /// An import map, a JSON file.
    pub(super) import_map: Option<PathBuf>,
    /// JSX in .jsx and .tsx files.
    pub(super) jsx: Jsx,
    /// Accepted for the sake of existing projects; no effect.
    pub(super) compatibility_date: Option<String>,
    /// Accepted for the sake of existing projects; no effect.
    pub(super) compatibility_flags: Vec<String>,
    /// Values for `env` that came with no name in this file: every line of an env file.
    #[serde(skip)]
    pub(super) env_values: BTreeMap<String, Secret>,
}

/// What a worker has to do with the process's events.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct EventsFile {
    /// Its name in `env`, where it may publish anything: `env.EVENTS.publish("orders.created", order)`.
    pub(super) binding: String,
    /// The topics that it may publish under.
    pub(super) publish: Vec<TopicPattern>,
    /// The topics of the messages that its `message` handler is called with.
    pub(super) subscribe: Vec<TopicPattern>,
}

impl Default for EventsFile {
    fn default() -> Self {
        Self {
            binding: "EVENTS".to_owned(),
            publish: Vec::new(),
            subscribe: Vec::new(),
        }
    }
}

/// A variable in `env`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Var {
    /// Text.
    Text(String),
    /// Any other value: a number, a list, a table.
    Json(serde_json::Value),
}

impl JsonSchema for Var {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Var".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!(true)
    }
}

/// A SQL database, in the shape of D1.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(super) struct DatabaseFile {
    /// Its name in `env`.
    pub(super) binding: String,
    /// Where it is; a relative SQLite file is taken from this file's folder.
    #[serde(default)]
    pub(super) url: Option<DatabaseUrl>,
    /// The name of the environment variable that holds the URL, which keeps a password out of this file.
    #[serde(default)]
    pub(super) url_from: Option<String>,
    /// Connections at most, for each worker thread.
    #[serde(default = "max_connections")]
    #[schemars(range(min = 1))]
    pub(super) max_connections: u32,
    #[serde(flatten)]
    pub(super) limits: DatabaseLimits,
}

/// Connections to one database for each worker thread, unless said otherwise.
pub(super) fn max_connections() -> u32 {
    4
}

/// A route: a pattern alone, or a pattern and the worker it leads to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RouteFile {
    Pattern(RoutePattern),
    Full(RouteTable),
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct RouteTable {
    /// Host and path in one, `example.com/api/*`; or use `host` and `path`.
    pub(super) pattern: Option<RoutePattern>,
    /// The host alone.
    pub(super) host: Option<String>,
    /// The path alone.
    pub(super) path: Option<String>,
    /// The worker it leads to; absent: the only one.
    pub(super) worker: Option<String>,
}
