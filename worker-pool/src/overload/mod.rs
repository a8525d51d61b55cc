//! Overload control: pure decisions, without threads or a clock.
//!
//! [`Delay`] tells a queue that stands from one that only had a burst, [`Pace`] how soon there is room again, [`fair`] who
//! has more than its share, [`Pressure`] how much memory is left, [`Room`] how many
//! events at once are still a gain, [`Crowd`] whether scripts only take turns on the threads.

mod crowd;
mod delay;
pub(crate) mod fair;
mod memory;
mod pace;
mod room;

pub(crate) use crowd::{Crowd, WINDOW as CROWD_WINDOW};
pub(crate) use delay::Delay;
pub(crate) use memory::{Budget, Pressure};
pub(crate) use pace::Pace;
pub(crate) use room::{Room, WATCHED as ROOM_WATCHED};
