//! The names of a worker's events.

/// The name of an event inside one worker, as its script's side knows it. Never used twice by a worker.
pub type EventKey = u32;

/// As many events as one worker can take. The keys of all of them are small integers to V8, whichever way it has those; and no key
/// is used twice, because code that an event left behind would be taken for that of another.
pub const EVENTS_MAX: EventKey = (1 << 30) - 1;

/// Hands out the keys of one worker.
#[derive(Debug, Default)]
pub struct Keys(EventKey);

impl Keys {
    /// Whether all have been handed out.
    pub fn are_used_up(&self) -> bool {
        self.0 >= EVENTS_MAX
    }

    /// The next. Past the last there is one for what is refused at once.
    pub(super) fn next(&mut self) -> EventKey {
        self.0 = self.0.saturating_add(1).min(EVENTS_MAX + 1);
        self.0
    }

    /// For tests of what is far away: as if so many had been handed out.
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
        // V8's small integers have 31 bits where it compresses pointers.
        assert_eq!((keys.next(), EVENTS_MAX), (EVENTS_MAX, (1 << 30) - 1));
        assert!(keys.are_used_up());
        assert_eq!((keys.next(), keys.next()), (EVENTS_MAX + 1, EVENTS_MAX + 1));
    }
}
