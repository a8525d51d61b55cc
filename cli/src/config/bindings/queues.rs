//! `[queues]`, and `queues` of wrangler's files: queues that a worker sends to, and those whose messages it gets.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use isopod::bindings::Binding;
use isopod::bindings::queue::{BATCH_COUNT, DELAY, NatsQueue, PostgresQueue, QueueBinding, QueueStore, SqliteQueue};
use isopod::host::workers::ConsumeOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::stored::{is_local, is_plain_name};
use super::{Configure, Configured, Env, Materials, Wrangler, WranglerKey};
use crate::config::document::KeyPath;
use crate::config::problem::Fault;
use crate::config::reading::Reading;
use crate::config::storage::{Engine, Kept, QueueKey, QueueServer, Server};
use crate::config::text::{MaybeTime, Size, Time};
use crate::config::values::StorageUrl;

/// Maximum time for which messages wait until a batch is full.
const BATCH_TIMEOUT_MAX: Duration = Duration::from_secs(60);

pub(super) struct Queues;

impl Configure for Queues {
    const KEY: &'static str = "queues";
    const ABOUT: &'static str = "Queues that the worker sends to, and those whose messages its `queue` handler gets.";
    type Section = Section;
    const WRANGLER: &'static [WranglerKey] = &[WranglerKey::of::<Written>()];

    fn resolve(section: Section, at: &KeyPath, reading: &mut Reading<'_>, env: &mut Env) {
        let Section {
            producers,
            consumers,
            storage,
        } = section;
        let Some(engine) = storage.engine(at, reading) else {
            return;
        };
        for (index, producer) in producers.into_iter().enumerate() {
            let at = at.key("producers").index(index);
            env.claim(&producer.binding, &at.key("binding"), reading);
            let delay = producer.delivery_delay.unwrap_or_default();
            within(delay, DELAY, &at.key("delivery_delay"), reading);
            if let Some(queue) = storage.queue(producer.queue, &engine, &at.key("queue"), reading) {
                env.bind(producer.binding, Producer { queue, delay });
            }
        }
        for (index, consumer) in consumers.into_iter().enumerate() {
            let at = at.key("consumers").index(index);
            if let Some(consumer) = consumer.resolve(&storage, &engine, &at, reading) {
                env.consumers.push(consumer);
            }
        }
    }
}

/// A queue, and where it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// The place where it is kept.
    pub kept: Kept<QueueServer>,
    bytes_max: u64,
    queue_len_max: usize,
}

impl Queue {
    /// Returns the key that identifies the queue.
    pub fn key(&self) -> QueueKey {
        QueueKey::new(&self.kept, &self.name)
    }

    /// Opens the queue, with a store of its own.
    pub fn store(&self) -> Arc<dyn QueueStore> {
        match &self.kept {
            Kept::File(path) => Arc::new(
                SqliteQueue::new(path)
                    .bytes_max(self.bytes_max)
                    .queue_len_max(self.queue_len_max),
            ),
            Kept::Server(QueueServer::Postgres(server)) => {
                Arc::new(PostgresQueue::new(server, self.name.as_str()).bytes_max(self.bytes_max))
            }
            Kept::Server(QueueServer::Nats(server)) => {
                Arc::new(NatsQueue::new(server, self.name.as_str()).bytes_max(self.bytes_max))
            }
        }
    }
}

/// A queue, and its store.
type Open = (Queue, Arc<dyn QueueStore>);

/// The queues that are open in this process. Producers and consumers of a queue share it, so that they wake each other.
#[derive(Default)]
pub struct OpenQueues(Mutex<BTreeMap<QueueKey, Open>>);

impl OpenQueues {
    /// Opens a queue, or returns the one that is open.
    pub fn open(&self, queue: &Queue) -> Arc<dyn QueueStore> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get(&queue.key()) {
            Some((same, store)) if same == queue => store.clone(),
            _ => {
                let store = queue.store();
                open.insert(queue.key(), (queue.clone(), store.clone()));
                store
            }
        }
    }
}

impl fmt::Debug for OpenQueues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_set().entries(open.keys()).finish()
    }
}

/// A queue that a worker sends to.
#[derive(Clone, Debug)]
pub struct Producer {
    /// The queue.
    pub queue: Queue,
    /// Delay of messages that are sent without one.
    pub delay: Duration,
}

impl Configured for Producer {
    fn kind(&self) -> &'static str {
        "queue"
    }

    fn typescript(&self) -> String {
        "Queue".to_owned()
    }

    fn make(&self, from: &Materials<'_>) -> Result<Arc<dyn Binding>> {
        let store = from.queues.open(&self.queue);
        Ok(Arc::new(QueueBinding::new(store).delivery_delay(self.delay)))
    }

    fn withheld(&self) -> Vec<PathBuf> {
        self.queue.kept.file().map(ToOwned::to_owned).into_iter().collect()
    }

    fn server(&self) -> Option<Server> {
        self.queue.kept.server()
    }
}

/// A queue whose messages a worker gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumer {
    /// The queue.
    pub queue: Queue,
    /// The queue for messages that have failed too often.
    pub dead_letters: Option<Queue>,
    /// Batches and retries.
    pub options: ConsumeOptions,
}

/// Queues of a worker.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Section {
    /// Queues that the worker sends to.
    producers: Vec<ProducerFile>,
    /// Queues whose messages the worker's `queue` handler gets. A queue has one consumer.
    consumers: Vec<ConsumerFile>,
    #[serde(flatten)]
    storage: Storage,
}

/// The files of queues, and their limits.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct Storage {
    /// Folder of the queues' SQLite files, relative to this file's folder. Queues of the same name in the same folder are the same.
    directory: PathBuf,
    /// `local`, a `postgres://` or `nats://` URL, or `$NAME`. Default: `storage.queues`.
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<StorageUrl>,
    /// Maximum size of the messages in a queue. A `send` that would exceed it fails.
    #[serde(with = "Size")]
    bytes_max: u64,
    /// Maximum number of operations that wait for a queue's file. Further ones fail with `Too Many Requests`.
    #[schemars(range(min = 1))]
    queue_len_max: usize,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            directory: ".isopod/queues".into(),
            storage: None,
            bytes_max: SqliteQueue::BYTES_MAX,
            queue_len_max: SqliteQueue::QUEUE_LEN_MAX,
        }
    }
}

impl Storage {
    fn engine(&self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<Engine<QueueServer>> {
        match &self.storage {
            Some(url) => reading.queue_engine(url.clone(), &at.key("storage")),
            None => Some(reading.engines.queues.clone()),
        }
    }

    fn queue(
        &self,
        name: String,
        engine: &Engine<QueueServer>,
        at: &KeyPath,
        reading: &mut Reading<'_>,
    ) -> Option<Queue> {
        if !is_plain_name(&name, at, reading) {
            return None;
        }
        let kept = match engine {
            Engine::Local => {
                let folder = reading.data_path(&self.directory);
                Kept::File(folder.join(format!("{name}.sqlite")))
            }
            Engine::Server(server) => Kept::Server(server.clone()),
        };
        Some(Queue {
            kept,
            name,
            bytes_max: self.bytes_max,
            queue_len_max: self.queue_len_max,
        })
    }
}

/// A queue that the worker sends to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct ProducerFile {
    /// Name in `env`.
    binding: String,
    /// Name of the queue.
    queue: String,
    /// Delay of messages that are sent without one, at most 24 h. Default: none.
    #[serde(default, with = "MaybeTime", skip_serializing_if = "Option::is_none")]
    delivery_delay: Option<Duration>,
}

/// A queue whose messages the worker gets.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
struct ConsumerFile {
    /// Name of the queue.
    queue: String,
    #[serde(flatten)]
    options: OptionsFile,
}

/// Batches and retries of a consumer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
struct OptionsFile {
    /// Maximum number of messages in a batch.
    #[schemars(range(min = 1, max = 100))]
    max_batch_size: usize,
    /// Maximum time for which messages wait until a batch is full, at most 60 s.
    #[serde(with = "Time")]
    max_batch_timeout: Duration,
    /// Maximum number of times that a message is delivered again after the first.
    #[schemars(range(min = 0, max = 100))]
    max_retries: u32,
    /// Time until a message is delivered again, if its handler says no other, at most 24 h. Default: none.
    #[serde(with = "MaybeTime", skip_serializing_if = "Option::is_none")]
    retry_delay: Option<Duration>,
    /// Queue for messages that have failed for the last time. Default: they are dropped, and that is logged.
    dead_letter_queue: Option<String>,
    /// Maximum number of batches that are handled at the same time.
    #[schemars(range(min = 1, max = 250))]
    max_concurrency: usize,
    /// Time after which a message that was taken by a crashed process is delivered again. It is renewed while a batch is handled.
    #[serde(with = "Time")]
    lease: Duration,
    /// Time after which messages are found that another process has sent. Those of this process are found at once.
    #[serde(with = "Time")]
    poll: Duration,
}

impl Default for OptionsFile {
    fn default() -> Self {
        let library = ConsumeOptions::default();
        Self {
            max_batch_size: library.batch_size,
            max_batch_timeout: library.batch_timeout,
            max_retries: library.retries,
            retry_delay: None,
            dead_letter_queue: None,
            max_concurrency: library.concurrency,
            lease: library.lease,
            poll: library.poll,
        }
    }
}

impl ConsumerFile {
    fn resolve(
        self,
        storage: &Storage,
        engine: &Engine<QueueServer>,
        at: &KeyPath,
        reading: &mut Reading<'_>,
    ) -> Option<Consumer> {
        let Self { queue: name, options } = self;
        let retry_delay = options.retry_delay.unwrap_or_default();
        within(
            options.max_batch_timeout,
            BATCH_TIMEOUT_MAX,
            &at.key("max_batch_timeout"),
            reading,
        );
        within(retry_delay, DELAY, &at.key("retry_delay"), reading);
        let dead_at = at.key("dead_letter_queue");
        if options.dead_letter_queue.as_ref() == Some(&name) {
            let message = format!("`{dead_at}` is the queue itself");
            let remedy = "name another queue; this one would never be empty";
            reading.tell(&dead_at, Fault::Conflict { message }, remedy);
        }
        let queue = storage.queue(name, engine, &at.key("queue"), reading)?;
        if !reading.consumed.insert(queue.key()) {
            let message = format!("`{at}`: the queue \"{}\" has two consumers", queue.name);
            let remedy = "keep one; for more at a time, set its `max_concurrency`";
            reading.tell(at, Fault::Conflict { message }, remedy);
        }
        let dead_letters = match options.dead_letter_queue {
            Some(dead) => Some(storage.queue(dead, engine, &dead_at, reading)?),
            None => None,
        };
        Some(Consumer {
            queue,
            dead_letters,
            options: ConsumeOptions::default()
                .batch_size(options.max_batch_size)
                .batch_timeout(options.max_batch_timeout)
                .retries(options.max_retries)
                .retry_delay(retry_delay)
                .concurrency(options.max_concurrency)
                .lease(options.lease)
                .poll(options.poll),
        })
    }
}

/// Reports a time that is too long.
fn within(time: Duration, max: Duration, at: &KeyPath, reading: &mut Reading<'_>) {
    if time > max {
        let fault = Fault::BadValue {
            key: at.to_string(),
            value: format!("\"{}\"", humantime::format_duration(time)),
            reason: format!("should be at most {}", humantime::format_duration(max)),
        };
        reading.tell(at, fault, "shorten it");
    }
}

/// Queues in wrangler's files. Times are in seconds.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct Written {
    producers: Vec<WrittenProducer>,
    consumers: Vec<WrittenConsumer>,
}

#[derive(Deserialize, JsonSchema)]
struct WrittenProducer {
    binding: String,
    queue: String,
    #[serde(default)]
    delivery_delay: Option<u32>,
    #[serde(default)]
    remote: bool,
}

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "keys that are checked, and have no effect here")]
struct WrittenConsumer {
    queue: String,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    max_batch_size: Option<usize>,
    #[serde(default)]
    max_batch_timeout: Option<u32>,
    #[serde(default)]
    max_retries: Option<u32>,
    #[serde(default)]
    retry_delay: Option<u32>,
    #[serde(default)]
    dead_letter_queue: Option<String>,
    #[serde(default)]
    max_concurrency: Option<usize>,
    #[serde(default)]
    visibility_timeout_ms: Option<u32>,
}

impl Wrangler for Written {
    const KEY: &'static str = "queues";
    type Section = Section;

    fn translate(self, at: &KeyPath, reading: &mut Reading<'_>) -> Section {
        let mut section = Section::default();
        for (index, written) in self.producers.into_iter().enumerate() {
            let at = at.key("producers").index(index);
            if !is_local(written.remote, "queue", "queue is a local SQLite file", &at, reading) {
                continue;
            }
            section.producers.push(ProducerFile {
                binding: written.binding,
                queue: written.queue,
                delivery_delay: written.delivery_delay.and_then(seconds),
            });
        }
        for (index, written) in self.consumers.into_iter().enumerate() {
            let at = at.key("consumers").index(index);
            section.consumers.extend(written.consumer(&at, reading));
        }
        section
    }
}

impl WrittenConsumer {
    fn consumer(self, at: &KeyPath, reading: &mut Reading<'_>) -> Option<ConsumerFile> {
        if self.kind.as_deref().is_some_and(|kind| kind != "worker") {
            let key = at.key("type");
            let fault = Fault::NoSuchBinding {
                key: key.to_string(),
                capability: "consumer that pulls over HTTP".to_owned(),
            };
            reading.tell(&key, fault, "remove the consumer, or let a worker consume the queue");
            return None;
        }
        for (key, number, max) in [
            ("max_batch_size", self.max_batch_size, BATCH_COUNT),
            ("max_retries", self.max_retries.map(|number| number as usize), 100),
        ] {
            if number.is_some_and(|number| number > max) {
                let key = at.key(key);
                let fault = Fault::BadValue {
                    key: key.to_string(),
                    value: number.unwrap_or_default().to_string(),
                    reason: format!("should be at most {max}"),
                };
                reading.tell(&key, fault, "lower it");
                return None;
            }
        }
        let defaults = OptionsFile::default();
        // isopod.toml has no way to write a time of zero.
        let timeout = self
            .max_batch_timeout
            .map(|timeout| seconds(timeout).unwrap_or(Duration::from_millis(1)));
        Some(ConsumerFile {
            queue: self.queue,
            options: OptionsFile {
                max_batch_size: self.max_batch_size.unwrap_or(defaults.max_batch_size).max(1),
                max_batch_timeout: timeout.unwrap_or(defaults.max_batch_timeout),
                max_retries: self.max_retries.unwrap_or(defaults.max_retries),
                retry_delay: self.retry_delay.and_then(seconds),
                dead_letter_queue: self.dead_letter_queue,
                max_concurrency: self.max_concurrency.unwrap_or(defaults.max_concurrency).max(1),
                ..defaults
            },
        })
    }
}

/// A number of seconds as a time above zero.
fn seconds(seconds: u32) -> Option<Duration> {
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}
