//! `env.DB`: a SQL binding with the interface of Workers' D1, on SQLite or PostgreSQL.
//!
//! [`SqlConfig`] is the binding. Statements are checked ([`StatementError`] has the reasons for rejections), then run
//! on a connection pool of the thread, on its I/O runtime: the `Rc<Io>` that the runtime places in the worker's
//! `OpState`.

mod call;
mod config;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod lexer;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod postgres_error;
#[cfg(feature = "postgres")]
mod postgres_flow;
#[cfg(feature = "postgres")]
mod postgres_pool;
#[cfg(feature = "postgres")]
mod postgres_types;
mod read;
mod remote;
mod service;
mod sqlite;
mod statement;
mod value;

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::{CancelFuture, CancelHandle, OpState, op2};

use self::call::Mode;
pub(crate) use self::call::Payer;
use self::remote::{Database, RemoteSql};
use self::service::SqlService;
pub(crate) use self::sqlite::{LocalDatabase, ROW_BYTES_MAX, StatementStack};
pub(crate) use self::value::{Param, ResultSet};
use crate::bindings::Installed;
use crate::context::cpu_of;
use crate::event::{CpuMeter, EventEnded, EventKey};
use crate::io::{EventLoopIo, Io};
use crate::quotas::{QuotaError, Usage};
use crate::unwind;
use crate::values::Events;

pub use self::call::SqlError;
pub use self::config::SqlConfig;
pub(crate) use self::remote::{
    WrittenResult, answer_bytes, binding as remote_binding, question_bytes, serve as serve_remote,
};
pub use self::sqlite::is_call_stopped;
pub use self::statement::StatementError;

deno_core::extension!(
    isopod_sql,
    deps = [deno_webidl, deno_web],
    ops = [read::op_sql_read, op_sql_run, op_sql_exec, op_sql_dump],
    lazy_loaded_js = [dir "src/sql", "sql.js"],
);

/// An error of a SQL op.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[non_exhaustive]
pub enum SqlOpError {
    /// The statement has no result.
    #[class(generic)]
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// The worker has too many pending operations.
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// Its event has ended.
    #[class(inherit)]
    #[error(transparent)]
    EventEnded(#[from] EventEnded),
    /// The worker has no binding of this name.
    #[class(type)]
    #[error("this worker has no SQL binding named '{0}'")]
    NoBinding(String),
    /// The runtime has not placed an `Rc<Io>` in the worker's state.
    #[class(type)]
    #[error("SQL is not available in this worker: it has no I/O runtime")]
    NoIo,
    /// The op has panicked.
    #[class(inherit)]
    #[error(transparent)]
    Panicked(#[from] unwind::Panicked),
}

#[op2]
#[serde]
async fn op_sql_run(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    #[scoped] queries: Vec<(String, Vec<Param>)>,
    transaction: bool,
    #[smi] event: EventKey,
) -> Result<Vec<ResultSet>, SqlOpError> {
    let mode = if transaction { Mode::Transaction } else { Mode::Each };
    call(&state, binding, event, async |service| service.run(queries, mode).await).await
}

#[op2]
#[serde]
async fn op_sql_exec(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    #[string] sql: String,
    #[smi] event: EventKey,
) -> Result<Vec<ResultSet>, SqlOpError> {
    call(&state, binding, event, async |service| service.exec(sql).await).await
}

#[op2]
#[serde]
async fn op_sql_dump(
    state: Rc<RefCell<OpState>>,
    #[string] binding: String,
    #[smi] event: EventKey,
) -> Result<Vec<ResultSet>, SqlOpError> {
    call(&state, binding, event, async |service| service.dump().await).await
}

/// Calls the database of a binding for an event. The call is canceled when the event ends.
async fn call(
    state: &RefCell<OpState>,
    binding: String,
    event: EventKey,
    run: impl AsyncFnOnce(Database) -> Result<Vec<ResultSet>, SqlError>,
) -> Result<Vec<ResultSet>, SqlOpError> {
    unwind::catch_async(async {
        let usage = Usage::of(&state.borrow());
        let _slot = usage.begin_op()?;
        let ended = CancelHandle::new_rc();
        let cpu = begun(&state.borrow(), event, Some(&ended))?;
        let payer = Payer {
            memory: usage.ledger().clone(),
            cpu,
        };
        let service = service(&state.borrow(), binding, payer)?;
        // Dropped with the event: the statement is interrupted, and the result is discarded.
        Ok(run(service).or_cancel(&ended).await.map_err(|_| EventEnded)??)
    })
    .await?
}

/// Ties a call to its event, unless it ends at once. Returns the event's meter, or one for code that belongs to no event.
fn begun(state: &OpState, event: EventKey, ended: Option<&Rc<CancelHandle>>) -> Result<CpuMeter, EventEnded> {
    let Some(events) = state.try_borrow::<Rc<RefCell<Events>>>().filter(|_| event != 0) else {
        return Ok(cpu_of(state, 0));
    };
    let mut events = events.borrow_mut();
    let lent = events.lent(event).ok_or(EventEnded)?;
    if let Some(ended) = ended {
        lent.under_way.add(ended);
    }
    Ok(events.cpu(event))
}

fn service(state: &OpState, binding: String, payer: Payer) -> Result<Database, SqlOpError> {
    if let Some(remote) = Installed::<RemoteSql>::get(state, &binding) {
        return Ok(Database::Elsewhere(remote.clone(), payer));
    }
    let config = Installed::<SqlConfig>::get(state, &binding).cloned();
    let config = config.ok_or(SqlOpError::NoBinding(binding))?;
    let near = read::near(state, &config).and_then(|near| near.asks());
    let io = match sqlite::is_file(&config.url) {
        true => EventLoopIo::or_of_thread(state),
        false => state.try_borrow::<Rc<Io>>().cloned(),
    };
    let io = io.ok_or(SqlOpError::NoIo)?;
    Ok(Database::Here(SqlService::new(io, config, payer)?.near(near)))
}
