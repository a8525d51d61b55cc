//! Replacements for functions of SQLite that use unbounded stack or cannot be interrupted.
//!
//! `json_set` and similar functions recurse once for each part of a path, `json_patch` moves all following members for
//! each label, and `json_pretty` writes indentation for each value. After a check of their arguments, they are called
//! on an in-memory connection that has SQLite's originals. `instr`, `replace`, `trim` and `unhex` take time
//! proportional to the product of their arguments; their replacements are linear.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::functions::{Context, FunctionFlags, SubType};
use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Error, Result, ffi, params_from_iter};

/// Parts of a JSON path. SQLite does not read deeper JSON either (`JSON_MAX_DEPTH`).
const PATH_PARTS_MAX: usize = 1000;
/// Bytes of both arguments of `json_patch`, which takes quadratic time.
const PATCH_BYTES_MAX: usize = 400_000;
/// Product of the arguments' lengths for `instr`, `replace`, `trim` and `unhex` on blobs.
const BLOB_PRODUCT_MAX: usize = 10_000_000_000;
/// Worst-case length of the result of `json_pretty`.
const PRETTY_BYTES_MAX: usize = 100_000_000;
/// SQLite's subtype of a text that is JSON.
const JSON: u32 = 74;

/// A connection on which SQLite's originals are called, created on first use.
type Own = Arc<Mutex<Option<Connection>>>;
/// Checks a call's arguments.
type Check = fn(&Context<'_>) -> Result<()>;

pub(super) fn install(db: &Connection) -> Result<()> {
    let pure = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    let json = pure | FunctionFlags::SQLITE_SUBTYPE | FunctionFlags::SQLITE_RESULT_SUBTYPE;
    let length_max = db.limit(Limit::SQLITE_LIMIT_LENGTH)?;
    let own = Own::default();
    for (name, arguments, check) in [
        ("json_set", -1, paths as Check),
        ("json_insert", -1, paths),
        ("jsonb_set", -1, paths),
        ("jsonb_insert", -1, paths),
        ("json_patch", 2, patch),
        ("jsonb_patch", 2, patch),
        ("json_pretty", 1, pretty),
        ("json_pretty", 2, pretty),
    ] {
        let own = own.clone();
        db.create_scalar_function(name, arguments, json, move |context| {
            check(context)?;
            ask(&own, name, length_max, context)
        })?;
    }
    for (name, arguments, linear) in [
        ("instr", 2, instr as fn(&[&str], usize) -> Option<Value>),
        ("replace", 3, replace),
        ("trim", 2, |texts, _| Some(trim(texts, true, true))),
        ("ltrim", 2, |texts, _| Some(trim(texts, true, false))),
        ("rtrim", 2, |texts, _| Some(trim(texts, false, true))),
        ("unhex", 2, |texts, _| Some(unhex(texts))),
    ] {
        let own = own.clone();
        let max = usize::try_from(length_max).unwrap_or(usize::MAX);
        db.create_scalar_function(name, arguments, pure, move |context| {
            let texts: Option<Vec<&str>> = (0..context.len()).map(|at| text(context.get_raw(at))).collect();
            match texts {
                Some(texts) => linear(&texts, max).map(|value| (value, None)).ok_or_else(too_big),
                // Numbers become text as SQLite writes them; blobs are compared as bytes, and are short.
                None => {
                    let bytes =
                        (0..context.len()).fold(1, |all: usize, at| all.saturating_mul(bytes(context.get_raw(at))));
                    if bytes > BLOB_PRODUCT_MAX {
                        return Err(too_big());
                    }
                    ask(&own, name, length_max, context)
                }
            }
        })?;
    }
    Ok(())
}

/// Rejects paths that are too deep, individually or in total.
fn paths(context: &Context<'_>) -> Result<()> {
    let mut parts = 0;
    for at in (1..context.len()).step_by(2) {
        let (ValueRef::Text(path) | ValueRef::Blob(path)) = context.get_raw(at) else {
            continue;
        };
        parts += path.iter().filter(|byte| matches!(byte, b'.' | b'[')).count();
        if parts > PATH_PARTS_MAX {
            return Err(refused(&format!(
                "the JSON paths have more than {PATH_PARTS_MAX} parts"
            )));
        }
    }
    Ok(())
}

/// Rejects objects that would take hours to merge.
fn patch(context: &Context<'_>) -> Result<()> {
    match bytes(context.get_raw(0)) + bytes(context.get_raw(1)) > PATCH_BYTES_MAX {
        true => Err(too_big()),
        false => Ok(()),
    }
}

/// Rejects JSON whose result would consist mostly of indentation.
fn pretty(context: &Context<'_>) -> Result<()> {
    let depth = match context.get_raw(0) {
        ValueRef::Text(text) => depth(text),
        value => bytes(value),
    };
    let indent = if context.len() > 1 {
        bytes(context.get_raw(1))
    } else {
        4
    };
    let bytes = bytes(context.get_raw(0)).saturating_mul(depth).saturating_mul(indent);
    match bytes > PRETTY_BYTES_MAX {
        true => Err(too_big()),
        false => Ok(()),
    }
}

/// The nesting depth of brackets, including those in strings.
fn depth(text: &[u8]) -> usize {
    let mut now = 0_usize;
    let depths = text.iter().map(|byte| {
        match byte {
            b'[' | b'{' => now += 1,
            b']' | b'}' => now = now.saturating_sub(1),
            _ => {}
        }
        now
    });
    depths.max().unwrap_or(0)
}

/// Calls SQLite's original function.
fn ask(own: &Own, name: &str, length_max: i32, context: &Context<'_>) -> Result<(Value, SubType)> {
    let mut own = own.lock().unwrap_or_else(PoisonError::into_inner);
    let db = match &mut *own {
        Some(db) => db,
        none => {
            let db = Connection::open_in_memory()?;
            db.set_limit(Limit::SQLITE_LIMIT_LENGTH, length_max)?;
            none.insert(db)
        }
    };
    let arguments: Vec<String> = (0..context.len())
        .map(|at| match context.get_subtype(at) {
            JSON => format!("json(?{})", at + 1),
            _ => format!("?{}", at + 1),
        })
        .collect();
    let sql = format!("SELECT {name}({})", arguments.join(", "));
    let values = (0..context.len()).map(|at| ToSqlOutput::Borrowed(context.get_raw(at)));
    let value: Value = db
        .prepare_cached(&sql)?
        .query_row(params_from_iter(values), |row| row.get(0))?;
    let subtype = (name.starts_with("json") && matches!(value, Value::Text(_))).then_some(JSON);
    Ok((value, subtype))
}

fn text(value: ValueRef<'_>) -> Option<&str> {
    match value {
        ValueRef::Text(text) => std::str::from_utf8(text).ok(),
        _ => None,
    }
}

fn bytes(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len().max(1),
        _ => 1,
    }
}

/// The position of the second text in the first, in characters from 1, or 0.
fn instr(texts: &[&str], _max: usize) -> Option<Value> {
    let place = texts[0]
        .find(texts[1])
        .map_or(0, |at| texts[0][..at].chars().count() + 1);
    i64::try_from(place).ok().map(Value::Integer)
}

fn replace(texts: &[&str], max: usize) -> Option<Value> {
    let [text, from, to] = texts else { return None };
    if from.is_empty() {
        return Some(Value::Text((*text).to_owned()));
    }
    let times = text.matches(from).count();
    let len = (text.len() - times * from.len()).checked_add(times.checked_mul(to.len())?)?;
    (len <= max).then(|| Value::Text(text.replace(from, to)))
}

fn trim(texts: &[&str], start: bool, end: bool) -> Value {
    let set: HashSet<char> = texts[1].chars().collect();
    let mut text = texts[0];
    if start {
        text = text.trim_start_matches(|c| set.contains(&c));
    }
    if end {
        text = text.trim_end_matches(|c| set.contains(&c));
    }
    Value::Text(text.to_owned())
}

/// The bytes of pairs of hexadecimal digits. Characters of the second text may separate pairs; other characters result
/// in `NULL`. Like the original, it ends at the first NUL.
fn unhex(texts: &[&str]) -> Value {
    let skipped: HashSet<char> = texts[1].chars().collect();
    let mut bytes = Vec::new();
    let mut chars = texts[0].chars().take_while(|c| *c != '\0');
    while let Some(first) = chars.next() {
        let Some(high) = first.to_digit(16) else {
            if skipped.contains(&first) {
                continue;
            }
            return Value::Null;
        };
        let Some(low) = chars.next().and_then(|second| second.to_digit(16)) else {
            return Value::Null;
        };
        bytes.extend(u8::try_from(high << 4 | low));
    }
    Value::Blob(bytes)
}

fn too_big() -> Error {
    let code = ffi::Error::new(ffi::SQLITE_TOOBIG);
    Error::SqliteFailure(code, Some("string or blob too big".to_owned()))
}

fn refused(message: &str) -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ERROR), Some(message.to_owned()))
}
