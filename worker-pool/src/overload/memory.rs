//! Decisions when workers together approach the memory limit.

/// Level of memory pressure. Each level includes the actions of the previous ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pressure {
    /// No action.
    Calm,
    /// Workers that are idle go, the one that has been idle longest first. From seven eighths on.
    Evict,
    /// No worker boots: its events wait. From fifteen sixteenths on.
    Hold,
    /// Only high-priority events are accepted.
    Shed,
}

impl Pressure {
    /// The level at which so many bytes of so many are.
    pub(crate) const fn of(used: usize, max: usize) -> Self {
        if used >= max {
            Self::Shed
        } else if used >= max - max / 16 {
            Self::Hold
        } else if used >= max - max / 8 {
            Self::Evict
        } else {
            Self::Calm
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Pressure;

    proptest! {
        #[test]
        fn it_rises_with_what_is_used_and_sheds_only_what_is_too_much(used: usize, more: usize, max in 1..usize::MAX) {
            prop_assert!(Pressure::of(used, max) <= Pressure::of(used.saturating_add(more), max));
            prop_assert_eq!(Pressure::of(used, max) == Pressure::Shed, used >= max);
            prop_assert!(used < max / 8 * 7 || used >= max || max < 16 || Pressure::of(used, max) >= Pressure::Calm);
        }
    }

    #[test]
    fn each_level_has_its_place() {
        let at = |used| Pressure::of(used, 1600);
        assert_eq!(
            [at(1399), at(1400), at(1500), at(1600)],
            [Pressure::Calm, Pressure::Evict, Pressure::Hold, Pressure::Shed]
        );
    }
}
