//! Fair shares of the pool when several scripts want all of it.

/// A script's number of threads and its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) threads: usize,
    pub(crate) weight: u32,
}

impl Share {
    /// Compares `threads / weight` of both scripts, without fractions.
    fn against(self, threads: usize, other: Self, others: usize) -> std::cmp::Ordering {
        let own = threads as u128 * u128::from(other.weight);
        own.cmp(&(others as u128 * u128::from(self.weight)))
    }

    /// Returns whether this script has fewer threads than the other, by weight.
    pub(crate) fn is_below(self, other: Self) -> bool {
        self.against(self.threads, other, other.threads).is_lt()
    }

    /// Returns whether a thread should move from the other script to this one, which must not have more by weight
    /// afterwards, so that no thread moves back and forth.
    pub(crate) fn should_gain_from(self, other: Self) -> bool {
        other.threads > 1 && self.against(self.threads + 1, other, other.threads - 1).is_le()
    }
}

/// Returns whether a script has its fair share of the threads among all scripts that want some, itself included.
pub(crate) fn at_fair_share(own: Share, all: impl IntoIterator<Item = Share>, threads: usize) -> bool {
    let weights: u128 = all.into_iter().map(|share| u128::from(share.weight)).sum();
    own.threads as u128 * weights >= threads as u128 * u128::from(own.weight)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares() -> impl Strategy<Value = Vec<Share>> {
        prop::collection::vec((0..8usize, 1..5u32), 2..6).prop_map(|shares| {
            shares
                .into_iter()
                .map(|(threads, weight)| Share { threads, weight })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn threads_move_until_all_shares_are_fair(mut shares in shares()) {
            let threads: usize = shares.iter().map(|share| share.threads).sum();
            let mut moves = 0;
            loop {
                let pairs = (0..shares.len()).flat_map(|poor| (0..shares.len()).map(move |rich| (poor, rich)));
                let next = pairs.filter(|(poor, rich)| poor != rich)
                    .find(|(poor, rich)| shares[*poor].should_gain_from(shares[*rich]));
                let Some((poor, rich)) = next else { break };
                shares[poor].threads += 1;
                shares[rich].threads -= 1;
                moves += 1;
                prop_assert!(moves <= threads * shares.len(), "threads go back and forth: {shares:?}");
            }
            prop_assert_eq!(shares.iter().map(|share| share.threads).sum::<usize>(), threads);
            let weights: u32 = shares.iter().map(|share| share.weight).sum();
            for share in &shares {
                // Up to rounding to whole threads.
                #[allow(clippy::cast_precision_loss, reason = "small numbers")]
                let part = (threads as f64) * f64::from(share.weight) / f64::from(weights);
                prop_assert!((share.threads as f64) > part - shares.len() as f64, "{shares:?}");
                if threads >= shares.len() * 5 {
                    prop_assert!(share.threads > 0, "one has nothing: {shares:?}");
                }
            }
        }
    }

    #[test]
    fn two_equal_scripts_share_half_each() {
        let share = |threads| Share { threads, weight: 1 };
        assert!(at_fair_share(share(2), [share(2), share(0)], 4));
        assert!(!at_fair_share(share(1), [share(1), share(3)], 4));
        assert!(share(0).should_gain_from(share(2)) && !share(1).should_gain_from(share(2)));
    }
}
