//! Channels: processes that take part in the host as modules in process do.
//!
//! In the order of the data: a caller asks [`ModuleTasks`] for a task (`request`), which waits as a `job` in a `queue`.
//! `keep` has a process running, and starts it again; `session` is the socket to one process and its life, and `talk`
//! decides what each message leads to. `place` is what outlives a process: its name on the bus, results, subscriptions and
//! chains. The bytes are those of [`isopod_module::protocol`].

mod end;
mod job;
mod keep;
mod options;
mod place;
mod queue;
mod request;
mod session;
mod talk;

pub(super) use keep::Connected;
pub use options::Channel;
pub use request::{ModuleRequest, ModuleTask, ModuleTasks};
