//! Pace of a queue, and the time until it has room again.

use std::time::{Duration, Instant};

/// Divisor of the weight of a new measurement.
const WEIGHT: u32 = 8;
/// Maximum retry-after hint.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Pace of one queue.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    last: Option<Instant>,
    /// Average time between two events that leave the queue.
    gap: Option<Duration>,
}

impl Pace {
    /// Records that a number of events left the queue together.
    pub(crate) fn left(&mut self, count: u32, now: Instant) {
        if count == 0 {
            return;
        }
        if let Some(last) = self.last.replace(now) {
            let gap = now.saturating_duration_since(last) / count;
            self.gap = Some(self.gap.map_or(gap, |old| (old * (WEIGHT - 1) + gap) / WEIGHT));
        }
    }

    /// The queue is empty, so the time until the next event leaves is not measured.
    pub(crate) const fn emptied(&mut self) {
        self.last = None;
    }

    /// Returns the time in which a number of events pass. Zero if unknown.
    pub(crate) fn passes(&self, queued: usize) -> Duration {
        let line = u32::try_from(queued).unwrap_or(u32::MAX);
        self.gap.unwrap_or_default().saturating_mul(line)
    }

    /// Returns the retry-after hint for a queue of this length: 0.5 to 1.5 times the time in which the queue passes, or
    /// times `least` if that is longer. `chance`, any number, spreads the callers.
    pub(crate) fn retry_after(&self, queued: usize, least: Duration, chance: u64) -> Duration {
        self.passes(queued)
            .clamp(least.min(WAIT_MAX), WAIT_MAX)
            .mul_f64(0.5 + fastrand::Rng::with_seed(chance).f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_secs(1);

    #[test]
    fn retry_hints_grow_with_the_queue_and_have_jitter() {
        let start = Instant::now();
        let mut pace = Pace::default();
        (0..50).for_each(|n| pace.left(1, start + Duration::from_millis(n * 100)));
        // A hundred events at ten per second.
        let told: Vec<_> = (0..1000).map(|chance| pace.retry_after(100, LEAST, chance)).collect();
        assert!(told.iter().all(|wait| (5..=15).contains(&wait.as_secs())), "{told:?}");
        let mean = told.iter().sum::<Duration>() / 1000;
        assert!(
            (Duration::from_secs(9)..Duration::from_secs(11)).contains(&mean),
            "{mean:?}"
        );
        let mut distinct = told;
        distinct.sort();
        distinct.dedup();
        assert!(distinct.len() > 990, "{} different times", distinct.len());
        assert!(pace.retry_after(1, LEAST, 7) <= LEAST * 3 / 2);
        assert!(pace.retry_after(usize::MAX, LEAST, 7) <= WAIT_MAX * 3 / 2);
    }

    #[test]
    fn time_without_a_waiting_reader_does_not_count() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.left(1, start);
        pace.emptied();
        pace.left(1, start + Duration::from_secs(100));
        pace.left(2, start + Duration::from_secs(102));
        assert_eq!(pace.gap, Some(Duration::from_secs(1)));
    }
}
