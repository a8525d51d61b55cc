//! A NATS server that keeps the messages of queues, and passes others on, for processes that share it.
//!
//! The connection of a [`NatsServer`] lives on a runtime of its own ([`Hosted`]): an operation is a task there, and its caller
//! awaits the result wherever it runs. Every operation is one that may be repeated. One whose connection is lost is tried again
//! until its time is over.

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

/// A NATS server, or a cluster of them, with JetStream, on which queues keep their messages.
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
/// The path of the URL begins the names of streams and subjects; without one, `isopod` does. Processes that use the same names share
/// what is in them. Clones share a connection.
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

    /// The server at a URL such as `nats://user:password@host:4222/prefix`. It is connected to on first use. Hosts of a cluster are
    /// separated by commas, `?replicas=3` has three of them keep each queue, and `tls://` requires TLS. A user without a password is
    /// a token.
    ///
    /// # Errors
    /// [`StorageError::Failed`] if the URL is not one of NATS.
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
    pub fn timeout(self, timeout: Duration) -> Self {
        Self::of(Options {
            timeout,
            ..self.options
        })
    }

    /// Sets the maximum number of operations under way. Default: 1,000. Further ones fail.
    #[must_use]
    pub fn queue_len_max(self, queue_len_max: usize) -> Self {
        Self::of(Options {
            queue_len_max,
            ..self.options
        })
    }

    /// The place of the server and the prefix of its names, without user and password: `nats.internal:4222/shop`.
    #[must_use]
    pub fn address(&self) -> String {
        self.options.place.to_string()
    }

    /// The beginning of the names of streams and subjects.
    pub(crate) fn prefix(&self) -> &str {
        &self.options.place.prefix
    }

    /// The number of servers that keep a queue.
    pub(crate) fn replicas(&self) -> u8 {
        self.options.place.replicas
    }

    /// Runs an operation, which may be repeated, on the server's runtime. It goes on if its future is dropped.
    pub(crate) fn run<T, F>(&self, work: impl Fn(JetStream) -> F + Send + Sync + 'static) -> StorageFuture<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Failed>> + Send,
    {
        let tries = Tries {
            server: format!("NATS at {}", self.address()),
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

    /// Publishes bytes under the subject `PREFIX.CHANNEL`, to all processes that [listen](Self::subscribe) now. They are not kept.
    #[must_use = "the future tells whether they were sent"]
    pub fn publish(&self, channel: &str, bytes: Bytes) -> StorageFuture<()> {
        let subject = format!("{}.{channel}", self.prefix());
        self.with_client(move |client| async move {
            let sent = client.publish(subject, bytes).await;
            sent.map_err(|error| StorageError::Failed(error.to_string()))
        })
    }

    /// Calls `heard` for the bytes that all processes, this one as well, publish under the subject `PREFIX.CHANNEL` from the time on at
    /// which the future resolves, on the server's thread, until the server is dropped.
    #[must_use = "the future tells whether they are heard"]
    pub fn subscribe(&self, channel: &str, heard: impl Fn(Bytes) + Send + 'static) -> StorageFuture<()> {
        let subject = format!("{}.{channel}", self.prefix());
        let runtime = self.shared.connection().map(|(runtime, _)| runtime);
        self.with_client(move |client| async move {
            let failed = |error: &dyn fmt::Display| StorageError::Failed(error.to_string());
            let mut messages = client.subscribe(subject).await.map_err(|error| failed(&error))?;
            // The server knows of the subscription once it has answered.
            client.flush().await.map_err(|error| failed(&error))?;
            runtime?.spawn(async move {
                while let Some(message) = messages.next().await {
                    heard(message.payload);
                }
            });
            Ok(())
        })
    }

    /// Does something with the client, once.
    fn with_client<T: Send + 'static, F>(&self, work: impl FnOnce(Client) -> F + Send + 'static) -> StorageFuture<T>
    where
        F: Future<Output = Result<T, StorageError>> + Send,
    {
        let (server, timeout) = (format!("NATS at {}", self.address()), self.options.timeout);
        self.shared.operations.run(
            || self.shared.connection(),
            |connection| async move {
                let done = async { work(connection.client(&server).await?).await };
                let late = StorageError::Failed(format!("{server} has not answered within {timeout:?}"));
                tokio::time::timeout(timeout, done).await.unwrap_or(Err(late))
            },
        )
    }

    /// The wake-up calls of a queue, whose name is as it is in subjects.
    pub(crate) fn signal(&self, queue: &str) -> Arc<Signal> {
        self.shared.signals.of(queue)
    }

    /// Tells the consumers of a queue that messages are due, those of this process at once: now, or at a time in milliseconds since
    /// 1970.
    pub(crate) fn tell(&self, signal: &Arc<Signal>, due_ms: Option<u64>) {
        signal.ring(due_ms);
        // Without, the others look from time to time.
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

    /// Listens for what other processes tell, from now on.
    pub(crate) fn listen(&self) {
        if let Ok((runtime, connection)) = self.shared.connection() {
            signals::listen(&runtime, connection, self.prefix(), &self.shared.signals);
        }
    }
}

impl PartialEq for NatsServer {
    /// True if they have the same URL and options.
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
