//! What the pool does where more comes than it can do: pure decisions, without threads and without a clock of their own.
//!
//! [`Delay`] tells a queue that stands from one that only had a burst, [`Pace`] how soon there is room again, [`fair`] who
//! has more than its share.

mod delay;
pub(crate) mod fair;
mod pace;

pub(crate) use delay::Delay;
pub(crate) use pace::Pace;
