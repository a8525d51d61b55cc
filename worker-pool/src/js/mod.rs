//! JavaScript workers: the V8 engine and the pool for embedders. Feature `v8`, on by default.

mod answer;
mod body;
mod builder;
mod cell;
mod engine;
mod fault;
#[cfg(feature = "sql")]
pub mod objects;
mod pool;
mod request;
mod session;
mod socket;
mod task;
mod thread_worker;
mod worker_fetcher;

pub use isopod_runtime::deno_core;
pub use isopod_runtime::handlers::{Data, Message, TaskItem};
pub use isopod_runtime::sandbox::{Confinement, Mechanism};
pub use isopod_runtime::{
    Command, Console, Extend, ExtendError, Image, Isolation, Limits, NewWorker, OsScheduling, Script, ScriptBuilder,
    ScriptError, bindings, fetch, fetcher, give_back_memory, handlers, modules, native, publish, quotas, rpc, sql,
    values, websocket, written,
};

pub use self::builder::PoolBuilder;
#[cfg(feature = "testing")]
pub use self::cell::understood;
pub use self::cell::{CellProgram, Cells, run_cell_if_asked};
pub use self::engine::{JsEngine, JsWorker, ScriptEngine};
pub use self::pool::Pool;
pub use self::session::Session;
pub use self::task::{TaskRequest, TaskStream};
pub use self::worker_fetcher::WorkerFetcher;
