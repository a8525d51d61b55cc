//! Results that are announced instead of sent: a message has a result's source and name, and interested readers read it. The
//! store is bounded by bytes, number and age, so a result may have expired.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::broker::Published;
use super::error::PublishError;
use super::handle::Bus;
use super::message::{Message, Payload, Source};
use super::topic::Topic;

/// Maximum length of a result's name in bytes.
const NAME_BYTES_MAX: usize = 255;

/// The reference to a result in its store. The message that announces the result contains it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ResultRef {
    /// Its number, unique in its store.
    pub id: u64,
    /// Its source.
    pub source: Source,
    /// Its name.
    pub name: Arc<str>,
}

impl ResultRef {
    /// Returns the result that a message announces, if it announces one.
    #[must_use]
    pub fn of(message: &Message) -> Option<Self> {
        Self::deserialize(message.payload.as_json()?).ok()
    }

    /// Returns the topic of a source's results: `results.` and the source's name, with `_` for every character not allowed
    /// in topics.
    #[must_use]
    pub fn topic(source: &Source) -> Topic {
        Topic::lossy(["results", source.name()])
    }
}

/// An error from storing or reading a result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// The name is empty or too long.
    #[error("a result's name must have 1 to {NAME_BYTES_MAX} bytes, not {bytes}")]
    Name {
        /// Its size in bytes.
        bytes: usize,
    },
    /// The result is larger than the whole store may be.
    #[error(
        "the result `{name}` has {bytes} bytes, above the store's limit of {bytes_max}; raise `bytes_max`, or write it to a file"
    )]
    TooLarge {
        /// Its name.
        name: Arc<str>,
        /// Its size in bytes.
        bytes: usize,
        /// The store's limit.
        bytes_max: usize,
    },
    /// The result was evicted, or was too old.
    #[error("the result `{name}` of {origin} has expired; read results sooner, or raise the store's limits")]
    Expired {
        /// Its name.
        name: Arc<str>,
        /// Its source.
        origin: Source,
    },
    /// The result was never in this store: the reference is from another one.
    #[error("unknown result `{name}` of {origin}; is the reference from another store?")]
    Unknown {
        /// Its name.
        name: Arc<str>,
        /// Its source.
        origin: Source,
    },
}

/// An error from announcing a result, which is then not in the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnnounceError {
    /// The store refused it.
    #[error(transparent)]
    Result(#[from] ResultError),
    /// The bus refused its announcement.
    #[error("cannot announce a result")]
    Publish(#[from] PublishError),
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    bytes_max: usize,
    count_max: usize,
    age_max: Duration,
}

/// Settings of a new store; see [`Results::builder`].
#[derive(Clone, Copy, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct ResultsBuilder(Limits);

impl ResultsBuilder {
    /// Sets the maximum size of all results in bytes. Default: 64 MiB.
    pub const fn bytes_max(mut self, bytes_max: usize) -> Self {
        self.0.bytes_max = bytes_max;
        self
    }

    /// Sets the maximum number of results, at least 1. Default: 1024.
    pub const fn count_max(mut self, count_max: usize) -> Self {
        self.0.count_max = count_max;
        self
    }

    /// Sets the maximum age of a result. Default: 10 min.
    pub const fn age_max(mut self, age_max: Duration) -> Self {
        self.0.age_max = age_max;
        self
    }

    /// Creates the store.
    #[must_use]
    pub fn build(self) -> Results {
        Results(Arc::new(Mutex::new(Store {
            limits: self.0,
            kept: BTreeMap::new(),
            by_use: BTreeMap::new(),
            bytes: 0,
            next_id: 1,
            next_use: 0,
            expired: 0,
        })))
    }
}

/// A bounded store of results. Cloning it creates another handle of the same store.
///
/// If there is no room, the least recently read results are evicted. Results that are too old are removed at the next use of
/// the store, not by a timer.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// use isopod::host::bus::{Bus, Delivery, ResultRef, Results, Source, SubscribeOptions};
/// use serde_json::json;
///
/// let (bus, results) = (Bus::new(), Results::new());
/// let mut announced = bus.subscribe("results.scan", SubscribeOptions::default())?;
/// results.announce(&bus, Source::native("scan"), "strings", json!(["MZ", "kernel32"]))?;
///
/// let Some(Delivery::Message(message)) = announced.try_recv() else { panic!("one was announced") };
/// let result = ResultRef::of(&message).expect("a reference");
/// assert_eq!(&*result.name, "strings");
/// assert_eq!(results.read(&result)?.as_json(), Some(&json!(["MZ", "kernel32"])));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Results(Arc<Mutex<Store>>);

/// Statistics of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ResultsStats {
    /// Number of results.
    pub count: usize,
    /// Size of all results in bytes.
    pub bytes: usize,
    /// Number of results that have expired since the store was created.
    pub expired: u64,
}

struct Store {
    limits: Limits,
    kept: BTreeMap<u64, Kept>,
    /// Results by their last use: the first is the next to be evicted.
    by_use: BTreeMap<u64, u64>,
    bytes: usize,
    next_id: u64,
    next_use: u64,
    expired: u64,
}

struct Kept {
    source: Source,
    name: Arc<str>,
    payload: Arc<Payload>,
    bytes: usize,
    since: Instant,
    used: u64,
}

impl Default for Results {
    fn default() -> Self {
        Self::new()
    }
}

impl Results {
    /// Creates a store with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Starts building a store with custom limits.
    pub const fn builder() -> ResultsBuilder {
        ResultsBuilder(Limits {
            bytes_max: 64 << 20,
            count_max: 1024,
            age_max: Duration::from_secs(600),
        })
    }

    /// Stores a result.
    ///
    /// # Errors
    /// The name is empty or longer than 255 bytes, or the result is larger than the store may be.
    pub fn put(
        &self,
        source: Source,
        name: impl Into<Arc<str>>,
        payload: impl Into<Payload>,
    ) -> Result<ResultRef, ResultError> {
        self.put_shared(source, name.into(), Arc::new(payload.into()))
    }

    /// Stores a result and announces it under `results.<source>`. The message contains only the [`ResultRef`].
    ///
    /// # Errors
    /// As [`Results::put`] and [`Bus::publish`].
    pub fn announce(
        &self,
        bus: &Bus,
        source: Source,
        name: impl Into<Arc<str>>,
        payload: impl Into<Payload>,
    ) -> Result<ResultRef, AnnounceError> {
        let payload = Arc::new(payload.into());
        self.announce_by(source, name.into(), payload, |message| bus.publish(message))
    }

    fn put_shared(&self, source: Source, name: Arc<str>, payload: Arc<Payload>) -> Result<ResultRef, ResultError> {
        self.with(|store| store.put(source, name, payload, Instant::now()))
    }

    pub(crate) fn announce_by(
        &self,
        source: Source,
        name: Arc<str>,
        payload: Arc<Payload>,
        publish: impl FnOnce(Message) -> Result<Published, PublishError>,
    ) -> Result<ResultRef, AnnounceError> {
        let topic = ResultRef::topic(&source);
        let result = self.put_shared(source.clone(), name, payload)?;
        // Strings and numbers can always be serialized.
        let payload = serde_json::to_value(&result).map_or(Payload::Empty, Payload::Json);
        match publish(Message::new(topic, payload).by(source)) {
            Ok(_) => Ok(result),
            Err(error) => {
                self.with(|store| store.remove(result.id));
                Err(error.into())
            }
        }
    }

    /// Reads a result; it is shared, not copied.
    ///
    /// # Errors
    /// The result has expired, or was never in this store.
    pub fn read(&self, result: &ResultRef) -> Result<Arc<Payload>, ResultError> {
        self.with(|store| store.read(result, Instant::now()))
    }

    /// Its contents.
    #[must_use]
    pub fn stats(&self) -> ResultsStats {
        self.with(|store| ResultsStats {
            count: store.kept.len(),
            bytes: store.bytes,
            expired: store.expired,
        })
    }

    fn with<R>(&self, act: impl FnOnce(&mut Store) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store {
    fn put(
        &mut self,
        source: Source,
        name: Arc<str>,
        payload: Arc<Payload>,
        now: Instant,
    ) -> Result<ResultRef, ResultError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(ResultError::Name { bytes: name.len() });
        }
        let (bytes, bytes_max) = (payload.len(), self.limits.bytes_max);
        if bytes > bytes_max {
            return Err(ResultError::TooLarge { name, bytes, bytes_max });
        }
        self.expire(now);
        while self.kept.len() >= self.limits.count_max.max(1) || self.bytes + bytes > bytes_max {
            let Some((_, id)) = self.by_use.pop_first() else { break };
            self.remove(id);
            self.expired += 1;
        }
        let (id, used) = (self.next_id, self.next_use);
        (self.next_id, self.next_use) = (id + 1, used + 1);
        self.bytes += bytes;
        self.by_use.insert(used, id);
        let kept = Kept {
            source: source.clone(),
            name: Arc::clone(&name),
            payload,
            bytes,
            since: now,
            used,
        };
        self.kept.insert(id, kept);
        Ok(ResultRef { id, source, name })
    }

    fn read(&mut self, result: &ResultRef, now: Instant) -> Result<Arc<Payload>, ResultError> {
        self.expire(now);
        let (name, origin) = (Arc::clone(&result.name), result.source.clone());
        match self.kept.get_mut(&result.id) {
            Some(kept) if kept.name == name && kept.source == origin => {
                self.by_use.remove(&kept.used);
                kept.used = self.next_use;
                self.by_use.insert(kept.used, result.id);
                self.next_use += 1;
                Ok(Arc::clone(&kept.payload))
            }
            None if (1..self.next_id).contains(&result.id) => Err(ResultError::Expired { name, origin }),
            _ => Err(ResultError::Unknown { name, origin }),
        }
    }

    fn expire(&mut self, now: Instant) {
        let age_max = self.limits.age_max;
        // The lowest number is the oldest.
        while let Some((id, kept)) = self.kept.first_key_value()
            && now.saturating_duration_since(kept.since) > age_max
        {
            let id = *id;
            self.remove(id);
            self.expired += 1;
        }
    }

    fn remove(&mut self, id: u64) {
        if let Some(kept) = self.kept.remove(&id) {
            self.by_use.remove(&kept.used);
            self.bytes -= kept.bytes;
        }
    }
}

impl fmt::Debug for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.stats().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn bytes(len: usize) -> Payload {
        Bytes::from(vec![0; len]).into()
    }

    #[test]
    fn the_least_recently_read_results_are_evicted_by_bytes_and_number() {
        let results = Results::builder().bytes_max(100).count_max(3).build();
        let put = |name: &str, len| results.put(Source::Host, name, bytes(len)).unwrap();
        let (a, b) = (put("a", 40), put("b", 40));
        assert!(results.read(&a).is_ok());
        let c = put("c", 40);
        assert!(matches!(results.read(&b), Err(ResultError::Expired { .. })));
        let (_, e) = (put("d", 1), put("e", 1));
        assert!(matches!(results.read(&a), Err(ResultError::Expired { .. })));
        assert!(results.read(&c).is_ok() && results.read(&e).is_ok());
        let stats = ResultsStats {
            count: 3,
            bytes: 42,
            expired: 2,
        };
        assert_eq!(results.stats(), stats);
    }

    #[test]
    fn an_old_result_has_expired_and_one_of_another_store_is_unknown() {
        let results = Results::builder().age_max(Duration::from_secs(1)).build();
        let (start, name) = (Instant::now(), Arc::from("a"));
        let result = results
            .with(|store| store.put(Source::Host, name, Arc::new(bytes(1)), start))
            .unwrap();
        let read = |result: &ResultRef, at| results.with(|store| store.read(result, start + Duration::from_millis(at)));
        assert!(read(&result, 1000).is_ok());
        assert!(matches!(read(&result, 1001), Err(ResultError::Expired { .. })));
        assert_eq!(results.stats().bytes, 0);
        let other = ResultRef { id: 7, ..result };
        assert!(matches!(read(&other, 0), Err(ResultError::Unknown { .. })));
    }

    #[test]
    fn names_and_sizes_have_limits_and_results_that_cannot_be_announced_are_not_stored() {
        let (bus, results) = (Bus::new(), Results::builder().bytes_max(10).build());
        for len in [0, 256] {
            let error = results.put(Source::Host, "n".repeat(len), ());
            assert_eq!(error, Err(ResultError::Name { bytes: len }));
        }
        assert!(matches!(
            results.put(Source::Host, "a", bytes(11)),
            Err(ResultError::TooLarge { .. })
        ));
        bus.close();
        let error = results.announce(&bus, Source::Host, "n".repeat(255), bytes(10));
        assert_eq!(error, Err(AnnounceError::Publish(PublishError::Closed)));
        assert_eq!(results.stats().count, 0);
    }
}
