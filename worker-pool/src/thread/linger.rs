//! A short spin before a worker's loop sleeps.
//!
//! Waking a sleeping thread costs more than most calls. If each event arrives as soon as the previous one is answered, the
//! next one arrives before the thread would have fallen asleep. The loop therefore polls its mailbox for a moment, but only
//! while events arrive that quickly.

use std::time::{Duration, Instant};

use crate::sync::clock;

/// Number of polls between two reads of the clock.
const LOOKS: usize = 16;

pub(super) struct Linger {
    limit: Duration,
    /// Time at which the loop went to sleep, until the next event arrives.
    asleep_since: Option<Instant>,
    /// True if the last event arrived within the limit after the end of the previous one.
    brisk: bool,
}

impl Linger {
    pub(super) const fn new(limit: Duration) -> Self {
        Self {
            limit,
            asleep_since: None,
            brisk: false,
        }
    }

    /// Records the arrival of an event that was accepted at this time.
    pub(super) fn came(&mut self, accepted: Instant) {
        if let Some(since) = self.asleep_since.take() {
            self.brisk = accepted.saturating_duration_since(since) < self.limit;
        }
    }

    /// Polls for new mail, if it is likely to arrive. Returns whether there is any.
    pub(super) fn finds(&mut self, came: impl Fn() -> bool) -> bool {
        let began = clock::now();
        while self.brisk {
            for _ in 0..LOOKS {
                if came() {
                    return true;
                }
                std::hint::spin_loop();
            }
            self.brisk = clock::now().saturating_duration_since(began) < self.limit;
            // The sender may need this processor.
            std::thread::yield_now();
        }
        self.asleep_since.get_or_insert(began);
        false
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::{Duration, Instant};

    use super::Linger;

    const LIMIT: Duration = Duration::from_millis(5);

    #[test]
    fn it_does_not_spin_before_quick_events() {
        let mut linger = Linger::new(LIMIT);
        assert!(!linger.finds(|| panic!("nobody looks")));
        linger.came(Instant::now() + LIMIT * 2);
        assert!(!linger.finds(|| panic!("the last event came late")));
    }

    #[test]
    fn it_spins_after_a_quick_event_up_to_the_limit() {
        let mut linger = Linger::new(LIMIT);
        assert!(!linger.finds(|| false));
        linger.came(Instant::now());
        let looks = Cell::new(0);
        assert!(linger.finds(|| looks.replace(looks.get() + 1) == 3));
        let began = Instant::now();
        assert!(!linger.finds(|| false));
        assert!(began.elapsed() >= LIMIT);
        assert!(!linger.finds(|| panic!("it was in vain")));
    }

    #[test]
    fn without_a_limit_it_never_spins() {
        let mut linger = Linger::new(Duration::ZERO);
        assert!(!linger.finds(|| panic!("off")));
        linger.came(Instant::now());
        assert!(!linger.finds(|| panic!("off")));
    }
}
