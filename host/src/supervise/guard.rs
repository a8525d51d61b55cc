//! Breakers for task names.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use isopod_pool::{Admit, Breaker, BreakerOptions, BreakerState};

/// The breakers, by name. Their number is bounded, because the names are given when the supervisor is built.
#[derive(Debug, Default)]
pub(super) struct Guards(HashMap<Arc<str>, Arc<Guard>>);

#[derive(Debug)]
pub(super) struct Guard(Mutex<Breaker>);

/// Result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Succeeded,
    Failed,
    /// It was abandoned before it had a result.
    GivenUp,
}

/// An attempt that a breaker admitted. Dropping it without a result abandons it.
#[derive(Debug)]
pub(super) struct Permit {
    guard: Option<Arc<Guard>>,
    probe: bool,
}

impl Guards {
    pub(super) fn new(guarded: impl IntoIterator<Item = (Arc<str>, BreakerOptions)>) -> Self {
        let guard = |options| Arc::new(Guard(Mutex::new(Breaker::new(options))));
        Self(
            guarded
                .into_iter()
                .map(|(name, options)| (name, guard(options)))
                .collect(),
        )
    }

    /// Begins an attempt, or returns the time until the next probe. A name without a breaker is never refused.
    pub(super) fn admit(&self, name: &str) -> Result<Permit, Duration> {
        let Some(guard) = self.0.get(name) else {
            return Ok(Permit {
                guard: None,
                probe: false,
            });
        };
        let mut breaker = guard.lock();
        match breaker.admit(Instant::now()) {
            Admit::After(retry_after) => Err(retry_after),
            Admit::Yes => {
                breaker.begin();
                let probe = breaker.state() == BreakerState::HalfOpen;
                Ok(Permit {
                    guard: Some(Arc::clone(guard)),
                    probe,
                })
            }
        }
    }

    pub(super) fn states(&self) -> BTreeMap<String, BreakerState> {
        self.0
            .iter()
            .map(|(name, guard)| (name.to_string(), guard.lock().state()))
            .collect()
    }
}

impl Guard {
    fn lock(&self) -> MutexGuard<'_, Breaker> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    pub(super) fn end(mut self, attempt: Attempt) {
        self.tell(attempt);
    }

    fn tell(&mut self, attempt: Attempt) {
        let Some(guard) = self.guard.take() else { return };
        let (mut breaker, now) = (guard.lock(), Instant::now());
        // Once the breaker has opened, the probe alone decides: attempts that began before say nothing about the present.
        if !self.probe && breaker.state() != BreakerState::Closed {
            return;
        }
        match attempt {
            Attempt::Succeeded => breaker.succeeded(),
            Attempt::Failed => breaker.failed(now),
            Attempt::GivenUp => breaker.aborted(now),
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.tell(Attempt::GivenUp);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guards(backoff: Duration) -> Guards {
        let options = BreakerOptions::default().failures(2).backoff_min(backoff);
        Guards::new([("flaky".into(), options)])
    }

    #[test]
    fn attempts_from_before_the_breaker_opened_neither_close_it_nor_fail_its_probe() {
        let guards = guards(Duration::ZERO);
        let old: Vec<_> = (0..4).map(|_| guards.admit("flaky").expect("closed")).collect();
        let state = || guards.states()["flaky"];
        let mut old = old.into_iter();
        old.by_ref().take(2).for_each(|permit| permit.end(Attempt::Failed));
        assert_eq!(state(), BreakerState::Open);
        old.by_ref().take(1).for_each(|permit| permit.end(Attempt::Succeeded));
        assert_eq!(state(), BreakerState::Open);

        let probe = guards.admit("flaky").expect("no backoff");
        assert_eq!(state(), BreakerState::HalfOpen);
        old.for_each(|permit| permit.end(Attempt::Failed));
        assert_eq!(state(), BreakerState::HalfOpen);
        probe.end(Attempt::Succeeded);
        assert_eq!(state(), BreakerState::Closed);
    }

    #[test]
    fn an_abandoned_probe_is_followed_by_another() {
        let guards = guards(Duration::ZERO);
        (0..2).for_each(|_| guards.admit("flaky").expect("closed").end(Attempt::Failed));
        drop(guards.admit("flaky").expect("no backoff"));
        assert!(guards.admit("flaky").is_ok());
    }

    #[test]
    fn names_without_a_breaker_are_never_refused() {
        let guards = guards(Duration::from_secs(60));
        for name in ["flaky", "other"] {
            (0..2).for_each(|_| guards.admit(name).expect("closed").end(Attempt::Failed));
        }
        assert!(guards.admit("flaky").is_err() && guards.admit("other").is_ok());
    }
}
