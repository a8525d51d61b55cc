//! The lifecycle of a host: built, started phase by phase on a thread of its own, and stopped in reverse.
//!
//! `builder` checks the modules before any of them runs. `host` owns the thread and the runtimes. `drive` is startup and
//! shutdown; `step` is one phase of one module. `stop` is the request to stop with its cause, and `report` the result.

mod builder;
mod drive;
mod error;
mod failure;
mod host;
mod limits;
mod report;
mod shutdown;
mod step;
mod stop;

pub use builder::{BuildError, HostBuilder};
pub use error::HostError;
pub use failure::{ModuleError, Reason};
pub use host::{Host, Running};
pub use limits::PhaseLimits;
pub use report::{End, ModuleReport, PhaseReport, Report};
pub use shutdown::Shutdown;
pub use stop::{Cause, HostHandle};

pub(crate) use failure::panic_message;
