//! `[storage]`: the engines that keep the data of bindings, for all workers together, and the URLs of servers.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use isopod::bindings::r2::S3R2;
use isopod::storage::{NatsServer, PostgresServer, StorageError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::Time;
use super::values::StorageUrl;

/// Engines for the data of bindings.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Storage {
    /// KV namespaces: `local`, a `postgres://` URL, or `$NAME` for the URL in an environment variable or env file.
    pub(super) kv: StorageUrl,
    /// Queues: `local`, a `postgres://` or `nats://` URL, or `$NAME`.
    pub(super) queues: StorageUrl,
    /// R2 buckets: `local`, an `s3://` URL, below which each bucket has a folder of its name, or `$NAME`.
    pub(super) r2: StorageUrl,
    /// Static assets: `local`, an `s3://` URL, below which the files of each worker have a folder of the name of `assets.directory`, or
    /// `$NAME`.
    pub(super) assets: StorageUrl,
    /// The record of the cron ticks that have run: `local`, a `postgres://` URL, or `$NAME`.
    pub(super) crons: StorageUrl,
    /// Messages of `events` for workers of other processes: `local`, which is none, a `nats://` URL, or `$NAME`.
    pub(super) events: StorageUrl,
    /// Maximum number of connections to a PostgreSQL server. Up to three more are used for queues.
    #[schemars(range(min = 1))]
    pub(super) max_connections: u32,
    /// Time of an operation on a server, including the wait for one that restarts.
    #[serde(with = "Time")]
    pub(super) timeout: Duration,
    /// Maximum number of operations that wait for a server. Further ones fail.
    #[schemars(range(min = 1))]
    pub(super) queue_len_max: usize,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            kv: StorageUrl::Local,
            queues: StorageUrl::Local,
            r2: StorageUrl::Local,
            assets: StorageUrl::Local,
            crons: StorageUrl::Local,
            events: StorageUrl::Local,
            max_connections: PostgresServer::MAX_CONNECTIONS,
            timeout: PostgresServer::TIMEOUT,
            queue_len_max: PostgresServer::QUEUE_LEN_MAX,
        }
    }
}

/// Engines that environment variables set instead of the file's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StorageOverrides {
    /// The engine of KV namespaces. `ISOPOD_STORAGE_KV`.
    pub kv: Option<StorageUrl>,
    /// The engine of queues. `ISOPOD_STORAGE_QUEUES`.
    pub queues: Option<StorageUrl>,
    /// The engine of R2 buckets. `ISOPOD_STORAGE_R2`.
    pub r2: Option<StorageUrl>,
    /// The engine of static assets. `ISOPOD_STORAGE_ASSETS`.
    pub assets: Option<StorageUrl>,
    /// The engine of cron ticks. `ISOPOD_STORAGE_CRONS`.
    pub crons: Option<StorageUrl>,
    /// The engine of messages between processes. `ISOPOD_STORAGE_EVENTS`.
    pub events: Option<StorageUrl>,
}

impl StorageOverrides {
    pub(super) fn or(self, under: Self) -> Self {
        Self {
            kv: self.kv.or(under.kv),
            queues: self.queues.or(under.queues),
            r2: self.r2.or(under.r2),
            assets: self.assets.or(under.assets),
            crons: self.crons.or(under.crons),
            events: self.events.or(under.events),
        }
    }
}

/// The engine of some data: files, or a server of the kinds that can have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Engine<S = PostgresServer> {
    /// Files of this machine.
    #[default]
    Local,
    /// A server.
    Server(S),
}

/// The place where a namespace, a queue or the like is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept<S = PostgresServer> {
    /// A SQLite file.
    File(PathBuf),
    /// A server.
    Server(S),
}

/// A server that keeps queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueServer {
    /// PostgreSQL.
    Postgres(PostgresServer),
    /// NATS with JetStream.
    Nats(NatsServer),
}

/// A server that has a URL for people, without user and password.
pub trait Shown {
    /// The URL.
    fn url(&self) -> String;
}

impl Shown for PostgresServer {
    fn url(&self) -> String {
        format!("postgres://{}", self.address())
    }
}

impl Shown for QueueServer {
    fn url(&self) -> String {
        match self {
            Self::Postgres(server) => server.url(),
            Self::Nats(server) => format!("nats://{}", server.address()),
        }
    }
}

/// A server that a configuration uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// PostgreSQL.
    Postgres(PostgresServer),
    /// NATS, for messages.
    Nats(NatsServer),
    /// NATS with JetStream, for queues.
    JetStream(NatsServer),
    /// S3.
    Bucket(S3R2),
}

impl Server {
    /// Asks the server for a sign of life.
    ///
    /// # Errors
    /// [`StorageError::Unreachable`] if it does not answer, and may later. Any other error is one of the configuration.
    pub async fn reach(&self) -> Result<(), StorageError> {
        match self {
            Self::Postgres(server) => server.reach().await,
            Self::Nats(server) => server.reach().await,
            Self::JetStream(server) => server.reach_jetstream().await,
            Self::Bucket(bucket) => bucket.reach().await,
        }
    }
}

impl Shown for Server {
    fn url(&self) -> String {
        match self {
            Self::Postgres(server) => server.url(),
            Self::Nats(server) | Self::JetStream(server) => format!("nats://{}", server.address()),
            Self::Bucket(bucket) => bucket.address(),
        }
    }
}

/// A server, and what it is used for: `env.KV of shop`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedServer {
    /// The server.
    pub server: Server,
    /// The uses, at least one.
    pub uses: Vec<String>,
}

impl Kept<PostgresServer> {
    /// The server, if there is one.
    pub fn server(&self) -> Option<Server> {
        match self {
            Self::File(_) => None,
            Self::Server(server) => Some(Server::Postgres(server.clone())),
        }
    }
}

impl Kept<QueueServer> {
    /// The server, if there is one.
    pub fn server(&self) -> Option<Server> {
        match self {
            Self::File(_) => None,
            Self::Server(QueueServer::Postgres(server)) => Some(Server::Postgres(server.clone())),
            Self::Server(QueueServer::Nats(server)) => Some(Server::JetStream(server.clone())),
        }
    }
}

impl<S> Kept<S> {
    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Server(_) => None,
        }
    }
}

impl<S: Shown> fmt::Display for Kept<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(server) => f.write_str(&server.url()),
        }
    }
}

/// The engines of a configuration that is being read.
#[derive(Default)]
pub(super) struct Engines {
    pub(super) kv: Engine,
    pub(super) queues: Engine<QueueServer>,
    pub(super) crons: Engine,
    /// The server by which messages reach other processes.
    pub(super) events: Option<NatsServer>,
    pub(super) limits: Storage,
    pub(super) r2: Option<S3R2>,
    pub(super) assets: Option<S3R2>,
    /// By their URLs: bindings on a server share its connections.
    pub(super) servers: BTreeMap<String, PostgresServer>,
    pub(super) nats: BTreeMap<String, NatsServer>,
}

/// Identifies a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueKey(String);

impl QueueKey {
    /// The key of the queue of this name that is kept there.
    pub(super) fn new(kept: &Kept<QueueServer>, name: &str) -> Self {
        Self(match kept {
            Kept::File(path) => path.display().to_string(),
            Kept::Server(_) => format!("{kept}#{name}"),
        })
    }
}
