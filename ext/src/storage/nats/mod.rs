//! A NATS server that stores the messages of queues and relays messages, for processes that share it.
//!
//! The connection of a [`NatsServer`] lives on its own runtime ([`Hosted`]): an operation is a task there, and its caller
//! awaits the result on any runtime. Every operation is repeatable, and is retried until its time limit if its connection is
//! lost.

mod jetstream;
mod place;
mod signals;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::runtime::Handle;

use super::hosted::Hosted;
use super::tries::{Operations, Tries};
use super::{StorageError, StorageFuture};

use self::jetstream::Connection;
pub(crate) use self::jetstream::{Failed, JetStream};
use self::place::Place;
pub(crate) use self::signals::Signal;
use self::signals::Signals;

/// A NATS server or cluster with JetStream, on which queues store their messages.
///
/// ```no_run
/// # mod isopod { pub use isopod_ext::{bindings, storage}; }
/// use isopod::bindings::queue::{NatsQueue, QueueBinding};
/// use isopod::storage::NatsServer;
///
/// let server = NatsServer::new("nats://isopod:secret@nats.internal:4222/shop")?;
/// let orders = QueueBinding::new(NatsQueue::new(&server, "orders"));
/// # drop(orders);
/// # Ok::<(), isopod::storage::StorageError>(())
/// ```
///
/// The path of the URL is the prefix of streams and subjects; the default is `isopod`. Processes with the same prefix share
/// the streams. Clones share a connection.
#[derive(Clone)]
pub struct NatsServer {
    options: Options,
    shared: Arc<Shared>,
}

#[derive(Clone, PartialEq, Eq)]
struct Options {
    place: Place,
    timeout: Duration,
    queue_len_max: usize,
}

struct Shared {
    options: Options,
    hosted: Hosted<Arc<Connection>>,
    operations: Operations,
    signals: Arc<Signals>,
}

impl NatsServer {
    /// The default of [`timeout`](Self::timeout).
    pub const TIMEOUT: Duration = Duration::from_secs(30);
    /// The default of [`queue_len_max`](Self::queue_len_max).
    pub const QUEUE_LEN_MAX: usize = 1000;

    /// Creates a handle to the server at a URL such as `nats://user:password@host:4222/prefix`, and connects on first use.
    /// Commas separate the hosts of a cluster, `?replicas=3` stores each queue on three of them, and `tls://` requires TLS.
    /// A user without a password is a token.
    ///
    /// # Errors
    /// [`StorageError::Failed`] if the URL is not a NATS URL.
    pub fn new(url: impl AsRef<str>) -> Result<Self, StorageError> {
        Ok(Self::of(Options {
            place: Place::parse(url.as_ref())?,
            timeout: Self::TIMEOUT,
            queue_len_max: Self::QUEUE_LEN_MAX,
        }))
    }

    fn of(options: Options) -> Self {
        let shared = Shared {
            hosted: Hosted::new("isopod-nats"),
            operations: Operations::new(options.queue_len_max),
            signals: Arc::default(),
            options: options.clone(),
        };
        Self {
            options,
            shared: Arc::new(shared),
        }
    }

    /// Sets the time after which an operation fails, including the wait for a server that restarts. Default: 30 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = timeout;
        Self::of(self.options)
    }

    /// Sets the maximum number of pending operations. Default: 1,000. Further ones fail.
    #[must_use]
    pub fn queue_len_max(mut self, queue_len_max: usize) -> Self {
        self.options.queue_len_max = queue_len_max;
        Self::of(self.options)
    }

    /// Returns the server's address and prefix, without credentials: `nats.internal:4222/shop`.
    #[must_use]
    pub fn address(&self) -> String {
        self.options.place.to_string()
    }

    /// Returns the prefix of streams and subjects.
    pub(crate) fn prefix(&self) -> &str {
        &self.options.place.prefix
    }

    /// Returns the number of servers that store a queue.
    pub(crate) fn replicas(&self) -> u8 {
        self.options.place.replicas
    }

    /// Asks the server for a sign of life.
    ///
    /// # Errors
    /// [`StorageError::Unreachable`] if the server does not answer, and may later. Any other error is one of the configuration, such
    /// as credentials that are refused.
    #[must_use = "the future tells whether there is one"]
    pub fn reach(&self) -> StorageFuture<()> {
        let server = self.name();
        self.shared.operations.run(
            || self.shared.connection(),
            |connection| async move { connection.reach(&server).await },
        )
    }

    /// Asks the server for a sign of life, and, the first time, whether it has JetStream for queues.
    ///
    /// # Errors
    /// As [`reach`](Self::reach). A server that is too old, or has no JetStream, is an error of the configuration.
    #[must_use = "the future tells whether there is one"]
    pub fn reach_jetstream(&self) -> StorageFuture<()> {
        let server = self.name();
        self.shared.operations.run(
            || self.shared.connection(),
            |connection| async move {
                connection.jetstream(&server).await?;
                connection.reach(&server).await
            },
        )
    }

    fn name(&self) -> String {
        format!("NATS at {}", self.address())
    }

    /// Runs a repeatable operation on the server's runtime. It continues if its future is dropped.
    pub(crate) fn run<T, F>(&self, work: impl Fn(JetStream) -> F + Send + Sync + 'static) -> StorageFuture<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failed>> + Send,
    {
        let tries = Tries {
            server: self.name(),
            timeout: self.options.timeout,
        };
        self.shared.operations.run(
            || self.shared.connection(),
            |connection| async move {
                let ready = async { connection.jetstream(&tries.server).await.map(drop) };
                let attempt = || {
                    let (work, connection, tries) = (&work, &connection, &tries);
                    async move {
                        let jetstream = connection.jetstream(&tries.server).await?;
                        let done = connection.unless_lost(work(jetstream)).await;
                        done.map_err(|failed| failed.tried(&tries.server))
                    }
                };
                tries.run(ready, attempt).await
            },
        )
    }

    /// Publishes bytes under the subject `PREFIX.CHANNEL` to all current [subscribers](Self::subscribe), without storing them.
    #[must_use = "the future tells whether they were sent"]
    pub fn publish(&self, channel: &str, bytes: Bytes) -> StorageFuture<()> {
        let subject = format!("{}.{channel}", self.prefix());
        self.with_client(move |client| async move {
            let sent = client.publish(subject, bytes).await;
            sent.map_err(|error| StorageError::Failed(error.to_string()))
        })
    }

    /// Subscribes to the subject `PREFIX.CHANNEL`. Once the future resolves, `on_message` is called on the server's thread with
    /// the bytes that any process publishes, this one included, until the server is dropped.
    #[must_use = "the future tells whether they are heard"]
    pub fn subscribe(&self, channel: &str, on_message: impl Fn(Bytes) + Send + 'static) -> StorageFuture<()> {
        let subject = format!("{}.{channel}", self.prefix());
        let runtime = self.shared.connection().map(|(runtime, _)| runtime);
        self.with_client(move |client| async move {
            let failed = |error: &dyn fmt::Display| StorageError::Failed(error.to_string());
            let mut messages = client.subscribe(subject).await.map_err(|error| failed(&error))?;
            // The subscription is active once the server has answered.
            client.flush().await.map_err(|error| failed(&error))?;
            runtime?.spawn(async move {
                while let Some(message) = messages.next().await {
                    on_message(message.payload);
                }
            });
            Ok(())
        })
    }

    /// Runs work with the client, without retries.
    fn with_client<T: Send + 'static, F>(&self, work: impl FnOnce(Client) -> F + Send + 'static) -> StorageFuture<T>
    where
        F: Future<Output = Result<T, StorageError>> + Send,
    {
        let (server, timeout) = (self.name(), self.options.timeout);
        self.shared.operations.run(
            || self.shared.connection(),
            |connection| async move {
                let done = async { work(connection.client(&server).await?).await };
                let late = StorageError::Failed(format!("{server} has not answered within {timeout:?}"));
                tokio::time::timeout(timeout, done).await.unwrap_or(Err(late))
            },
        )
    }

    /// Returns the wake-up calls of a queue, whose name is encoded as in subjects.
    pub(crate) fn signal(&self, queue: &str) -> Arc<Signal> {
        self.shared.signals.of(queue)
    }

    /// Notifies the consumers of a queue that messages are due, now or at a time in milliseconds since the Unix epoch.
    /// Consumers of this process are notified at once.
    pub(crate) fn tell(&self, signal: &Arc<Signal>, due_ms: Option<u64>) {
        signal.ring(due_ms);
        // Without a notification, other processes find the messages when they next poll.
        if let Ok((runtime, connection)) = self.shared.connection() {
            signals::tell(
                &runtime,
                connection,
                self.prefix(),
                &self.shared.signals,
                signal,
                due_ms,
            );
        }
    }

    /// Starts listening for notifications of other processes.
    pub(crate) fn listen(&self) {
        if let Ok((runtime, connection)) = self.shared.connection() {
            signals::listen(&runtime, connection, self.prefix(), &self.shared.signals);
        }
    }
}

impl PartialEq for NatsServer {
    /// Compares URLs and options.
    fn eq(&self, other: &Self) -> bool {
        self.options == other.options
    }
}

impl Eq for NatsServer {}

impl fmt::Debug for NatsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NatsServer").field(&self.address()).finish()
    }
}

impl Shared {
    fn connection(&self) -> Result<(Handle, Arc<Connection>), StorageError> {
        self.hosted
            .get(|| Ok(Arc::new(Connection::new(self.options.place.clone()))))
    }
}
