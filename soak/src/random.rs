//! Random numbers from a seed: SplitMix64, which never changes, so that seeds stay valid.

/// A sequence of numbers determined by its seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, but excluding, `end`.
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        // For the small ranges used here, the bias of the remainder is below one in 2^40.
        self.next() % end
    }

    /// A number from `start` to `end`, inclusive.
    pub(crate) const fn between(&mut self, start: u64, end: u64) -> u64 {
        start + self.below(end - start + 1)
    }

    /// One of these items.
    #[expect(clippy::cast_possible_truncation, reason = "an index below a length")]
    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}
