//! Workers that run JavaScript: the engine over V8, and the pool as an embedder uses it. The feature `v8`, on by default.

mod body;
mod engine;
mod pool;

pub use isopod_runtime::{
    Binding, Command, Console, Limits, Script, ScriptBuilder, ScriptError, fetch, handlers, modules, sql,
};

pub use self::engine::{JsEngine, JsWorker};
pub use self::pool::{Pool, PoolBuilder};
