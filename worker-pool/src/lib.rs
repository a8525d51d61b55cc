//! Isopod's pool: threads, bounded mailboxes, placement, lifecycle, supervision and statistics of workers.
//!
//! An [`Engine`] defines what workers run. The pool knows nothing of HTTP, files or configuration.
//!
//! ```
//! # #[cfg(feature = "testing")] {
//! use isopod_pool::fake::{Call, FakeEngine, FakeScript};
//! use isopod_pool::{Meta, Options, Pool};
//! use std::sync::Arc;
//!
//! let pool = Pool::builder(FakeEngine::new()).threads(2).build().expect("threads");
//! pool.deploy("hello", Arc::new(FakeScript::new()), &Options::default()).expect("running");
//! let (call, reply) = Call::echo(7);
//! let ticket = pool.dispatch("hello", call, Meta::default()).expect("room");
//! assert_eq!(reply.recv(), Ok(Ok(7)));
//! ticket.detach();
//! # }
//! ```
//!
//! An internal crate: depend on [`isopod`](https://docs.rs/isopod), which re-exports what programs use.
#![deny(missing_docs, unsafe_code, unreachable_pub)]

mod attached;
mod breaker;
mod build_error;
mod builder;
mod engine;
#[cfg(any(test, feature = "testing"))]
pub mod fake;
mod health;
mod job;
#[cfg(feature = "v8")]
pub mod js;
mod line;
mod machine;
mod mailbox;
mod native;
mod observe;
mod options;
mod overload;
pub mod placement;
mod pool;
mod recorder;
mod reject;
#[cfg(all(test, feature = "shuttle"))]
mod schedules;
mod session;
mod shared;
mod shutdown;
#[cfg(all(test, not(feature = "shuttle")))]
mod simulation;
mod sizing;
mod state;
mod stats;
mod supervisor;
mod sync;
mod thread;
mod ticket;
mod time;

pub use attached::{AttachedTask, WorkerHandle};
pub use breaker::{Admit, Breaker, BreakerOptions, BreakerState};
pub use build_error::BuildError;
pub use builder::PoolBuilder;
pub use engine::{
    BootContext, BootError, Engine, Event, SessionId, SlotId, ThreadError, Trim, Turn, Worker, WorkerId, WorkerNotice,
};
pub use health::Unhealthy;
pub use isopod_outcome::{Failure, Outcome};
pub use job::EventId;
pub use native::NativeTask;
pub use observe::{PoolEvent, RetireReason};
pub use options::{Meta, Options, Policy, Priority, Recycle, SessionLimits};
pub use pool::{DeployError, Deployment, Pool, WeakPool};
pub use reject::{RejectReason, Rejected};
pub use session::{Closing, Session};
pub use shutdown::ShutdownReport;
pub use stats::{Percentiles, PoolStats, ScriptStats, ThreadStats, Timing};
pub use ticket::Ticket;
