//! Databases of workers in sandboxes: statements run in the pool's process, so that the worker knows neither the database's
//! address nor its file.

use std::rc::Rc;
use std::time::Duration;

use deno_core::OpState;
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::call::{Mode, Payer, Query, SqlError};
use super::config::SqlConfig;
use super::service::SqlService;
use super::value::{Param, ResultSet, Value};
use crate::bindings::{Asks, Binding, EnvValue, Held, Installed, NewWorker, Parcel, Transit, pack, unpack};
use crate::event::Body;
use crate::io::Io;
use crate::written::bounded_to;

/// The largest call, in bytes: its statements and their parameters.
const CALL_BYTES_MAX: usize = 256 << 20;

/// Maximum numbers of statements and parameters of a call, beyond those of any configuration: they take more memory than bytes in the
/// message.
const STATEMENTS_MAX: usize = 1 << 17;
const PARAMS_MAX: usize = 1 << 20;

/// A call of a database.
#[derive(Serialize, Deserialize)]
enum Request {
    Run {
        /// Each with the number of its parameters.
        #[serde(deserialize_with = "bounded_to::<_, _, STATEMENTS_MAX>")]
        statements: Vec<(String, usize)>,
        /// Those of all statements.
        #[serde(deserialize_with = "bounded_to::<_, _, PARAMS_MAX>")]
        params: Vec<Param>,
        is_transaction: bool,
    },
    Exec(String),
    Dump,
}

/// The answer to a call. Its results follow in a body.
#[derive(Serialize, Deserialize)]
struct Reply {
    result: Result<(), String>,
    /// The CPU time that it took.
    cpu: Duration,
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
    cursor: Option<u32>,
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
                let (mut statements, mut params) = (Vec::new(), Vec::new());
                for (text, own) in queries {
                    statements.push((text, own.len()));
                    params.extend(own);
                }
                let request = Request::Run {
                    statements,
                    params,
                    is_transaction,
                };
                remote.ask(&request, payer).await
            }
        }
    }

    /// Runs every statement of a text, without parameters.
    pub(super) async fn exec(&self, sql: String) -> Result<Vec<ResultSet>, SqlError> {
        match self {
            Self::Here(service) => service.exec(sql).await,
            Self::Elsewhere(remote, payer) => remote.ask(&Request::Exec(sql), payer).await,
        }
    }

    /// Returns the database file.
    pub(super) async fn dump(&self) -> Result<Vec<ResultSet>, SqlError> {
        match self {
            Self::Here(service) => service.dump().await,
            Self::Elsewhere(remote, payer) => remote.ask(&Request::Dump, payer).await,
        }
    }
}

impl RemoteSql {
    async fn ask(&self, request: &Request, payer: &Payer) -> Result<Vec<ResultSet>, SqlError> {
        let lost = |error: String| SqlError::Connection(error);
        let request = Parcel {
            bodies: vec![Body::from(pack(request).map_err(lost)?)],
            ..Parcel::default()
        };
        let Parcel { bytes, bodies, .. } = self.0.ask(request).await.map_err(lost)?;
        let Reply { result, cpu } = unpack(&bytes).map_err(lost)?;
        // At the limit, the event is being ended, and its code sees no result.
        let charged = payer.cpu.charge_elsewhere(cpu);
        result.map_err(SqlError::Elsewhere)?;
        charged.map_err(|exceeded| SqlError::Elsewhere(exceeded.to_string()))?;
        let body = bodies.into_iter().next().unwrap_or_default();
        let results = body.collect().await.map_err(|error| lost(error.to_string()))?;
        let results: Vec<WrittenResult> = unpack(&results.to_bytes()).map_err(lost)?;
        Ok(results.into_iter().map(|result| result.read(payer)).collect())
    }
}

/// The room for a call: the bytes that its body is announced to have.
pub(crate) fn question_bytes(request: &Parcel) -> usize {
    let length = request.bodies.first().and_then(|body| body.size_hint().exact());
    length.map_or(CALL_BYTES_MAX, |length| usize::try_from(length).unwrap_or(usize::MAX))
}

/// The statements that have room for their results at a time, if these may be large.
const STATEMENTS: usize = 4;

/// The room for the answer to a call.
pub(crate) fn answer_bytes(config: &SqlConfig, transit: &Transit) -> usize {
    config.result_bytes_max.min(transit.bytes_max() / STATEMENTS)
}

/// Answers a call of a worker in another process, for which there is room. Takes any bytes.
pub(crate) async fn serve(io: Rc<Io>, config: SqlConfig, request: Parcel, mut held: Held) -> Result<Parcel, String> {
    let body = request.bodies.into_iter().next().ok_or("a call has a body")?;
    let bytes = Limited::new(body, CALL_BYTES_MAX).collect().await;
    let request = unpack(&bytes.map_err(|error| error.to_string())?.to_bytes())?;
    // Its memory is that of this process, within the limits of the binding. Its processor time is limited here, for the call, and
    // charged to the event there.
    let payer = Payer::default();
    let cpu = payer.cpu.clone();
    let service = SqlService::new(io, config, payer);
    let results = async {
        let service = service?;
        match request {
            Request::Run {
                statements,
                params,
                is_transaction,
            } => {
                let mode = if is_transaction { Mode::Transaction } else { Mode::Each };
                service.run(queries(statements, params), mode).await
            }
            Request::Exec(sql) => service.exec(sql).await,
            Request::Dump => service.dump().await,
        }
    };
    let (result, bodies) = match results.await {
        Ok(results) => {
            let written: Vec<_> = results.into_iter().map(WrittenResult::new).collect();
            let written = pack(&written)?;
            held.shrink(written.len());
            (Ok(()), vec![Body::from(held.attach(written))])
        }
        Err(error) => (Err(error.to_string()), Vec::new()),
    };
    let reply = Reply {
        result,
        cpu: cpu.used(),
    };
    Ok(Parcel::with_bodies(pack(&reply)?, bodies))
}

/// Gives each statement its parameters. One that would need more than there are gets the rest, and is refused for that.
fn queries(statements: Vec<(String, usize)>, params: Vec<Param>) -> Vec<Query> {
    let mut params = params.into_iter();
    let query = |(text, count)| (text, params.by_ref().take(count).collect());
    statements.into_iter().map(query).collect()
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
            cursor: result.cursor,
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
            cursor: self.cursor,
            charge: Some(payer.memory.charge(held)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_get_their_own_parameters() {
        let params = |numbers: &[f64]| numbers.iter().copied().map(Param::Number).collect::<Vec<_>>();
        let statements = vec![("a".to_owned(), 2), ("b".to_owned(), 0), ("c".to_owned(), 5)];
        let expected = [
            ("a".to_owned(), params(&[1.0, 2.0])),
            ("b".to_owned(), Vec::new()),
            ("c".to_owned(), params(&[3.0])),
        ];
        assert_eq!(queries(statements, params(&[1.0, 2.0, 3.0])), expected);
    }

    #[test]
    fn a_call_with_more_parameters_than_fit_into_memory_is_refused() {
        let request = Request::Run {
            statements: Vec::new(),
            params: vec![Param::Null; PARAMS_MAX + 1],
            is_transaction: false,
        };
        assert!(unpack::<Request>(&pack(&request).unwrap()).is_err());
    }
}
