//! The contents of `isopod.toml`, which [`resolve`](super::resolve) turns into a [`Config`](super::Config).

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::bindings::{Assets, Sections};
use super::cron::Cron;
use super::modules::{Jsx, Modules};
use super::pool::{Pool, THREADS_MAX};
use super::sections::{
    Ingress, Isolation, Limits, Log, Mode, Network, Policy, Recycle, Sessions as SessionsSection, Shutdown, Tls,
    WorkerNetwork,
};
use super::storage::Storage;
use super::values::{Listen, RoutePattern, Secret, WorkerName};

/// Isopod's configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct File {
    /// JSON schema of this file, for editors.
    #[serde(rename = "$schema")]
    pub(super) schema: Option<String>,
    /// Name of the top-level worker. Default: `main`.
    #[schemars(extend("format" = WorkerName::FORMAT))]
    pub(super) name: Option<String>,
    /// Settings of the top-level worker.
    #[serde(flatten)]
    pub(super) worker: WorkerFile,
    /// Number of worker threads, and so of workers at a time: each has a thread for as long as it lives. 0 means as many as
    /// `pool.workers_max` allows; they are started as workers need them.
    #[schemars(range(min = 0, max = THREADS_MAX))]
    pub(super) threads: usize,
    /// Addresses to listen on; `unix:` paths are relative to this file's folder.
    pub(super) listen: Vec<Listen>,
    /// TLS on the TCP listeners. Default: plain HTTP.
    pub(super) tls: Option<Tls>,
    /// Listener for health and metrics.
    pub(super) admin: Option<AdminFile>,
    /// Level of detail in error responses.
    pub(super) mode: Mode,
    /// Logging.
    pub(super) log: Log,
    /// Files of `NAME=value` lines in which `secrets`, `url_from`, `token_from` and `$NAME` are looked up, after the environment; later files win.
    pub(super) env_files: Vec<PathBuf>,
    /// Routes from requests to workers; the most specific pattern wins. Default: all requests go to the only worker.
    pub(super) routes: Vec<RouteFile>,
    /// Workers by name.
    #[schemars(extend("propertyNames" = { "format": WorkerName::FORMAT }))]
    pub(super) workers: BTreeMap<String, NamedWorkerFile>,
    /// Hosts that workers may connect to.
    pub(super) network: Network,
    /// Limits on all workers together.
    pub(super) pool: Pool,
    /// Engines of the data of bindings.
    pub(super) storage: Storage,
    /// Limits on incoming HTTP.
    pub(super) ingress: Ingress,
    /// Shutdown of the process.
    pub(super) shutdown: Shutdown,
    /// A folder without a script, served as a static site.
    #[serde(skip)]
    pub(super) assets: Option<Assets>,
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
            storage: Storage::default(),
            ingress: Ingress::default(),
            shutdown: Shutdown::default(),
            assets: None,
        }
    }
}

/// The listener for `/healthz`, `/readyz`, `/metrics` and `/stats`, separate from the public ones.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(super) struct AdminFile {
    /// Address to listen on.
    pub(super) listen: Listen,
    /// Accepted `Host` names in addition to addresses, `localhost` and names without a dot.
    #[serde(default)]
    pub(super) hosts: Vec<String>,
    /// Bearer token required for all paths except `/healthz` and `/readyz`.
    pub(super) token: Option<String>,
    /// Environment variable that contains the token, to keep it out of this file.
    pub(super) token_from: Option<String>,
}

/// A worker by name. The top-level worker uses the process's `network`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct NamedWorkerFile {
    #[serde(flatten)]
    pub(super) worker: WorkerFile,
    /// Hosts that it may connect to, combined with the process's `network`.
    pub(super) network: WorkerNetwork,
}

/// Settings of a worker.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct WorkerFile {
    /// Entry file.
    pub(super) main: Option<PathBuf>,
    /// Variables in `env`: text, or any other value as JSON.
    pub(super) vars: BTreeMap<String, Var>,
    /// Names in `env` whose values come from the environment or an env file.
    pub(super) secrets: Vec<String>,
    /// Bindings with a section of their own.
    #[serde(flatten)]
    #[schemars(schema_with = "Sections::schema")]
    pub(super) bindings: Sections,
    /// Lifetime of a worker.
    pub(super) policy: Policy,
    /// Place where the worker runs. Default: `pool.isolation`.
    pub(super) isolation: Option<Isolation>,
    /// Maximum number of events that a worker interleaves. Default: 64, or 1 unless the policy is `per_worker`.
    #[schemars(range(min = 1))]
    pub(super) concurrency: Option<usize>,
    /// Reduce the number of concurrent events, down to one, of a worker that is always busy.
    pub(super) adapts: bool,
    /// Number of workers kept warm.
    pub(super) workers_min: usize,
    /// Share of the threads when workers want more than there may be. Default: 1.
    #[schemars(range(min = 1))]
    pub(super) weight: Option<u32>,
    /// Maximum number of workers. Default: one per core, or `threads` if that is set.
    #[schemars(range(min = 1))]
    pub(super) workers_max: Option<usize>,
    /// Limits of a worker.
    pub(super) limits: Limits,
    /// Conditions for replacing a worker with a fresh one.
    pub(super) recycle: Recycle,
    /// Limits of sessions: connections that keep a worker, such as WebSockets.
    pub(super) sessions: SessionsSection,
    /// Times at which the `scheduled` handler is called.
    pub(super) crons: Vec<Cron>,
    /// Folder from which modules may be imported. Default: the folder of `main`. Packages may also come from `node_modules` above it.
    pub(super) root: Option<PathBuf>,
    /// Files that scripts may import other than code.
    pub(super) modules: Modules,
    /// Import map, a JSON file.
    pub(super) import_map: Option<PathBuf>,
    /// JSX in .jsx and .tsx files.
    pub(super) jsx: Jsx,
    /// Date (`YYYY-MM-DD`) of the platform that the worker was written for. Default: the newest behavior.
    pub(super) compatibility_date: Option<String>,
    /// Behaviors to turn on or off that differ from the date's, such as `nodejs_compat`.
    pub(super) compatibility_flags: Vec<String>,
    /// Values for `env` that this file does not name: every line of an env file.
    #[serde(skip)]
    pub(super) env_values: BTreeMap<String, Secret>,
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

/// A route: a pattern, or a pattern and a worker.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RouteFile {
    Pattern(RoutePattern),
    Full(RouteTable),
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct RouteTable {
    /// Host and path, such as `example.com/api/*`; alternatively use `host` and `path`.
    pub(super) pattern: Option<RoutePattern>,
    /// Host only.
    pub(super) host: Option<String>,
    /// Path only.
    pub(super) path: Option<String>,
    /// Worker that handles the requests. Default: the only worker.
    pub(super) worker: Option<String>,
}
