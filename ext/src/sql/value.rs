//! Values sent to a database and returned by it.

use deno_core::convert::Uint8Array;
use deno_core::{FromV8, ToJsBuffer, v8};
use deno_error::JsErrorBox;
use serde::{Deserialize, Serialize, Serializer};

use crate::ledger::Charge;

/// A bound parameter, as the JavaScript side passes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Param {
    Null,
    Number(f64),
    Text(String),
    #[serde(with = "serde_bytes")]
    Blob(Vec<u8>),
}

impl<'s> FromV8<'s> for Param {
    type Error = JsErrorBox;

    fn from_v8<'i>(scope: &mut v8::PinScope<'s, 'i>, value: v8::Local<'s, v8::Value>) -> Result<Self, JsErrorBox> {
        if value.is_null() {
            Ok(Self::Null)
        } else if let Some(number) = if value.is_number() {
            value.number_value(scope)
        } else {
            None
        } {
            Ok(Self::Number(number))
        } else if value.is_string() {
            Ok(Self::Text(value.to_rust_string_lossy(scope)))
        } else {
            let bytes = Uint8Array::from_v8(scope, value).map_err(JsErrorBox::from_err)?;
            Ok(Self::Blob(bytes.0.into_vec()))
        }
    }
}

/// The integer equal to a JavaScript number, if it represents one exactly.
pub(super) fn integer(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[allow(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// A value in a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl Value {
    /// Its size, as counted for the limit on results.
    pub(super) fn bytes(&self) -> usize {
        8 + match self {
            Self::Null | Self::Integer(_) | Self::Real(_) => 0,
            Self::Text(text) => text.len(),
            Self::Blob(blob) => blob.len(),
        }
    }

    /// Its size in memory.
    pub(super) fn held(&self) -> usize {
        size_of::<Self>() - 8 + self.bytes()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            // A JavaScript number, as D1 returns it: exact up to 2^53.
            #[allow(clippy::cast_precision_loss, reason = "documented by D1")]
            Self::Integer(value) => serializer.serialize_f64(*value as f64),
            Self::Real(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Blob(blob) => ToJsBuffer::from(blob.clone()).serialize(serializer),
        }
    }
}

/// The result of a statement.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResultSet {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
    /// Rows inserted, updated or deleted; in SQLite including those changed by triggers and foreign keys.
    pub(crate) changes: u64,
    /// SQLite's row id of the call's last insert, or 0.
    pub(super) last_row_id: i64,
    /// True if rows, tables or the like were changed.
    pub(super) changed_db: bool,
    /// Size of the database after the statement, if known.
    pub(super) size_after: Option<u64>,
    /// Milliseconds, with fractions, as in D1's `meta`.
    pub(super) duration: f64,
    /// The cursor of the rows that follow, in the storage of a Durable Object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cursor: Option<u32>,
    /// Charges the rows to the worker's memory until they are JavaScript values.
    #[serde(skip)]
    pub(super) charge: Option<Charge>,
}
