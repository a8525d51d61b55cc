//! Databases of workers in sandboxes: statements run in the pool's process, so that the worker knows neither the database's
//! address nor its file.

use std::rc::Rc;

use deno_core::OpState;
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::call::{Mode, Payer, SqlError};
use super::config::SqlConfig;
use super::service::SqlService;
use super::value::{Param, ResultSet, Value};
use crate::bindings::{Asks, Binding, EnvValue, Held, Installed, NewWorker, Parcel, Transit, pack, unpack};
use crate::event::Body;
use crate::io::Io;

/// The largest call, in bytes: its statements and their parameters.
const CALL_BYTES_MAX: usize = 256 << 20;

/// A call of a database.
#[derive(Serialize, Deserialize)]
enum Asked {
    Run(Vec<(String, Vec<Param>)>, bool),
    Exec(String),
    Dump,
}

/// The result of a statement, in written form.
#[derive(Serialize, Deserialize)]
pub(crate) struct WrittenResult {
    columns: Vec<String>,
    rows: Vec<Vec<WrittenValue>>,
    changes: u64,
    last_row_id: i64,
    changed_db: bool,
    size_after: Option<u64>,
    duration: f64,
}

#[derive(Serialize, Deserialize)]
enum WrittenValue {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(#[serde(with = "serde_bytes")] Vec<u8>),
}

/// A database in another process.
#[derive(Clone)]
pub(super) struct RemoteSql(Asks);

/// The binding of a database in another process.
#[derive(Debug)]
pub(crate) struct RemoteDatabase(RemoteSql);

impl std::fmt::Debug for RemoteSql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RemoteSql(…)")
    }
}

/// The binding of a database in another process.
pub(crate) const fn binding(asks: Asks) -> RemoteDatabase {
    RemoteDatabase(RemoteSql(asks))
}

impl Binding for RemoteDatabase {
    fn kind(&self) -> &'static str {
        "SQL"
    }

    fn install(&self, name: &str, _worker: &NewWorker<'_>, state: &mut OpState) -> EnvValue<'_> {
        Installed::put(state, name, self.0.clone());
        EnvValue::made("ext:isopod_sql/sql.js", &Json::Null)
    }
}

/// The database of a call.
pub(super) enum Database {
    Here(SqlService),
    Elsewhere(RemoteSql, Payer),
}

impl Database {
    /// Runs prepared statements.
    pub(super) async fn run(&self, queries: Vec<(String, Vec<Param>)>, mode: Mode) -> Result<Vec<ResultSet>, SqlError> {
        match self {
            Self::Here(service) => service.run(queries, mode).await,
            Self::Elsewhere(remote, payer) => {
                let is_transaction = matches!(mode, Mode::Transaction);
                remote.ask(&Asked::Run(queries, is_transaction), payer).await
            }
        }
    }

    /// Runs every statement of a text, without parameters.
    pub(super) async fn exec(&self, sql: String) -> Result<Vec<ResultSet>, SqlError> {
        match self {
            Self::Here(service) => service.exec(sql).await,
            Self::Elsewhere(remote, payer) => remote.ask(&Asked::Exec(sql), payer).await,
        }
    }

    /// Returns the database file.
    pub(super) async fn dump(&self) -> Result<Vec<ResultSet>, SqlError> {
        match self {
            Self::Here(service) => service.dump().await,
            Self::Elsewhere(remote, payer) => remote.ask(&Asked::Dump, payer).await,
        }
    }
}

impl RemoteSql {
    async fn ask(&self, asked: &Asked, payer: &Payer) -> Result<Vec<ResultSet>, SqlError> {
        let lost = |error: String| SqlError::Connection(error);
        let asked = Parcel {
            bodies: vec![Body::from(pack(asked).map_err(lost)?)],
            ..Parcel::default()
        };
        let Parcel { bytes, bodies, .. } = self.0.ask(asked).await.map_err(lost)?;
        let told: Result<(), String> = unpack(&bytes).map_err(lost)?;
        told.map_err(SqlError::Elsewhere)?;
        let body = bodies.into_iter().next().unwrap_or_default();
        let results = body.collect().await.map_err(|error| lost(error.to_string()))?;
        let results: Vec<WrittenResult> = unpack(&results.to_bytes()).map_err(lost)?;
        Ok(results.into_iter().map(|result| result.read(payer)).collect())
    }
}

/// The room for a call: the bytes that its body is announced to have.
pub(crate) fn question_bytes(asked: &Parcel) -> usize {
    let length = asked.bodies.first().and_then(|body| body.size_hint().exact());
    length.map_or(CALL_BYTES_MAX, |length| usize::try_from(length).unwrap_or(usize::MAX))
}

/// The statements that have room for their results at a time, if these may be large.
const STATEMENTS: usize = 4;

/// The room for the answer to a call.
pub(crate) fn answer_bytes(config: &SqlConfig, transit: &Transit) -> usize {
    config.result_bytes_max.min(transit.bytes_max() / STATEMENTS)
}

/// Answers a call of a worker in another process, for which there is room. Takes any bytes.
pub(crate) async fn serve(io: Rc<Io>, config: SqlConfig, asked: Parcel, mut held: Held) -> Result<Parcel, String> {
    let body = asked.bodies.into_iter().next().ok_or("a call has a body")?;
    let bytes = Limited::new(body, CALL_BYTES_MAX).collect().await;
    let asked = unpack(&bytes.map_err(|error| error.to_string())?.to_bytes())?;
    // Its memory and its processor time are those of this process, within the limits of the binding.
    let service = SqlService::new(io, config, Payer::default());
    let results = async {
        let service = service?;
        match asked {
            Asked::Run(queries, true) => service.run(queries, Mode::Transaction).await,
            Asked::Run(queries, false) => service.run(queries, Mode::Each).await,
            Asked::Exec(sql) => service.exec(sql).await,
            Asked::Dump => service.dump().await,
        }
    };
    let (told, bodies) = match results.await {
        Ok(results) => {
            let written: Vec<_> = results.into_iter().map(WrittenResult::new).collect();
            let written = pack(&written)?;
            held.shrink(written.len());
            (Ok(()), vec![Body::from(held.attach(written))])
        }
        Err(error) => (Err(error.to_string()), Vec::new()),
    };
    Ok(Parcel::with_bodies(pack::<Result<(), String>>(&told)?, bodies))
}

impl WrittenResult {
    pub(crate) fn new(result: ResultSet) -> Self {
        let value = |value| match value {
            Value::Null => WrittenValue::Null,
            Value::Integer(value) => WrittenValue::Integer(value),
            Value::Real(value) => WrittenValue::Real(value),
            Value::Text(text) => WrittenValue::Text(text),
            Value::Blob(blob) => WrittenValue::Blob(blob),
        };
        let rows = result.rows.into_iter();
        Self {
            rows: rows.map(|row| row.into_iter().map(value).collect()).collect(),
            columns: result.columns,
            changes: result.changes,
            last_row_id: result.last_row_id,
            changed_db: result.changed_db,
            size_after: result.size_after,
            duration: result.duration,
        }
    }

    /// The result, whose rows are charged to the worker.
    pub(crate) fn read(self, payer: &Payer) -> ResultSet {
        let value = |value| match value {
            WrittenValue::Null => Value::Null,
            WrittenValue::Integer(value) => Value::Integer(value),
            WrittenValue::Real(value) => Value::Real(value),
            WrittenValue::Text(text) => Value::Text(text),
            WrittenValue::Blob(blob) => Value::Blob(blob),
        };
        let rows = self.rows.into_iter();
        let rows: Vec<Vec<Value>> = rows.map(|row| row.into_iter().map(value).collect()).collect();
        let held: usize = rows.iter().flatten().map(Value::held).sum();
        ResultSet {
            columns: self.columns,
            rows,
            changes: self.changes,
            last_row_id: self.last_row_id,
            changed_db: self.changed_db,
            size_after: self.size_after,
            duration: self.duration,
            charge: Some(payer.memory.charge(held)),
        }
    }
}
