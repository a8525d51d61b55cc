//! Tasks of scripts and of process modules: their responses, and the events about them on the bus.

mod record;
mod response;

pub(crate) use record::Record;
pub use response::TaskResponse;
pub(crate) use response::{Announce, run_to_end};
