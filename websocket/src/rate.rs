//! The rate of received messages: a token bucket.

use std::time::Duration;

use tokio::time::Instant;

/// A bucket with the tokens of one second, of which each message takes one.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: u32,
    /// Time at which the bucket is full again.
    full_at: Instant,
}

impl Rate {
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        Self {
            per_second: per_second.max(1),
            full_at: now,
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    ///
    /// There is no token before the returned time.
    pub(crate) fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let each = Duration::from_secs(1) / self.per_second;
        let full_at = self.full_at.max(now) + each;
        let burst = Duration::from_secs(1);
        if full_at > now + burst {
            return Err(full_at - burst);
        }
        self.full_at = full_at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_the_tokens_of_one_second() {
        let start = Instant::now();
        let mut rate = Rate::new(10, start);
        for _ in 0..10 {
            rate.take(start).unwrap();
        }
        let next = rate.take(start).unwrap_err();
        assert_eq!(next, start + Duration::from_millis(100));
        rate.take(next).unwrap();
        rate.take(next).unwrap_err();
        // The bucket holds at most one second's tokens.
        let later = start + Duration::from_secs(60);
        let taken = (0..100).take_while(|_| rate.take(later).is_ok()).count();
        assert_eq!(taken, 10);
    }
}
