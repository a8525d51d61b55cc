//! Supervision: code that can fail runs as a task of its own, ends in a result, and does not affect other tasks. This is the
//! same for workers, native tasks and modules: each is a `Send` future that ends in a `Result`. Must not know what a task
//! does.
//!
//! [`Supervisor`] runs tasks; `task` runs one task and reports its end once, and `error` has the ways in which it can fail.
//! `guard` keeps a [`Breaker`](isopod_pool::Breaker) for each name that has one, and `stats` counts. [`Exports`] are
//! functions to be called by name. A [`Group`] keeps [`ChildSpec`]s alive: `restart` has the decisions, which are pure, and
//! `group` carries them out.
//!
//! ```
//! # mod isopod { pub use isopod_host as host; }
//! use isopod::host::supervise::{RunError, Supervisor};
//!
//! let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build()?;
//! let supervisor = Supervisor::builder(runtime.handle().clone()).build();
//! let sum = supervisor.run("adder", async { Ok::<_, std::io::Error>(40 + 2) });
//! let crash = supervisor.run::<(), std::io::Error>("adder", async { panic!("carry lost") });
//! // Any executor will do for waiting.
//! futures::executor::block_on(async {
//!     assert_eq!(sum.await.expect("adds"), 42);
//!     assert!(matches!(crash.await, Err(RunError::Crashed { .. })));
//! });
//! assert_eq!(supervisor.stats().total.crashed, 1);
//! # Ok::<(), std::io::Error>(())
//! ```

mod child;
mod error;
mod exports;
mod group;
mod guard;
mod restart;
mod stats;
mod supervisor;
mod task;

pub use child::{ChildContext, ChildSpec};
pub use error::{BoxError, CallError, Panicked, RunError, SpawnError};
pub use exports::{Called, Exports, NativeModules};
pub use group::{ChildReport, ChildStop, Escalated, Group, GroupOptions, GroupReport};
pub use restart::{Backoff, Intensity, Restart, Strategy};
pub use stats::{SupervisorStats, TaskStats};
pub use supervisor::{RunOptions, Supervisor, SupervisorBuilder, SupervisorReport};
