//! The breaker of one script version: a script that cannot boot must not cost a boot per event.

use std::time::{Duration, Instant};

/// How many failures within [`WINDOW`] open it.
const FAILURES_MAX: usize = 3;
const WINDOW: Duration = Duration::from_secs(60);
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Whether a boot may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admit {
    /// Yes.
    Yes,
    /// Not before this much time has passed.
    After(Duration),
}

/// Closed, open, or half-open with one probe under way.
#[derive(Debug)]
pub(crate) enum Breaker {
    Closed { failures: Vec<Instant> },
    Open { until: Instant, backoff: Duration },
    Probing { backoff: Duration },
}

impl Breaker {
    pub(crate) const fn new() -> Self {
        Self::Closed { failures: Vec::new() }
    }

    /// Whether a boot may begin now.
    pub(crate) fn admit(&self, now: Instant) -> Admit {
        match self {
            Self::Closed { .. } => Admit::Yes,
            Self::Open { until, .. } if *until <= now => Admit::Yes,
            Self::Open { until, .. } => Admit::After(*until - now),
            Self::Probing { backoff } => Admit::After(*backoff),
        }
    }

    /// A boot begins; out of an open breaker it is the probe.
    pub(crate) fn begin(&mut self) {
        if let Self::Open { backoff, .. } = *self {
            *self = Self::Probing { backoff };
        }
    }

    /// A boot was given up before it could tell anything: an open breaker may probe again at once.
    pub(crate) fn aborted(&mut self, now: Instant) {
        if let Self::Probing { backoff } = *self {
            *self = Self::Open { until: now, backoff };
        }
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::new();
    }

    pub(crate) fn failed(&mut self, now: Instant) {
        match self {
            Self::Closed { failures } => {
                failures.retain(|at| now.duration_since(*at) < WINDOW);
                failures.push(now);
                if failures.len() >= FAILURES_MAX {
                    *self = Self::Open {
                        until: now + BACKOFF_MIN,
                        backoff: BACKOFF_MIN,
                    };
                }
            }
            Self::Probing { backoff } => {
                let backoff = (*backoff * 2).min(BACKOFF_MAX);
                *self = Self::Open {
                    until: now + backoff,
                    backoff,
                };
            }
            // A boot that began before the breaker opened.
            Self::Open { .. } => {}
        }
    }

    /// When an open breaker lets a probe through.
    pub(crate) const fn opens_at(&self) -> Option<Instant> {
        match self {
            Self::Open { until, .. } => Some(*until),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_minute_open_it_and_older_ones_do_not_count() {
        let (start, mut breaker) = (Instant::now(), Breaker::new());
        for seconds in [0, 61, 100] {
            breaker.failed(start + Duration::from_secs(seconds));
            assert_eq!(breaker.admit(start + Duration::from_secs(seconds)), Admit::Yes);
        }
        breaker.failed(start + Duration::from_secs(101));
        assert_eq!(
            breaker.admit(start + Duration::from_secs(101)),
            Admit::After(BACKOFF_MIN)
        );
    }

    #[test]
    fn one_probe_at_a_time_and_each_failed_probe_doubles_the_wait_up_to_a_minute() {
        let (mut now, mut breaker) = (Instant::now(), Breaker::new());
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
        now += BACKOFF_MAX;
        breaker.begin();
        breaker.succeeded();
        assert_eq!(breaker.admit(now), Admit::Yes);
    }
}
