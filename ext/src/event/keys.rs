//! The keys of a worker's events.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_never_come_again_and_are_small_integers_to_the_last() {
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
