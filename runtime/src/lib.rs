//! One JavaScript worker on one thread: V8's platform and snapshot, module loading, event dispatch, limits.
//!
//! A [`Script`] is one version of one script. On a thread created by [`platform::spawn`], inside a fresh current-thread
//! Tokio runtime and `LocalSet`, [`Worker::boot`] creates an isolate for it. [`Worker::begin`] starts events, and
//! [`Worker::poll`] drives them. The thread's [`WorkerThread`] outlives the worker.
//!
//! Only this crate and the C interface contain `unsafe` code. It knows nothing of pools and servers.
//!
//! An internal crate: depend on [`isopod`](https://docs.rs/isopod), which re-exports what programs use.

mod begun;
mod compatibility;
mod extend;
mod image;
mod limits;
mod module_loader;
pub mod modules;
pub mod platform;
pub mod sandbox;
mod script;
mod thread;
mod worker;

/// The version of deno_core that this crate is built on, for custom extensions.
pub use deno_core;
pub use isopod_ext::bindings::{self, NewWorker};
#[cfg(feature = "sql")]
pub use isopod_ext::objects;
pub use isopod_ext::{
    assets, cache, event, fetch, fetcher, files, handlers, io, ledger, native, network, publish, quotas, remote, rpc,
    sql, storage, values, websocket, written,
};

pub use self::begun::Begun;
pub use self::compatibility::{Compatibility, CompatibilityDate, FlagIssue, InvalidDate, NodeCompat};
pub use self::extend::{Extend, ExtendError, WorkerTemplate};
pub use self::image::Image;
pub use self::limits::{
    Limits, MemoryMeter, Noticed, OnNotice, OsScheduling, Watchdog, give_back_memory, run_in_short_slices,
};
pub use self::script::{CannotCross, Command, Console, Isolation, Script, ScriptBuilder, ScriptError, WrittenScript};
pub use self::thread::WorkerThread;
pub use self::worker::{BootOptions, Turn, Worker, console_line};
