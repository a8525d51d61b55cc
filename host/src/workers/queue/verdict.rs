//! The verdicts on the messages of a batch. Pure.

use std::time::Duration;

use isopod_outcome::{Failure, Outcome};
use isopod_pool::js::bindings::queue::{Decision, QueueDecision, Verdict};

use super::ConsumeOptions;

/// The verdict on a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is settled in the store like this.
    Settled(Verdict),
    /// It has had its last attempt.
    Dead,
}

/// The end of the event that a batch was given to.
pub(super) enum End<'a> {
    /// The handler decided.
    Decided(&'a QueueDecision),
    /// The handler began, and could not decide.
    Failed,
    /// The handler did not begin, through no fault of the messages.
    NotBegun,
}

impl<'a> End<'a> {
    pub(super) const fn of(result: &'a Result<QueueDecision, Failure>) -> Self {
        match result {
            Ok(decision) => Self::Decided(decision),
            Err(failure) => match failure.outcome {
                Outcome::LoadShed | Outcome::NotDeployed | Outcome::BootFailed => Self::NotBegun,
                _ => Self::Failed,
            },
        }
    }
}

/// Returns true if a message that was taken this often has had all its attempts, and was lost in the last.
pub(super) const fn is_exhausted(attempts: u32, options: &ConsumeOptions) -> bool {
    attempts > options.retries.saturating_add(1)
}

/// The verdict on the message at a place of a batch.
pub(super) fn fate(end: &End<'_>, place: usize, attempts: u32, options: &ConsumeOptions) -> Fate {
    let delay = match end {
        End::NotBegun => return Fate::Settled(Verdict::Return),
        End::Failed => None,
        End::Decided(decision) => match decision.about(place) {
            Decision::Retry(delay) => delay,
            _ => return Fate::Settled(Verdict::Remove),
        },
    };
    match attempts > options.retries {
        true => Fate::Dead,
        false => Fate::Settled(Verdict::Retry(delay.unwrap_or(options.retry_delay))),
    }
}

/// The pause after this many consecutive refusals, unless the pool gives one.
pub(super) fn pause(refusals: u32, failure: &Failure) -> Duration {
    const FIRST: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(5);
    let doubled = FIRST.saturating_mul(1 << refusals.min(8));
    failure.retry_after.unwrap_or(doubled).clamp(FIRST, MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> ConsumeOptions {
        ConsumeOptions::default().retries(2).retry_delay(Duration::from_secs(3))
    }

    fn decided(json: &str) -> QueueDecision {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_message_is_redelivered_until_its_last_attempt() {
        let failed = |attempts| fate(&End::Failed, 0, attempts, &options());
        let again = Fate::Settled(Verdict::Retry(Duration::from_secs(3)));
        assert_eq!([failed(1), failed(2), failed(3)], [again, again, Fate::Dead]);
        let once = options().retries(0);
        assert_eq!(fate(&End::Failed, 0, 1, &once), Fate::Dead);
    }

    #[test]
    fn a_message_that_is_lost_repeatedly_is_exhausted() {
        assert_eq!([3, 4].map(|attempts| is_exhausted(attempts, &options())), [false, true]);
        assert!(!is_exhausted(u32::MAX, &options().retries(u32::MAX)));
    }

    #[test]
    fn the_decision_of_the_script_counts_for_each_message() {
        let decision = decided(r#"{ "each": [[0, "ack"], [1, { "retry": 60 }]], "error": "it failed" }"#);
        let fate = |place| fate(&End::Decided(&decision), place, 1, &options());
        assert_eq!(fate(0), Fate::Settled(Verdict::Remove));
        assert_eq!(fate(1), Fate::Settled(Verdict::Retry(Duration::from_secs(60))));
        assert_eq!(fate(2), Fate::Settled(Verdict::Retry(Duration::from_secs(3))));
    }

    #[test]
    fn an_unbegun_batch_is_no_attempt() {
        for (outcome, is_begun) in Outcome::ALL.map(|outcome| {
            let result = Err(Failure::new(outcome, ""));
            (outcome, !matches!(End::of(&result), End::NotBegun))
        }) {
            let expected = !matches!(outcome, Outcome::LoadShed | Outcome::NotDeployed | Outcome::BootFailed);
            assert_eq!(is_begun, expected, "{outcome:?}");
        }
        let fate = fate(&End::NotBegun, 0, 9, &options());
        assert_eq!(fate, Fate::Settled(Verdict::Return));
    }

    #[test]
    fn pauses_double_to_a_maximum_and_follow_the_pools_advice() {
        let failure = Failure::new(Outcome::LoadShed, "");
        let millis: Vec<_> = (0..8).map(|refusals| pause(refusals, &failure).as_millis()).collect();
        assert_eq!(millis, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(pause(40, &failure).as_secs(), 5);
        let advised = failure.with_retry_after(Duration::from_secs(1));
        assert_eq!(pause(0, &advised).as_secs(), 1);
    }
}
