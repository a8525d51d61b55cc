//! Converts values serialized by the structured clone algorithm to plain values.

use serde_json::{Map, Number, Value};
use v8_valueserializer::{Heap, HeapValue, PropertyKey, StringValue, Value as Cloned, ValueDeserializer};

/// Maximum depth of values: reading recurses.
const DEPTH_MAX: usize = 128;

/// Maximum weight of values: 32 bytes for each, plus its text. A value that is referred to repeatedly counts each time,
/// because plain values have no references: a hundred arrays can represent 2^100 numbers.
const WEIGHT_MAX: usize = 64 << 20;
/// The weight of a value besides its text.
const WEIGHT: usize = 32;

/// The reason why a message has no plain value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotPlain {
    /// The bytes are not a serialized value.
    #[error("cannot read the value: {0}")]
    Unreadable(String),
    /// It contains itself, or is nested too deeply.
    #[error("the value is nested deeper than {DEPTH_MAX} levels, or contains itself")]
    TooDeep,
    /// Repeated references make it too large.
    #[error("the value is larger than {WEIGHT_MAX} bytes when serialized")]
    TooLarge,
    /// It has no counterpart in JSON.
    #[error("the value contains {0}, which has no plain counterpart")]
    NoCounterpart(&'static str),
}

/// Reads a value: maps become objects, sets and holes become arrays and `null`, dates their time in milliseconds,
/// numbers without a JSON form `null`.
pub(super) fn read(bytes: &[u8]) -> Result<Value, NotPlain> {
    let read = ValueDeserializer::default().read(bytes);
    let (value, heap) = read.map_err(|error| NotPlain::Unreadable(error.to_string()))?;
    let mut writer = Writer {
        heap: &heap,
        left: WEIGHT_MAX,
    };
    writer.plain(&value, 0)
}

/// Writes values within the limits.
struct Writer<'a> {
    heap: &'a Heap,
    left: usize,
}

impl Writer<'_> {
    fn take(&mut self, weight: usize) -> Result<(), NotPlain> {
        self.left = self.left.checked_sub(weight).ok_or(NotPlain::TooLarge)?;
        Ok(())
    }

    fn text(&mut self, text: &StringValue) -> Result<String, NotPlain> {
        let text = text.to_string().into_owned();
        self.take(text.len())?;
        Ok(text)
    }

    fn plain(&mut self, value: &Cloned, depth: usize) -> Result<Value, NotPlain> {
        self.take(WEIGHT)?;
        Ok(match value {
            Cloned::Undefined | Cloned::Null => Value::Null,
            Cloned::Bool(bool) => Value::Bool(*bool),
            Cloned::I32(number) => Value::from(*number),
            Cloned::U32(number) => Value::from(*number),
            Cloned::Double(number) => number_of(*number),
            Cloned::BigInt(_) => return Err(NotPlain::NoCounterpart("a BigInt")),
            Cloned::String(text) => Value::String(self.text(text)?),
            Cloned::HeapReference(_) if depth == DEPTH_MAX => return Err(NotPlain::TooDeep),
            Cloned::HeapReference(object) => match object.try_open(self.heap) {
                Some(object) => self.object(object, depth + 1)?,
                None => return Err(NotPlain::Unreadable("a reference to nothing".to_owned())),
            },
        })
    }

    fn object(&mut self, object: &HeapValue, depth: usize) -> Result<Value, NotPlain> {
        match object {
            HeapValue::BooleanObject(bool) => Ok(Value::Bool(*bool)),
            HeapValue::NumberObject(number) => Ok(number_of(*number)),
            HeapValue::StringObject(text) => Ok(Value::String(self.text(text)?)),
            HeapValue::Date(date) => Ok(date.ms_since_epoch().map_or(Value::Null, Value::from)),
            HeapValue::Object(object) => self.fields(&object.properties, depth),
            HeapValue::DenseArray(array) => self.list(array.elements.iter().map(Option::as_ref), depth),
            HeapValue::Set(set) => self.list(set.values.iter().map(Some), depth),
            HeapValue::Map(map) => {
                let mut entries = Map::new();
                for (key, value) in &map.entries {
                    let key = match self.plain(key, depth)? {
                        Value::String(text) => text,
                        other => other.to_string(),
                    };
                    entries.insert(key, self.plain(value, depth)?);
                }
                Ok(Value::Object(entries))
            }
            HeapValue::SparseArray(array) => {
                let fields = self.fields(&array.properties, depth)?;
                Ok(sparse(fields, array.length as usize))
            }
            HeapValue::Error(_) => Err(NotPlain::NoCounterpart("an Error")),
            HeapValue::RegExp(_) => Err(NotPlain::NoCounterpart("a RegExp")),
            HeapValue::BigIntObject(_) => Err(NotPlain::NoCounterpart("a BigInt")),
            HeapValue::ArrayBuffer(_) | HeapValue::ArrayBufferView(_) => Err(NotPlain::NoCounterpart("bytes")),
        }
    }

    fn list<'v>(&mut self, values: impl Iterator<Item = Option<&'v Cloned>>, depth: usize) -> Result<Value, NotPlain> {
        let plain = |value: Option<&Cloned>| match value {
            Some(value) => self.plain(value, depth),
            None => self.take(WEIGHT).map(|()| Value::Null),
        };
        values.map(plain).collect::<Result<Vec<_>, _>>().map(Value::Array)
    }

    fn fields(&mut self, properties: &[(PropertyKey, Cloned)], depth: usize) -> Result<Value, NotPlain> {
        let mut fields = Map::new();
        for (key, value) in properties {
            let key = match key {
                PropertyKey::I32(key) => key.to_string(),
                PropertyKey::U32(key) => key.to_string(),
                PropertyKey::Double(key) => key.to_string(),
                PropertyKey::String(key) => self.text(key)?,
            };
            fields.insert(key, self.plain(value, depth)?);
        }
        Ok(Value::Object(fields))
    }
}

/// An array with holes. The script chooses its length, up to 2^32: with more holes than this it stays an object of its
/// elements.
fn sparse(fields: Value, length: usize) -> Value {
    const HOLES_MAX: usize = 1024;
    let Value::Object(fields) = fields else { return fields };
    if length > fields.len() + HOLES_MAX {
        return Value::Object(fields);
    }
    let mut elements = vec![Value::Null; length];
    for (key, value) in fields {
        if let Some(element) = key.parse::<usize>().ok().and_then(|index| elements.get_mut(index)) {
            *element = value;
        }
    }
    Value::Array(elements)
}

/// Integers stay integers: V8 writes those beyond 31 bits as doubles.
fn number_of(number: f64) -> Value {
    const SAFE_MAX: f64 = 9_007_199_254_740_991.0;
    #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 53 bits")]
    if number.fract() == 0.0 && number.abs() <= SAFE_MAX {
        Value::from(number as i64)
    } else {
        Number::from_f64(number).map_or(Value::Null, Value::Number)
    }
}
