//! Tasks, for whichever kind of module does them: their responses, and the events that the bus is told of.

mod record;
mod response;

pub(crate) use record::Record;
pub(crate) use response::Announce;
pub use response::TaskResponse;
