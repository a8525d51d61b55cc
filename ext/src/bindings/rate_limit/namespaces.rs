//! Namespaces of rate limits, whose counts outlive versions of scripts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Counters, RateLimit};

/// Counters of rate limits, by namespace. Scripts with the same namespace share its counter, and a redeployed script keeps it.
///
/// ```
/// use std::time::Duration;
///
/// use isopod_ext::bindings::rate_limit::RateLimitNamespaces;
///
/// let namespaces = RateLimitNamespaces::default();
/// let before = namespaces.rate_limit("1001", 100, Duration::from_secs(60), 1000);
/// assert!(before.take("a client"));
/// // The next version allows one call, which was already made.
/// let after = namespaces.rate_limit("1001", 1, Duration::from_secs(60), 1000);
/// assert!(!after.take("a client"));
/// ```
///
/// Clones share the counts. Counts of an unused namespace are dropped when their window has ended.
#[derive(Clone, Default)]
pub struct RateLimitNamespaces(Arc<Mutex<BTreeMap<Key, Arc<Counters>>>>);

/// The namespace and the length of its windows, which determines when they begin.
type Key = (String, Duration);

impl RateLimitNamespaces {
    /// Returns a rate limit that counts in this namespace, with the parameters of [`RateLimit::with_keys_max`]. Rate limits
    /// of one namespace share the counts if their windows are equally long, and may have different limits.
    pub fn rate_limit(&self, namespace: &str, limit: u32, window: Duration, keys_max: usize) -> RateLimit {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, counters| Arc::strong_count(counters) > 1 || !counters.is_idle_at(counters.started.elapsed()));
        let counters = all.entry((namespace.to_owned(), window));
        let counters = counters.or_insert_with(|| Arc::new(Counters::new(window)));
        RateLimit::of(Arc::clone(counters), limit, keys_max)
    }
}

impl fmt::Debug for RateLimitNamespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_set().entries(all.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_namespace_has_its_own_counts() {
        let namespaces = RateLimitNamespaces::default();
        let made = [("a", LONG), ("b", LONG), ("a", LONG * 2)];
        for (namespace, window) in made {
            let limit = namespaces.rate_limit(namespace, 1, window, 16);
            assert_eq!(
                [limit.take("k"), limit.take("k")],
                [true, false],
                "{namespace} {window:?}"
            );
        }
    }

    #[test]
    fn counts_outlive_the_rate_limits_that_made_them_until_their_window_ends() {
        let namespaces = RateLimitNamespaces::default();
        for (allowed, expected) in [(2, true), (2, true), (2, false), (3, true), (1, false)] {
            assert_eq!(namespaces.rate_limit("a", allowed, LONG, 16).take("k"), expected);
        }
        // A window of a millisecond ends when the next begins.
        let short = Duration::from_millis(1);
        let used = namespaces.rate_limit("used", 1, short, 16);
        assert!(namespaces.rate_limit("unused", 1, short, 16).take("k"));
        while format!("{namespaces:?}").contains("unused") {
            std::thread::yield_now();
            let _ = namespaces.rate_limit("used", 1, short, 16);
        }
        assert!(used.take("k"));
        assert!(format!("{namespaces:?}").contains("used") && !namespaces.rate_limit("a", 2, LONG, 16).take("k"));
    }
}
