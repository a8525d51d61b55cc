//! Isopod's host: the lifecycle of a process that has a pool in it.
//!
//! A [`Host`] takes [`Module`]s through [`Phase`]s in the order of their dependencies, and back in reverse. If anything
//! fails, every started module is stopped, once. A module has a [`Context`]: its configuration, its database, the [`Hub`]
//! in which modules find each other's clients, and a token that tells it to end. [`supervise`] runs tasks that may crash,
//! [`bus`] carries messages and system events, and `workers` connects a pool's scripts to both.
//!
//! ```
//! # mod isopod { pub use isopod_host as host; }
//! use isopod::host::{Context, Host, Module, PhaseResult, Shutdown, async_trait};
//!
//! struct Clock;
//!
//! #[async_trait]
//! impl Module for Clock {
//!     fn name(&self) -> &str {
//!         "clock"
//!     }
//!
//!     async fn start(&mut self, ctx: &Context) -> PhaseResult {
//!         tracing::info!(instance = %ctx.instance(), "it begins");
//!         Ok(())
//!     }
//! }
//!
//! let host = Host::builder().module(Clock).shutdown(Shutdown::future(async { /* until a day has passed */ })).build()?;
//! let report = host.run_blocking()?;
//! println!("{report}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It is independent of HTTP and, without the feature `v8`, of JavaScript.
//!
//! An internal crate: depend on [`isopod`](https://docs.rs/isopod), which re-exports what programs use.
#![deny(missing_docs, unsafe_code, unreachable_pub)]

pub mod bus;
mod config;
mod context;
#[cfg(feature = "sql")]
pub mod db;
mod hub;
mod lifecycle;
mod module;
mod pool;
pub mod process;
pub mod supervise;
mod tasks;
#[cfg(feature = "v8")]
pub mod workers;

pub use async_trait::async_trait;
pub use config::{ConfigError, ConfigProvider, Remedy};
pub use context::{Context, InstanceId};
pub use hub::{Hub, HubError};
#[doc(hidden)]
pub use inventory;
pub use lifecycle::{
    BuildError, Cause, End, Host, HostBuilder, HostError, HostHandle, ModuleError, ModuleReport, PhaseLimits,
    PhaseReport, Reason, Report, Running, Shutdown,
};
pub use module::{BoxError, Module, Node, OrderError, Phase, PhaseResult, Registration, order};
pub use pool::{PoolError, PoolModule, Pooled};
pub use tasks::TaskResponse;
pub use tokio_util::sync::CancellationToken;
