//! Instants that never overflow, since a limit of `Duration::MAX` means no limit.

use std::time::{Duration, Instant};

/// Effectively never, and representable by every clock.
const NEVER: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 10);

/// Returns the instant `wait` after `since`, or one that is effectively never.
pub(crate) fn after(since: Instant, wait: Duration) -> Instant {
    since + wait.min(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_an_instant_far_away_and_a_limit_is_kept_to_the_nanosecond() {
        let now = Instant::now();
        assert!(after(now, Duration::MAX) > now + Duration::from_secs(1_000_000));
        assert_eq!(after(now, Duration::from_nanos(7)) - now, Duration::from_nanos(7));
    }
}
