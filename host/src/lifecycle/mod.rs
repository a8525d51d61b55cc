//! A host's life: built, driven through the phases on a thread of its own, and back.
//!
//! `builder` checks what can be checked before anything runs. `host` owns the thread and the runtimes. `drive` is the way
//! up and down; `step` one phase of one module. `stop` holds why and how the host is to end, `report` how it did.

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
