//! The keys of a worker's events.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The key of an event within a worker, shared with the JavaScript side. A worker does not reuse keys.
pub type EventKey = u32;

/// Maximum number of events of a worker. The keys of all of them are small integers in all configurations of V8. Keys
/// are not reused, because leftover code of one event would be attributed to another.
pub const EVENTS_MAX: EventKey = (1 << 30) - 1;

/// Assigns the keys of a worker.
#[derive(Debug, Default)]
pub struct Keys(EventKey);

impl Keys {
    /// Returns true if all have been assigned.
    pub fn are_used_up(&self) -> bool {
        self.0 >= EVENTS_MAX
    }

    /// The next key. After the last there is one more, for events that are rejected immediately.
    pub(super) fn next(&mut self) -> EventKey {
        self.0 = self.0.saturating_add(1).min(EVENTS_MAX + 1);
        self.0
    }

    /// For tests: pretends that this many have been assigned.
    #[doc(hidden)]
    pub fn skip_to(&mut self, last: EventKey) {
        self.0 = last;
    }
}

/// A map by event. Each event is looked up several times.
pub type KeyMap<V> = HashMap<EventKey, V, BuildHasherDefault<KeyHasher>>;

/// Hashes keys of events, which the worker itself assigns one after the other, so that no one can choose those that collide.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write_u32(&mut self, key: u32) {
        // Fibonacci hashing: the lower bits of keys in a row all differ, and the upper ones are spread.
        self.0 = (self.0 ^ u64::from(key)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_never_reused_and_always_small_integers() {
        let mut keys = Keys::default();
        assert_eq!((keys.next(), keys.next()), (1, 2));
        keys.skip_to(EVENTS_MAX - 1);
        assert!(!keys.are_used_up());
        // V8's small integers have 31 bits with pointer compression.
        assert_eq!((keys.next(), EVENTS_MAX), (EVENTS_MAX, (1 << 30) - 1));
        assert!(keys.are_used_up());
        assert_eq!((keys.next(), keys.next()), (EVENTS_MAX + 1, EVENTS_MAX + 1));
    }
}
