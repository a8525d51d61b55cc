//! Short reads, which are done before the op returns.

use std::rc::Rc;

use deno_core::{OpState, op2, serde_v8, v8};

use super::call::Payer;
use super::config::SqlConfig;
use super::sqlite::{Near, StatementStack, is_file};
use super::value::{Param, ResultSet, Value};
use super::{SqlOpError, begun};
use crate::bindings::Installed;
use crate::event::EventKey;
use crate::io::EventLoopIo;
use crate::quotas::Usage;
use crate::unwind;

/// Returns the part of a worker for short reads of a database in a file.
pub(super) fn near(state: &OpState, config: &SqlConfig) -> Option<Rc<Near>> {
    let own = state.try_borrow::<Rc<EventLoopIo>>().filter(|_| is_file(&config.url))?;
    own.kept(config, |config| Rc::new(Near::new(config)))
}

/// Runs a statement on this thread, if it is a short read: returns its columns, its rows, milliseconds, and the size of the database
/// if that is asked for. `null`: `op_sql_run` has to run it.
#[op2]
pub(super) fn op_sql_read<'s>(
    state: &mut OpState,
    scope: &mut v8::PinScope<'s, '_>,
    #[string] binding: &str,
    #[string] sql: &str,
    #[scoped] params: Vec<Param>,
    is_sized: bool,
    #[smi] event: EventKey,
) -> Result<v8::Local<'s, v8::Value>, SqlOpError> {
    let read = unwind::catch(|| read(state, binding, sql, params, is_sized, event))?;
    let shown = read.and_then(|result| shown(scope, result));
    Ok(shown.unwrap_or_else(|| v8::null(scope).into()))
}

fn read(
    state: &mut OpState,
    binding: &str,
    sql: &str,
    params: Vec<Param>,
    is_sized: bool,
    event: EventKey,
) -> Option<ResultSet> {
    let near = near(state, Installed::<SqlConfig>::get(state, binding)?)?;
    let payer = Payer {
        cpu: begun(state, event, None).ok()?,
        memory: Usage::of(state).ledger().clone(),
    };
    if !state.has::<Rc<StatementStack>>() {
        state.put(Rc::new(StatementStack::default()));
    }
    near.read(sql, params, is_sized, payer, state.borrow::<Rc<StatementStack>>())
}

fn shown<'s>(scope: &mut v8::PinScope<'s, '_>, result: ResultSet) -> Option<v8::Local<'s, v8::Value>> {
    let mut columns = Vec::with_capacity(result.columns.len());
    for name in &result.columns {
        let name = v8::String::new_from_utf8(scope, name.as_bytes(), v8::NewStringType::Internalized)?;
        columns.push(name.into());
    }
    let mut rows = Vec::with_capacity(result.rows.len());
    for row in &result.rows {
        let mut values = Vec::with_capacity(row.len());
        for value in row {
            values.push(value_of(scope, value)?);
        }
        rows.push(v8::Array::new_with_elements(scope, &values).into());
    }
    #[expect(clippy::cast_precision_loss, reason = "bytes of a file")]
    let size = result.size_after.unwrap_or(0) as f64;
    let parts = [
        v8::Array::new_with_elements(scope, &columns).into(),
        v8::Array::new_with_elements(scope, &rows).into(),
        v8::Number::new(scope, result.duration).into(),
        v8::Number::new(scope, size).into(),
    ];
    Some(v8::Array::new_with_elements(scope, &parts).into())
}

/// A value, as `Serialize` writes it.
fn value_of<'s>(scope: &mut v8::PinScope<'s, '_>, value: &Value) -> Option<v8::Local<'s, v8::Value>> {
    Some(match value {
        Value::Text(text) => v8::String::new(scope, text)?.into(),
        #[expect(clippy::cast_precision_loss, reason = "documented by D1")]
        Value::Integer(number) => v8::Number::new(scope, *number as f64).into(),
        Value::Real(number) => v8::Number::new(scope, *number).into(),
        Value::Null => v8::null(scope).into(),
        Value::Blob(_) => serde_v8::to_v8(scope, value).ok()?,
    })
}
