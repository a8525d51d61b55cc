//! `env.LIMITER`: a rate limit in the shape of Workers', `const { success } = await env.LIMITER.limit({ key })`.
//!
//! It counts calls per key in fixed windows. All workers of a script share the counts. The counts of a namespace outlive
//! versions of scripts. Each process has its own counts.

mod namespaces;

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use deno_core::{OpState, op2};
use serde_json::Value;

pub use self::namespaces::RateLimitNamespaces;

use super::{Asks, Binding, EnvValue, Installed, NewWorker, Parcel, ParcelFuture, WrittenBinding, pack, unpack};

/// Number of locks over which the keys are spread, to reduce contention.
const SHARDS: usize = 16;

/// Number of keys examined to find one to drop.
const CANDIDATES: usize = 8;

/// A rate limit: a number of calls per key in each window of time.
///
/// ```
/// use std::time::Duration;
///
/// use isopod_ext::bindings::rate_limit::RateLimit;
///
/// let a_hundred_per_minute = RateLimit::new(100, Duration::from_secs(60));
/// ```
///
/// Windows follow one another from its creation. Clones share their counts.
#[derive(Clone)]
pub struct RateLimit(Counts);

#[derive(Clone)]
enum Counts {
    Here {
        counters: Arc<Counters>,
        limit: u32,
        keys_max: usize,
    },
    /// Counted in the pool's process.
    Elsewhere(Asks),
}

/// The counts of a namespace. Rate limits with different limits may share them.
struct Counters {
    window: Duration,
    started: Instant,
    /// Randomly seeded, so that clients cannot choose keys whose hashes collide.
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

/// The counts of some keys, by hash, so that long keys take no more room. At the default number of keys, the chance that any
/// two share a count is below one in a billion.
#[derive(Default)]
struct Shard {
    /// The number of the window that the counts belong to.
    window: u128,
    counts: HashMap<u64, u32>,
}

impl RateLimit {
    /// The default maximum number of counted keys.
    pub const KEYS_MAX: usize = 65_536;

    /// Allows `limit` calls per key in each window. A window is at least one millisecond long.
    pub fn new(limit: u32, window: Duration) -> Self {
        Self::with_keys_max(limit, window, Self::KEYS_MAX)
    }

    /// Creates a rate limit with a maximum number of counted keys. Default: [`RateLimit::KEYS_MAX`]. Beyond it, keys with
    /// low counts are dropped, and restart at zero.
    pub fn with_keys_max(limit: u32, window: Duration, keys_max: usize) -> Self {
        Self::of(Arc::new(Counters::new(window)), limit, keys_max)
    }

    const fn of(counters: Arc<Counters>, limit: u32, keys_max: usize) -> Self {
        Self(Counts::Here {
            counters,
            limit,
            keys_max,
        })
    }

    /// Counts a call for this key. Returns whether it is within the limit.
    pub fn take(&self, key: &str) -> bool {
        match &self.0 {
            Counts::Here {
                counters,
                limit,
                keys_max,
            } => counters.take_at(key, counters.started.elapsed(), *limit, *keys_max),
            // A call that cannot be counted is not within the limit.
            Counts::Elsewhere(asks) => {
                let answer = pack(&key).and_then(|bytes| asks.ask_now(Parcel::new(bytes)));
                answer.and_then(|answer| unpack(&answer.bytes)).unwrap_or(false)
            }
        }
    }

    /// Creates a rate limit that is counted in the pool's process.
    pub(crate) const fn elsewhere(asks: Asks) -> Self {
        Self(Counts::Elsewhere(asks))
    }

    /// Counts a call at a time after the creation of the rate limit.
    #[cfg(test)]
    fn take_at(&self, key: &str, at: Duration) -> bool {
        match &self.0 {
            Counts::Here {
                counters,
                limit,
                keys_max,
            } => counters.take_at(key, at, *limit, *keys_max),
            Counts::Elsewhere(_) => false,
        }
    }
}

impl Counters {
    /// Starts at zero. A window is at least one millisecond long.
    fn new(window: Duration) -> Self {
        Self {
            window: window.max(Duration::from_millis(1)),
            started: Instant::now(),
            hasher: RandomState::new(),
            shards: Default::default(),
        }
    }

    /// Returns the number of the window at a time after the start.
    const fn window_at(&self, at: Duration) -> u128 {
        at.as_millis() / self.window.as_millis()
    }

    /// Returns whether no call was counted in the window at this time.
    fn is_idle_at(&self, at: Duration) -> bool {
        let window = self.window_at(at);
        self.shards.iter().all(|shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.window < window || shard.counts.is_empty()
        })
    }

    /// Counts a call at a time after the start.
    fn take_at(&self, key: &str, at: Duration, limit: u32, keys_max: usize) -> bool {
        let hash = self.hasher.hash_one(key);
        let window = self.window_at(at);
        let shard = &self.shards[hash as usize % SHARDS];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        // A delayed thread may have a time of an earlier window; its call counts for the current one.
        if shard.window < window {
            *shard = Shard {
                window,
                ..Shard::default()
            };
        }
        if let Some(count) = shard.counts.get_mut(&hash) {
            let is_within = *count < limit;
            *count += u32::from(is_within);
            return is_within;
        }
        if limit == 0 {
            return false;
        }
        if shard.counts.len() >= (keys_max / SHARDS).max(1) {
            shard.drop_one();
        }
        shard.counts.insert(hash, 1);
        true
    }
}

impl Shard {
    /// Makes room by dropping the key with the lowest count among a few. Keys at their limit stay as long as there are others.
    fn drop_one(&mut self) {
        let candidates = self.counts.iter().take(CANDIDATES);
        let lowest = candidates.min_by_key(|(_, count)| **count).map(|(hash, _)| *hash);
        lowest.map(|hash| self.counts.remove(&hash));
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RateLimit");
        if let Counts::Here { counters, limit, .. } = &self.0 {
            shown.field("limit", limit).field("window", &counters.window);
        }
        shown.finish_non_exhaustive()
    }
}

impl Binding for RateLimit {
    fn kind(&self) -> &'static str {
        "rate limit"
    }

    fn install(&self, name: &str, _worker: &NewWorker<'_>, state: &mut OpState) -> EnvValue<'_> {
        Installed::put(state, name, self.clone());
        EnvValue::made("ext:isopod_rate_limit/rate_limit.js", &Value::Null)
    }

    fn written(&self) -> Option<WrittenBinding> {
        Some(WrittenBinding::RateLimit)
    }

    fn serve(&self, _script: &str, request: Parcel, _bytes_max: usize) -> ParcelFuture {
        let taken = unpack::<String>(&request.bytes).and_then(|key| pack(&self.take(&key)));
        Box::pin(std::future::ready(taken.map(Parcel::new)))
    }
}

/// The worker has no rate limit of this name.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[class(type)]
#[error("this worker has no rate limit named '{0}'")]
struct NoBinding(String);

#[op2(fast)]
fn op_isopod_rate_limit(state: &OpState, #[string] name: String, #[string] key: &str) -> Result<bool, NoBinding> {
    match Installed::<RateLimit>::get(state, &name) {
        Some(limit) => Ok(limit.take(key)),
        None => Err(NoBinding(name)),
    }
}

/// A module of its own, because the macro creates a public type.
pub(crate) mod extension {
    use super::op_isopod_rate_limit;

    deno_core::extension!(
        isopod_rate_limit,
        deps = [isopod_context],
        ops = [op_isopod_rate_limit],
        lazy_loaded_js = [dir "src/bindings/rate_limit", "rate_limit.js"],
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn keys_are_counted_apart_up_to_the_limit() {
        let limit = RateLimit::new(2, WINDOW);
        let taken = ["a", "a", "a", "b", "a", "b", "b"].map(|key| limit.take_at(key, at(0)));
        assert_eq!(taken, [true, true, false, true, false, true, false]);
    }

    #[test]
    fn a_new_window_begins_at_zero() {
        let limit = RateLimit::new(1, WINDOW);
        let taken = [0, 9_999, 10_000, 19_999, 45_000].map(|millis| limit.take_at("a", at(millis)));
        assert_eq!(taken, [true, false, true, false, true]);
    }

    #[test]
    fn a_late_call_counts_for_the_current_window() {
        let limit = RateLimit::new(1, WINDOW);
        assert!(limit.take_at("a", at(10_000)));
        assert!(!limit.take_at("a", at(9_999)));
    }

    #[test]
    fn a_limit_of_zero_allows_nothing() {
        assert!(!RateLimit::new(0, WINDOW).take("a"));
    }

    /// The bound holds for any keys, and a key at its limit survives a flood of others.
    #[test]
    fn a_flood_of_keys_is_bounded_and_does_not_free_a_key_at_its_limit() {
        let limit = RateLimit::with_keys_max(3, WINDOW, 16 * 32);
        let abuser: Vec<_> = (0..4).map(|_| limit.take_at("abuser", at(0))).collect();
        assert_eq!(abuser, [true, true, true, false]);
        for number in 0..10_000 {
            assert!(limit.take_at(&format!("flood-{number}"), at(1)), "{number}");
        }
        let Counts::Here { counters, .. } = &limit.0 else {
            panic!("it counts here")
        };
        let counted = counters.shards.iter().map(|shard| shard.lock().unwrap().counts.len());
        assert_eq!(counted.collect::<Vec<_>>(), [32; SHARDS]);
        assert!(!limit.take_at("abuser", at(2)));
    }

    #[test]
    fn threads_share_the_counts() {
        let limit = RateLimit::new(100, Duration::from_secs(3600));
        let threads = (0..4).map(|_| {
            let limit = limit.clone();
            std::thread::spawn(move || (0..100).filter(|_| limit.take("a")).count())
        });
        let threads: Vec<_> = threads.collect();
        let taken: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(taken, 100);
    }
}
