//! Overload control: pure decisions, without threads or a clock.
//!
//! [`Delay`] distinguishes a standing queue from a burst. [`Pace`] estimates the time until a queue has room. [`fair`]
//! compares the scripts' shares of the threads. [`Pressure`] is the level of memory use. [`Room`] adapts the concurrency of
//! a worker. [`Crowd`] detects thrashing.

mod crowd;
mod delay;
pub(crate) mod fair;
mod memory;
mod pace;
mod room;

pub(crate) use crowd::Crowd;
pub(crate) use delay::Delay;
pub(crate) use memory::{Budget, Pressure};
pub(crate) use pace::Pace;
pub(crate) use room::{Room, WATCHED as ROOM_WATCHED};
