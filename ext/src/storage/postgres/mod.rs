//! A PostgreSQL server that stores the data of bindings, for processes that share it.
//!
//! The connections of a [`PostgresServer`] live on its own runtime ([`Hosted`]): an operation is a task there, and its
//! caller awaits the result on any runtime.
//!
//! Every operation is repeatable. If its connection is lost, it is retried until its time limit, so a restart of the server
//! delays operations and fails none.

mod failed;
mod schema;
mod wakes;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::runtime::Handle;

use super::contact::FirstContact;
use super::hosted::Hosted;
use super::tries::{Operations, Tries};
use super::wake::Wake;
use super::{StorageError, StorageFuture};

pub(crate) use self::failed::Failed;
use self::wakes::Wakes;

/// Time limit for the first connection, which creates missing tables.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for a sign of life.
const REACH_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle time after which a connection is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Idle time after which a connection is tested before use.
const TRUSTED: Duration = Duration::from_secs(1);
/// Number of connections whose commits do not wait for the disk.
const RELAXED_CONNECTIONS: u32 = 2;

/// A PostgreSQL server on which bindings store their data.
///
/// ```no_run
/// # mod isopod { pub use isopod_ext::{bindings, storage}; }
/// use isopod::bindings::kv::{KvBinding, PostgresKv};
/// use isopod::bindings::queue::{PostgresQueue, QueueBinding};
/// use isopod::storage::PostgresServer;
///
/// let server = PostgresServer::new("postgres://isopod:secret@db.internal/app")?;
/// let sessions = KvBinding::new(PostgresKv::new(&server, "sessions"));
/// let orders = QueueBinding::new(PostgresQueue::new(&server, "orders"));
/// # drop((sessions, orders));
/// # Ok::<(), isopod::storage::StorageError>(())
/// ```
///
/// Its tables, whose names begin with `isopod_`, are created on first use in the first schema of the connection's
/// `search_path`. Processes with the same tables share the data. Clones share connections.
#[derive(Clone)]
pub struct PostgresServer {
    options: Options,
    shared: Arc<Shared>,
}

#[derive(Clone, PartialEq, Eq)]
struct Options {
    url: String,
    max_connections: u32,
    timeout: Duration,
    queue_len_max: usize,
}

struct Shared {
    connect: PgConnectOptions,
    options: Options,
    hosted: Hosted<Connections>,
    operations: Operations,
    wakes: Arc<Wakes>,
}

/// The connections of a server.
#[derive(Clone)]
pub(crate) struct Connections {
    /// Commits on these connections are acknowledged once they are on the server's disk.
    pub(crate) durable: PgPool,
    /// A crash of the server may lose the last commits on these connections.
    pub(crate) relaxed: PgPool,
    /// Made once the tables exist.
    ready: Arc<FirstContact<()>>,
}

impl PostgresServer {
    /// The default of [`max_connections`](Self::max_connections).
    pub const MAX_CONNECTIONS: u32 = 8;
    /// The default of [`timeout`](Self::timeout).
    pub const TIMEOUT: Duration = Duration::from_secs(30);
    /// The default of [`queue_len_max`](Self::queue_len_max).
    pub const QUEUE_LEN_MAX: usize = 1000;

    /// Creates a handle to the server at a URL such as `postgres://user:password@host:5432/database?sslmode=require`, and
    /// connects on first use.
    ///
    /// # Errors
    /// [`StorageError::Failed`] if the URL is not a PostgreSQL URL.
    pub fn new(url: impl Into<String>) -> Result<Self, StorageError> {
        let url = url.into();
        let connect = PgConnectOptions::from_str(&url);
        let connect = connect.map_err(|error| StorageError::Failed(format!("not a URL of PostgreSQL: {error}")))?;
        let options = Options {
            url,
            max_connections: Self::MAX_CONNECTIONS,
            timeout: Self::TIMEOUT,
            queue_len_max: Self::QUEUE_LEN_MAX,
        };
        Ok(Self::of(connect, options))
    }

    fn of(connect: PgConnectOptions, options: Options) -> Self {
        let shared = Shared {
            connect,
            hosted: Hosted::new("isopod-pg"),
            operations: Operations::new(options.queue_len_max),
            wakes: Arc::default(),
            options: options.clone(),
        };
        Self {
            options,
            shared: Arc::new(shared),
        }
    }

    fn with(self, set: impl FnOnce(&mut Options)) -> Self {
        let mut options = self.options;
        set(&mut options);
        Self::of(self.shared.connect.clone(), options)
    }

    /// Sets the maximum number of connections of the process. Default: 8. Up to three more serve the consumers of queues.
    #[must_use]
    pub fn max_connections(self, max_connections: u32) -> Self {
        self.with(|options| options.max_connections = max_connections)
    }

    /// Sets the time after which an operation fails, including the wait for a connection and for a server that restarts. Default:
    /// 30 s.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        self.with(|options| options.timeout = timeout)
    }

    /// Sets the maximum number of pending operations. Default: 1,000. Further ones fail.
    #[must_use]
    pub fn queue_len_max(self, queue_len_max: usize) -> Self {
        self.with(|options| options.queue_len_max = queue_len_max)
    }

    /// Returns the server's address and database, without credentials: `db.internal:5432/app`.
    #[must_use]
    pub fn address(&self) -> String {
        self.shared.address()
    }

    /// Asks the server for a sign of life. The first one creates the tables that are missing.
    ///
    /// # Errors
    /// [`StorageError::Unreachable`] if the server does not answer, and may later. Any other error is one of the configuration, such
    /// as credentials that are refused.
    #[must_use = "the future tells whether there is one"]
    pub fn reach(&self) -> StorageFuture<()> {
        let (connect, tries) = (self.shared.connect.clone(), self.shared.tries());
        self.shared.operations.run(
            || self.shared.connections(),
            |connections| async move {
                if connections.ready.made().is_none() {
                    return connections.ready.get(|| prepare(&connect, &tries)).await;
                }
                let asked = sqlx::query("SELECT 1").execute(&connections.relaxed);
                match tokio::time::timeout(REACH_TIMEOUT, asked).await {
                    Ok(answered) => answered
                        .map(drop)
                        .map_err(|error| Failed::from(error).missed(&tries.server)),
                    Err(_) => Err(tries.missing(REACH_TIMEOUT)),
                }
            },
        )
    }

    /// Runs a repeatable operation on the server's runtime. It continues if its future is dropped.
    pub(crate) fn run<T, F>(&self, work: impl Fn(Connections) -> F + Send + Sync + 'static) -> StorageFuture<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failed>> + Send,
    {
        let (connect, tries) = (self.shared.connect.clone(), self.shared.tries());
        self.shared.operations.run(
            || self.shared.connections(),
            |connections| async move {
                let ready = connections.ready.clone();
                let ready = ready.get(|| prepare(&connect, &tries));
                let attempt = || {
                    let tried = work(connections.clone());
                    async { tried.await.map_err(|failed| failed.tried(&tries.server)) }
                };
                tries.run(ready, attempt).await
            },
        )
    }

    /// Returns the wake-up calls of a queue.
    pub(crate) fn wake(&self, queue: &str) -> Arc<Wake> {
        self.shared.wakes.of(queue)
    }

    /// Notifies the consumers of a queue that messages are due. Consumers of this process are notified at once.
    pub(crate) fn tell(&self, queue: &Arc<str>, wake: &Arc<Wake>) {
        wake.ring();
        // Without a notification, other processes find the messages when they next poll.
        if let Ok((runtime, connections)) = self.shared.connections() {
            wakes::tell(&runtime, &connections.relaxed, &self.shared.wakes, queue, wake);
        }
    }

    /// Starts listening for notifications of other processes.
    pub(crate) fn listen(&self) {
        if let Ok((runtime, _)) = self.shared.connections() {
            wakes::listen(&runtime, self.shared.connect.clone(), &self.shared.wakes);
        }
    }
}

impl PartialEq for PostgresServer {
    /// Compares URLs and options.
    fn eq(&self, other: &Self) -> bool {
        self.options == other.options
    }
}

impl Eq for PostgresServer {}

impl fmt::Debug for PostgresServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresServer").field(&self.address()).finish()
    }
}

impl Shared {
    fn address(&self) -> String {
        let connect = &self.connect;
        let database = connect.get_database().unwrap_or_else(|| connect.get_username());
        format!("{}:{}/{database}", connect.get_host(), connect.get_port())
    }

    /// Returns the runtime, and the connections on it.
    fn connections(&self) -> Result<(Handle, Connections), StorageError> {
        self.hosted.get(|| {
            Ok(Connections {
                durable: self.pool(self.options.max_connections.max(1), &[]),
                relaxed: self.pool(RELAXED_CONNECTIONS, &[("synchronous_commit", "off")]),
                ready: Arc::default(),
            })
        })
    }

    fn pool(&self, max_connections: u32, settings: &[(&str, &str)]) -> PgPool {
        let millis = self.options.timeout.as_millis().to_string();
        // The server ends statements after the operation's time limit.
        let connect = self.connect.clone().application_name("isopod");
        let connect = connect.options([("statement_timeout", millis.as_str())]);
        let connect = connect.options(settings.iter().copied());
        PgPoolOptions::new()
            .max_connections(max_connections)
            .acquire_timeout(self.options.timeout)
            .idle_timeout(IDLE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    if meta.idle_for > TRUSTED {
                        sqlx::Connection::ping(connection).await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(connect.disable_statement_logging())
    }

    fn tries(&self) -> Tries {
        Tries {
            server: format!("PostgreSQL at {}", self.address()),
            timeout: self.options.timeout,
        }
    }
}

/// Creates missing tables.
async fn prepare(connect: &PgConnectOptions, tries: &Tries) -> Result<(), StorageError> {
    let prepared = tokio::time::timeout(CONNECT_TIMEOUT, schema::prepare(connect)).await;
    match prepared {
        Ok(prepared) => prepared.map_err(|failed| failed.missed(&tries.server)),
        Err(_) => Err(tries.missing(CONNECT_TIMEOUT)),
    }
}
