//! Circuit breaker: a pure state machine. The pool has one per script version, because a script that cannot boot must not
//! cost a boot for each event. A supervisor has one per guarded name.
//!
//! Time is passed in by the owner of the breaker.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::time::after;

/// Settings of a [`Breaker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerOptions {
    /// Number of failures that open the breaker, at least 1. Default: 3.
    pub failures: usize,
    /// Window in which failures are counted. Default: 60 s.
    pub within: Duration,
    /// Initial time for which the breaker stays open, doubled by each failed probe. Default: 1 s.
    pub backoff_min: Duration,
    /// Maximum time for which the breaker stays open. Default: 60 s.
    pub backoff_max: Duration,
}

isopod_outcome::setters!(BreakerOptions {
    failures: usize,
    within: Duration,
    backoff_min: Duration,
    backoff_max: Duration,
});

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            failures: 3,
            within: Duration::from_secs(60),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
        }
    }
}

/// Decision whether an attempt may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admit {
    /// The attempt may begin.
    Yes,
    /// The attempt is refused until this much time has passed.
    After(Duration),
}

/// State of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Admits all attempts.
    Closed,
    /// Refuses attempts until a time, then admits one probe.
    Open,
    /// Refuses attempts while a probe is running.
    HalfOpen,
}

/// A circuit breaker: closed, open, or half-open with one probe running.
///
/// ```
/// # mod isopod { pub use isopod_pool::BreakerOptions; pub mod engine { pub use isopod_pool::Admit; pub use isopod_pool::Breaker; } }
/// use isopod::engine::{Admit, Breaker};
/// use isopod::BreakerOptions;
/// use std::time::{Duration, Instant};
///
/// let mut breaker = Breaker::new(BreakerOptions::default().failures(1));
/// let now = Instant::now();
/// breaker.failed(now);
/// assert_eq!(breaker.admit(now), Admit::After(Duration::from_secs(1)));
/// ```
#[derive(Debug)]
pub struct Breaker {
    options: BreakerOptions,
    state: State,
}

#[derive(Debug)]
enum State {
    Closed { failures: Vec<Instant> },
    Open { until: Instant, backoff: Duration },
    Probing { backoff: Duration },
}

impl Breaker {
    /// Creates a closed breaker.
    #[must_use]
    pub const fn new(options: BreakerOptions) -> Self {
        Self {
            options,
            state: State::Closed { failures: Vec::new() },
        }
    }

    /// Returns whether an attempt may begin now.
    #[must_use]
    pub fn admit(&self, now: Instant) -> Admit {
        match &self.state {
            State::Closed { .. } => Admit::Yes,
            State::Open { until, .. } if *until <= now => Admit::Yes,
            State::Open { until, .. } => Admit::After(*until - now),
            State::Probing { backoff } => Admit::After(*backoff),
        }
    }

    /// Records the start of an attempt, which is the probe of an open breaker.
    pub fn begin(&mut self) {
        if let State::Open { backoff, .. } = self.state {
            self.state = State::Probing { backoff };
        }
    }

    /// Records that an attempt was abandoned without a result. An open breaker may probe again at once.
    pub fn aborted(&mut self, now: Instant) {
        if let State::Probing { backoff } = self.state {
            self.state = State::Open { until: now, backoff };
        }
    }

    /// Records a success, which closes the breaker and clears its failures.
    pub fn succeeded(&mut self) {
        *self = Self::new(self.options);
    }

    /// Records a failure.
    pub fn failed(&mut self, now: Instant) {
        match &mut self.state {
            State::Closed { failures } => {
                failures.retain(|at| now.saturating_duration_since(*at) < self.options.within);
                failures.push(now);
                if failures.len() >= self.options.failures {
                    self.open(now, self.options.backoff_min);
                }
            }
            State::Probing { backoff } => {
                let backoff = backoff.saturating_mul(2).min(self.options.backoff_max);
                self.open(now, backoff);
            }
            // An attempt that began before the breaker opened.
            State::Open { .. } => {}
        }
    }

    fn open(&mut self, now: Instant, backoff: Duration) {
        self.state = State::Open {
            until: after(now, backoff),
            backoff,
        };
    }

    /// Returns when an open breaker admits a probe.
    #[must_use]
    pub const fn opens_at(&self) -> Option<Instant> {
        match self.state {
            State::Open { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Returns the state.
    #[must_use]
    pub const fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::Probing { .. } => BreakerState::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_failures_in_a_minute_open_it_and_older_ones_do_not_count() {
        let (start, mut breaker) = (Instant::now(), Breaker::new(BreakerOptions::default()));
        for seconds in [0, 61, 100] {
            breaker.failed(start + Duration::from_secs(seconds));
            assert_eq!(breaker.admit(start + Duration::from_secs(seconds)), Admit::Yes);
        }
        breaker.failed(start + Duration::from_secs(101));
        assert_eq!(
            breaker.admit(start + Duration::from_secs(101)),
            Admit::After(Duration::from_secs(1))
        );
    }

    // row 43
    #[test]
    fn probes_are_single_and_back_off_to_a_minute() {
        let (mut now, mut breaker) = (Instant::now(), Breaker::new(BreakerOptions::default()));
        (0..3).for_each(|_| breaker.failed(now));
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = Duration::from_secs(seconds);
            assert_eq!(breaker.admit(now), Admit::After(wait));
            now += wait;
            assert_eq!(breaker.admit(now), Admit::Yes);
            breaker.begin();
            assert_ne!(breaker.admit(now), Admit::Yes);
            breaker.failed(now);
        }
        now += Duration::from_secs(60);
        breaker.begin();
        breaker.succeeded();
        assert_eq!(breaker.admit(now), Admit::Yes);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Wait(u16),
        Try { succeeds: bool },
    }

    proptest! {
        #[test]
        fn it_never_refuses_for_longer_than_its_backoff_and_only_after_its_failures(
            failures in 1_usize..5,
            steps in prop::collection::vec(
                prop_oneof![
                    (0_u16..3000).prop_map(Step::Wait),
                    any::<bool>().prop_map(|succeeds| Step::Try { succeeds }),
                ],
                1..60,
            ),
        ) {
            let options = BreakerOptions { failures, within: Duration::from_secs(5), ..BreakerOptions::default() };
            let (mut now, mut breaker, mut in_a_row) = (Instant::now(), Breaker::new(options), 0);
            for step in steps {
                match step {
                    Step::Wait(millis) => now += Duration::from_millis(u64::from(millis)),
                    Step::Try { succeeds } => match breaker.admit(now) {
                        Admit::After(wait) => {
                            prop_assert!(in_a_row >= failures, "refused after {in_a_row} failures");
                            prop_assert!(wait <= options.backoff_max);
                            prop_assert_eq!(breaker.admit(now + wait), Admit::Yes);
                        }
                        Admit::Yes => {
                            breaker.begin();
                            if succeeds {
                                breaker.succeeded();
                                in_a_row = 0;
                            } else {
                                breaker.failed(now);
                                in_a_row += 1;
                            }
                        }
                    },
                }
            }
        }
    }
}
