//! The cache of a process, in which each script has a separate part.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;

use super::entry::Entry;
use crate::bindings::Asks;

/// Limits of a [`ResponseCache`].
///
/// ```
/// # mod isopod { pub use isopod_ext::cache::CacheLimits; }
/// use isopod::CacheLimits;
///
/// let limits = CacheLimits::default().bytes_max(1 << 30);
/// assert_eq!(limits.object_bytes_max, 32 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct CacheLimits {
    /// Maximum size of all responses with their headers, in bytes. The least used ones are evicted. Default: 256 MiB.
    pub bytes_max: u64,
    /// Maximum size of a stored response's body, in bytes. Default: 32 MiB.
    pub object_bytes_max: usize,
}

isopod_outcome::setters!(CacheLimits {
    bytes_max: u64,
    object_bytes_max: usize,
});

impl Default for CacheLimits {
    fn default() -> Self {
        Self {
            bytes_max: 256 << 20,
            object_bytes_max: 32 << 20,
        }
    }
}

/// Responses in memory for `caches`.
///
/// ```
/// # mod isopod { pub use isopod_ext::cache::{CacheLimits, ResponseCache}; }
/// use isopod::{CacheLimits, ResponseCache};
///
/// let cache = ResponseCache::new(CacheLimits::default());
/// // Scripts that are built with clones share the limits, but not the responses.
/// assert_eq!(cache.clone().bytes(), 0);
/// ```
///
/// Clones share the responses. A script sees the responses stored under its name, by any version and on any thread.
#[derive(Clone, Default)]
pub struct ResponseCache(Arc<Shared>);

#[derive(Default)]
struct Shared {
    limits: CacheLimits,
    /// Created on first use.
    responses: OnceLock<Cache<Key, Arc<Entry>>>,
    /// `Some` if the responses are in another process.
    away: Option<Asks>,
}

/// The key of a response.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The name of the script.
    pub(super) worker: Arc<str>,
    /// The name of a cache other than the default.
    pub(super) cache: Option<String>,
    pub(super) url: String,
}

impl ResponseCache {
    /// Creates a cache.
    #[must_use]
    pub fn new(limits: CacheLimits) -> Self {
        Self(Arc::new(Shared {
            limits,
            ..Shared::default()
        }))
    }

    /// Creates a handle to a cache in another process, with these limits.
    pub(crate) fn elsewhere(limits: CacheLimits, asks: Asks) -> Self {
        Self(Arc::new(Shared {
            limits,
            away: Some(asks),
            ..Shared::default()
        }))
    }

    /// Returns the connection to the responses, if they are in another process.
    pub(super) fn away(&self) -> Option<&Asks> {
        self.0.away.as_ref()
    }

    /// Returns the approximate size of the responses, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let responses = self.0.responses.get();
        responses.map_or(0, |responses| {
            responses.run_pending_tasks();
            responses.weighted_size()
        })
    }

    /// Returns the limits.
    #[must_use]
    pub fn limits(&self) -> CacheLimits {
        self.0.limits
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.0.responses.get()?.get(key)
    }

    pub(super) fn put(&self, key: Key, entry: Entry) {
        let responses = self.responses();
        responses.insert(key, Arc::new(entry));
        // Otherwise the limit would be applied only after dozens of writes, each of which may be large.
        responses.run_pending_tasks();
    }

    /// Removes a response. Returns whether there was one.
    pub(super) fn remove(&self, key: &Key) -> bool {
        let responses = self.0.responses.get();
        responses.is_some_and(|responses| responses.remove(key).is_some())
    }

    fn responses(&self) -> &Cache<Key, Arc<Entry>> {
        self.0.responses.get_or_init(|| {
            Cache::builder()
                .max_capacity(self.0.limits.bytes_max)
                .weigher(|key: &Key, entry: &Arc<Entry>| {
                    let key = 2 * (key.url.len() + key.cache.as_deref().map_or(0, str::len)) + size_of::<Key>();
                    u32::try_from(key + entry.bytes()).unwrap_or(u32::MAX)
                })
                .expire_after(WhenStale)
                .build()
        })
    }
}

impl fmt::Debug for ResponseCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ResponseCache").field(&self.0.limits).finish()
    }
}

/// Expiry of stale responses.
struct WhenStale;

impl Expiry<Key, Arc<Entry>> for WhenStale {
    fn expire_after_create(&self, _: &Key, entry: &Arc<Entry>, _: Instant) -> Option<Duration> {
        Some(entry.fresh_for)
    }

    fn expire_after_update(&self, _: &Key, entry: &Arc<Entry>, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(entry.fresh_for)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::super::entry::Offered;
    use super::*;

    fn entry(bytes: usize) -> Entry {
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", HeaderValue::from_static("max-age=60"));
        let offered = Offered {
            request: HeaderMap::new(),
            status: StatusCode::OK,
            headers,
        };
        Entry::new(offered, Bytes::from(vec![0; bytes]), false, SystemTime::now()).unwrap()
    }

    fn key(worker: &str, url: &str) -> Key {
        Key {
            worker: worker.into(),
            cache: None,
            url: url.to_owned(),
        }
    }

    #[test]
    fn a_worker_sees_its_own_responses_alone() {
        let cache = ResponseCache::default();
        cache.put(key("a", "https://x/"), entry(1));
        assert!(cache.get(&key("a", "https://x/")).is_some());
        assert!(cache.get(&key("b", "https://x/")).is_none());
        let named = Key {
            cache: Some("n".to_owned()),
            ..key("a", "https://x/")
        };
        assert!(cache.get(&named).is_none());
        assert!(!cache.remove(&key("b", "https://x/")) && cache.remove(&key("a", "https://x/")));
    }

    #[test]
    fn stored_responses_are_bounded_by_size() {
        let cache = ResponseCache::new(CacheLimits::default().bytes_max(1 << 20));
        for at in 0..100 {
            cache.put(key("a", &format!("https://x/{at}")), entry(100_000));
        }
        assert!((500_000..=1 << 20).contains(&cache.bytes()), "{}", cache.bytes());
    }
}
