//! Decisions when workers together approach their memory budget.

/// Memory budget of all workers together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) bytes: usize,
    /// Events are refused at a configured limit. A share of the machine's memory only determines which workers stay.
    pub(crate) is_limit: bool,
}

impl Budget {
    /// Creates a configured limit.
    pub(crate) const fn limit(bytes: usize) -> Self {
        Self { bytes, is_limit: true }
    }

    /// Creates a share of the machine's memory.
    pub(crate) const fn share(bytes: usize) -> Self {
        Self { bytes, is_limit: false }
    }

    /// Returns the pressure for a number of bytes in use.
    pub(crate) fn pressure(self, used: usize) -> Pressure {
        let pressure = Pressure::of(used, self.bytes);
        if self.is_limit {
            pressure
        } else {
            pressure.min(Pressure::Hold)
        }
    }
}

/// Level of memory pressure. Each level includes the actions of the previous ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pressure {
    /// No action.
    Calm,
    /// Idle workers are retired, the longest idle first. From 7/8 of the budget.
    Evict,
    /// No worker boots, and events wait. From 15/16 of the budget.
    Hold,
    /// Only high-priority events are accepted.
    Shed,
}

impl Pressure {
    /// Returns the level for a number of bytes in use and a maximum.
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

    use super::{Budget, Pressure};

    proptest! {
        #[test]
        fn pressure_rises_with_use_and_sheds_at_the_limit(used: usize, more: usize, max in 1..usize::MAX) {
            prop_assert!(Pressure::of(used, max) <= Pressure::of(used.saturating_add(more), max));
            prop_assert_eq!(Pressure::of(used, max) == Pressure::Shed, used >= max);
            prop_assert!(used < max / 8 * 7 || used >= max || max < 16 || Pressure::of(used, max) >= Pressure::Calm);
        }
    }

    #[test]
    fn each_level_has_its_fraction() {
        let at = |used| Pressure::of(used, 1600);
        assert_eq!(
            [at(1399), at(1400), at(1500), at(1600)],
            [Pressure::Calm, Pressure::Evict, Pressure::Hold, Pressure::Shed]
        );
    }

    #[test]
    fn a_share_of_the_machine_refuses_no_event() {
        assert_eq!(Budget::limit(1600).pressure(1600), Pressure::Shed);
        assert_eq!(Budget::share(1600).pressure(1600), Pressure::Hold);
        assert_eq!(Budget::share(1600).pressure(1400), Pressure::Evict);
    }
}
