//! Adaptive concurrency of a worker.
//!
//! One thread runs all events of a worker. While the thread sleeps now and then, another concurrent event fills the gaps.
//! Once it never sleeps, another event only delays the others, and should wait in the queue, where another worker may take
//! it. The measure is therefore the utilization of the thread, and not the duration of events, which has many causes.

use std::time::Duration;

/// Utilization below which the limit is raised.
const GAPS: f64 = 0.85;
/// Utilization above which the limit is lowered.
const FULL: f64 = 0.95;
/// Change of the limit per decision, as a fraction of it.
const STEP: f64 = 0.125;

/// Time between two decisions.
pub(crate) const WATCHED: Duration = Duration::from_millis(20);

/// Adaptive concurrency limit of one worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    limit: f64,
    max: f64,
}

impl Room {
    #[allow(clippy::cast_precision_loss, reason = "limits are small numbers")]
    pub(crate) fn new(max: usize) -> Self {
        // Starts in the middle, not far from the limits of computing and waiting workers.
        let max = max.max(1) as f64;
        Self {
            limit: max.sqrt().max(1.0),
            max,
        }
    }

    /// Adapts the limit to the utilization and the maximum number of concurrent events in the measured time.
    #[allow(clippy::cast_precision_loss, reason = "limits are small numbers")]
    pub(crate) fn judge(&mut self, busy: f64, most_at_once: usize) {
        let step = (self.limit * STEP).max(0.5);
        if busy > FULL {
            self.limit -= step;
        } else if busy < GAPS && (most_at_once + 1) as f64 > self.limit {
            // Only a limit that was reached is raised.
            self.limit += step;
        }
        self.limit = self.limit.clamp(1.0, self.max);
    }

    /// Returns the limit: at least 1, at most the script's concurrency.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 1 to a limit that was a whole number"
    )]
    pub(crate) const fn limit(&self) -> usize {
        self.limit as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Room;

    /// Returns the limit at which a worker settles whose events compute for this part of their duration, with a queue that
    /// is never empty.
    #[allow(clippy::cast_precision_loss, reason = "small numbers")]
    fn settled(max: usize, computes: f64) -> usize {
        let mut room = Room::new(max);
        for _ in 0..200 {
            let at_once = room.limit();
            room.judge((at_once as f64 * computes).min(1.0), at_once);
        }
        room.limit()
    }

    #[test]
    fn computing_events_are_serialized_and_waiting_ones_overlap() {
        assert_eq!((settled(64, 1.0), settled(64, 0.001)), (1, 64));
        // Ten events that compute for a tenth of their time fill a thread.
        assert!((8..=11).contains(&settled(64, 0.1)), "{}", settled(64, 0.1));
    }

    #[test]
    fn an_unreached_limit_is_not_raised() {
        let mut room = Room::new(64);
        (0..100).for_each(|_| room.judge(0.01, 1));
        assert_eq!(room.limit(), 8);
    }

    proptest! {
        #[test]
        fn it_never_leaves_its_bounds(max in 1..200usize, seen in prop::collection::vec((0.0..=1.0f64, 0..300usize), 1..300)) {
            let mut room = Room::new(max);
            for (busy, at_once) in seen {
                room.judge(busy, at_once);
                prop_assert!((1..=max).contains(&room.limit()));
            }
        }
    }
}
