//! Standing-queue detection: CoDel (RFC 8289), for events instead of packets.
//!
//! A queue drains after a burst. If even the shortest wait over a whole interval is above a target, the queue is standing:
//! it delays every event, and workers get events whose callers have given up. Events older than twice the target are then
//! shed, and new events are refused if they would wait longer than the target.

use std::time::{Duration, Instant};

/// Delay of one queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delay {
    target: Duration,
    interval: Duration,
    /// End of the current interval, and the shortest wait in it.
    window: Option<(Instant, Duration)>,
    standing: bool,
}

impl Delay {
    pub(crate) const fn new(target: Duration, interval: Duration) -> Self {
        Self {
            target,
            interval,
            window: None,
            standing: false,
        }
    }

    /// Records the wait of an event that leaves the queue for a worker.
    pub(crate) fn left(&mut self, waited: Duration, now: Instant) {
        match &mut self.window {
            Some((ends, least)) if now < *ends => *least = waited.min(*least),
            over => {
                // The first event after an interval still belongs to it. While new events are refused, short waits do not
                // mean that the overload is over; an empty queue does.
                self.standing |= over.is_some_and(|(_, least)| least.min(waited) > self.target);
                *over = Some((crate::time::after(now, self.interval), waited));
            }
        }
    }

    /// Records that the queue is empty, and so not standing.
    pub(crate) const fn emptied(&mut self) {
        self.window = None;
        self.standing = false;
    }

    /// Returns the expected wait above which another event is refused. `None`: any wait is accepted.
    pub(crate) fn admits_below(&self) -> Option<Duration> {
        self.standing.then_some(self.target)
    }

    /// Returns the wait above which an event is not given to a worker. `None`: any wait is accepted.
    pub(crate) fn serves_below(&self) -> Option<Duration> {
        self.standing.then(|| self.target.saturating_mul(2))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TARGET: Duration = Duration::from_millis(100);
    const INTERVAL: Duration = Duration::from_millis(500);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_burst_that_drains_within_an_interval_is_ignored() {
        let (start, mut delay) = (Instant::now(), Delay::new(TARGET, INTERVAL));
        (0..40).for_each(|n| delay.left(ms(400 - n * 10), start + ms(n * 10)));
        assert_eq!((delay.admits_below(), delay.serves_below()), (None, None));
    }

    #[test]
    fn a_standing_queue_stands_until_it_is_empty() {
        let (start, mut delay) = (Instant::now(), Delay::new(TARGET, INTERVAL));
        (0..=50).for_each(|n| delay.left(ms(150), start + ms(n * 10)));
        assert_eq!(
            (delay.admits_below(), delay.serves_below()),
            (Some(TARGET), Some(2 * TARGET))
        );
        delay.emptied();
        assert_eq!((delay.admits_below(), delay.serves_below()), (None, None));
    }

    proptest! {
        #[test]
        fn a_queue_stands_only_after_an_interval_of_long_waits(
            waits in prop::collection::vec((1..60u64, 0..300u64), 1..100)
        ) {
            let (mut now, mut delay) = (Instant::now(), Delay::new(TARGET, INTERVAL));
            let mut seen: Vec<(Instant, Duration)> = Vec::new();
            for (pause, waited) in waits {
                now += ms(pause);
                delay.left(ms(waited), now);
                seen.push((now, ms(waited)));
                // Every half interval, and so every interval, has an event that hardly waited.
                let start = seen[0].0;
                let halves = (now - start).as_millis() / (INTERVAL / 2).as_millis();
                let calm = (0..=halves).all(|half| seen.iter().any(|(at, waited)| {
                    (*at - start).as_millis() / (INTERVAL / 2).as_millis() == half && *waited <= TARGET
                }));
                prop_assert!(!(calm && delay.serves_below().is_some()), "it stands although it kept draining");
            }
        }
    }
}
