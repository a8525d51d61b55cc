//! A pool of JavaScript workers in a Rust program.
//!
//! Each worker is a V8 isolate with the web platform in it, on a thread of the pool, under enforced limits. Scripts have
//! the handlers and bindings of Workers (`fetch`, `scheduled`, `env`, `ctx.waitUntil`), and may export plain functions.
//!
//! ```
//! use isopod::prelude::*;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let pool = Pool::builder().threads(1).build()?;
//! let script = Script::builder("greeter")
//!     .source(
//!         "export const add = (a, b) => a + b;
//!          export default {
//!              fetch: (request, env) => new Response(`${env.GREETING}, ${new URL(request.url).pathname.slice(1)}!`),
//!          };",
//!     )
//!     .text("GREETING", "Hello")
//!     .build()?;
//! pool.deploy("greeter", script, &Options::default())?;
//!
//! // An exported function, with values in and out.
//! let sum: i32 = pool.call_blocking("greeter", "add", (1, 2))?;
//! assert_eq!(sum, 3);
//!
//! // The `fetch` handler, with the types of the `http` crate. Any executor will do.
//! futures::executor::block_on(async {
//!     let request = http::Request::get("https://example.com/you").body(Body::empty())?;
//!     let response = pool.fetch("greeter", request, Meta::default()).await?;
//!     assert_eq!(response.status(), 200);
//!     assert_eq!(response.into_body().as_bytes().expect("in memory"), "Hello, you!");
//!     Ok(())
//! })
//! # }
//! # use isopod::http;
//! ```
//!
//! # Modules
//!
//! - The root has the pool for JavaScript and the types of its methods; [`prelude`] has the most common ones.
//! - [`modules`] has the settings of module loading, [`io`] the I/O runtime of a worker thread.
//! - `host` (feature `host`) is a process around a pool: modules that start and stop in order, supervision, an event bus.
//! - `module` (feature `module`) is for programs that are process modules of a host.
//! - `server` (feature `server`) is the HTTP server; [`websocket`] has the parts of WebSockets for custom servers.
//! - [`engine`] is the pool without JavaScript, for custom engines.
//! - `extend` and `deno_core` (feature `unstable-deno-core`) add ops to workers.
//!
//! The other crates whose names begin with `isopod-` are internal: depend only on this one.
#![deny(missing_docs, unsafe_code, unreachable_pub)]

pub mod engine;
#[cfg(feature = "unstable-deno-core")]
pub mod extend;
pub mod io;
pub mod modules;
pub mod prelude;
pub mod websocket;

#[cfg(feature = "host")]
#[doc(inline)]
pub use isopod_host as host;
#[cfg(feature = "module")]
#[doc(inline)]
pub use isopod_module as module;
#[cfg(feature = "server")]
#[doc(inline)]
pub use isopod_server as server;

/// The static assets of a worker, which a program may serve before its workers, or bind as
/// [`FetcherBinding`]`::new(assets)`.
#[doc(inline)]
pub use isopod_runtime::assets;

/// The storage of bindings: what the interfaces for a program's own have in common.
#[doc(inline)]
pub use isopod_runtime::storage;

/// The deno_core that Isopod is built on. Unstable: its interface changes with every release.
#[cfg(feature = "unstable-deno-core")]
pub use isopod_runtime::deno_core;

/// The crates whose types are in this one's interface.
pub use {bytes, http, http_body, serde_json};

// The pool.
#[doc(inline)]
pub use isopod_pool::js::{
    CellProgram, Cells, Pool, PoolBuilder, Session, TaskRequest, TaskStream, WorkerFetcher, run_cell_if_asked,
};
#[doc(inline)]
pub use isopod_pool::{
    AttachedTask, BreakerOptions, BuildError, Closing, DeployError, Deployment, EventId, Failure, Meta, NativeTask,
    Options, Outcome, Percentiles, Policy, PoolEvent, PoolStats, Priority, Recycle, RetireReason, ScriptStats,
    SessionId, SessionLimits, ShutdownReport, ThreadStats, Timing, Unhealthy, WorkerHandle, WorkerId,
};

// Scripts.
#[doc(inline)]
pub use isopod_runtime::files::{FileAccess, Grant};
#[doc(inline)]
pub use isopod_runtime::quotas::Quotas;
#[doc(inline)]
pub use isopod_runtime::sandbox::{Confinement, Mechanism};
#[doc(inline)]
pub use isopod_runtime::{
    CannotCross, Command, Compatibility, CompatibilityDate, Console, FlagIssue, InvalidDate, Isolation, Limits,
    NodeCompat, OsScheduling, Script, ScriptBuilder, ScriptError, WorkerThread, give_back_memory,
};

// Bindings, and what a script may reach.
#[cfg(feature = "sql")]
#[doc(inline)]
pub use isopod_pool::js::objects::{ObjectClass, ObjectHost, ObjectId, ObjectNamespace, Objects};
#[doc(inline)]
pub use isopod_runtime::bindings::{self, Binding};
#[doc(inline)]
pub use isopod_runtime::cache::{CacheLimits, ResponseCache};
#[doc(inline)]
pub use isopod_runtime::fetch::{
    ConnectionOptions, FetchConfig, FetchLimits, NetPolicy, OwnServers, ResolveHost, Resolver, Rule, RuleError,
};
#[doc(inline)]
pub use isopod_runtime::fetcher::{FetchFuture, Fetcher, FetcherBinding, RpcFuture};
#[doc(inline)]
pub use isopod_runtime::native::{
    Callback, CallbackError, IntoResult, NativeBinding, NativeError, NativeFunction, NativeResult,
};
#[doc(inline)]
pub use isopod_runtime::publish::{Outgoing, Publish, PublishBinding, Refused};
#[doc(inline)]
pub use isopod_runtime::rpc::{RpcCall, RpcMessage};
#[doc(inline)]
pub use isopod_runtime::sql::SqlConfig;

// Events and values.
#[doc(inline)]
pub use isopod_runtime::handlers::{
    Body, BodyError, BoxError, CallDepth, Caller, CronTrigger, Data, EventKind, HandlerInput, Input, Message, NotPlain,
    Origin, RESULT_NAME_BYTES_MAX, RequestCf, RequestInfo, RequestUrl, TaskItem,
};
#[doc(inline)]
pub use isopod_runtime::values::{
    Argument, Arguments, DetachedBuffer, FromScript, IntoArguments, Thrown, ToJsBuffer, ToScript, ValueError,
};
