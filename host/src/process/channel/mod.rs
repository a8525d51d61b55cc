//! Channels: how processes take part in the host like modules in the host's own process.
//!
//! In the order of the data: a caller asks [`ModuleTasks`] for a task (`request`), which waits as a `job` in a `queue`.
//! `keep` keeps a process running; `session` is the socket to one process, and `talk` decides how each message is answered.
//! `shared` makes the memory that large bodies go through (feature `shared-memory`).
//! `place` has the state that outlives a process: its name on the bus, results, subscriptions and chains. The messages are
//! those of [`isopod_module::protocol`].

mod end;
mod job;
mod keep;
mod options;
mod place;
mod queue;
mod request;
mod session;
#[cfg(feature = "shared-memory")]
mod shared;
mod talk;

pub(super) use keep::Connected;
pub use options::Channel;
pub use request::{ModuleRequest, ModuleTask, ModuleTasks};
#[cfg(feature = "shared-memory")]
pub use shared::SharedMemory;
