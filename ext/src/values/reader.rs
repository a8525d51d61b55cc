//! Reading a script's value into a Rust one, up to a budget.
//!
//! The meaning of a value is that of `JSON.stringify()`, without the text in between, and without its silent losses: what
//! JSON would leave out or turn into `{}` (a `Set`, an `Error`, a `Blob`, a function) is an error. A number that the caller's
//! type cannot hold is an error, too. Beyond JSON there are bytes, integers of 64 bits from a bigint, and maps from a `Map`.

mod containers;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use deno_core::serde_v8::{self, JsBuffer};
use deno_core::{JsRuntime, v8};
use serde::de::value::{Error, StringDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde_path_to_error::Track;

use self::containers::{Fields, List, Pairs, Properties, Variant};
use super::budget::{Budget, VALUE_BYTES};
use super::place;
use crate::quotas::Usage;

/// Levels of objects and arrays: reading recurses.
pub(super) const DEPTH_MAX: usize = 128;
/// The prefix of the names of serde_v8's types that are more than data: buffers, functions, values as they are.
pub(super) const MAGIC: &str = "$__v8_magic_";
/// Whole numbers that a JavaScript number holds exactly: `Number.MAX_SAFE_INTEGER`.
const SAFE_INTEGER_MAX: f64 = 9_007_199_254_740_991.0;

/// Reads a value; a script's getters and `toJSON()` run meanwhile.
///
/// # Errors
/// The part of the value that has another shape than requested, and its value.
pub(crate) fn read<'s, T: DeserializeOwned>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
) -> Result<T, String> {
    let max = Usage::of_isolate(scope).quotas.message_bytes;
    let reading = Reading {
        budget: Budget::new(max),
        to_json: v8::String::new(scope, "toJSON").ok_or("the isolate has no memory for a key")?,
    };
    let functions = ReadFunctions::of_isolate(scope);
    let forget = || {
        if let Some(functions) = functions {
            (functions.forget)();
        }
    };
    if let Some(functions) = functions {
        (functions.begin)();
    }
    let mut track = Track::new();
    // The conversion belongs to the host's type, and may panic.
    let read = catch_unwind(AssertUnwindSafe(|| {
        let reader = Reader::new(scope, value, DEPTH_MAX, &reading)?;
        T::deserialize(serde_path_to_error::Deserializer::new(reader, &mut track))
    }));
    let read = read.unwrap_or_else(|payload| {
        forget();
        resume_unwind(payload)
    });
    let read = read.map_err(|error| {
        forget();
        place::describe_in(scope, value, &track.path(), &error)
    })?;
    if let Some(functions) = functions {
        (functions.lend)(scope).map_err(|error| error.to_string())?;
    }
    Ok(read)
}

/// Handles functions in values. `native` puts an implementation into the worker's state; without it, functions cannot be read.
#[derive(Clone, Copy)]
pub(crate) struct ReadFunctions {
    /// Called before a value is read.
    pub(crate) begin: fn(),
    /// Records a function of a value that is encoded for another process, and returns its number.
    pub(crate) encode: fn(v8::Global<v8::Value>) -> Option<u32>,
    /// Discards the functions of a value that could not be read.
    pub(crate) forget: fn(),
    /// Lends the functions of a value to the host, after it was read.
    pub(crate) lend: fn(&mut v8::PinScope<'_, '_>) -> Result<(), serde_v8::Error>,
}

impl ReadFunctions {
    /// Returns the implementation of this isolate. The worker's state must not be borrowed.
    fn of_isolate(isolate: &v8::Isolate) -> Option<Self> {
        let state = JsRuntime::op_state_from(isolate);
        state.try_borrow().ok()?.try_borrow::<Self>().copied()
    }
}

/// State that all parts of a value share while it is read.
struct Reading<'s> {
    budget: Budget,
    /// The key of `toJSON`, created once.
    to_json: v8::Local<'s, v8::String>,
}

/// A value to be read.
struct Reader<'b, 's, 'i> {
    scope: &'b mut v8::PinScope<'s, 'i>,
    value: v8::Local<'s, v8::Value>,
    /// Number of levels that may be below it.
    depth: usize,
    reading: &'b Reading<'s>,
}

fn threw() -> Error {
    Error::custom("a getter, a proxy or toJSON() threw")
}

/// `place` adds the value that was found.
pub(super) fn expected(what: &str) -> Error {
    Error::custom(format!("expected {what}"))
}

pub(super) fn too_deep() -> Error {
    Error::custom(format!("it is nested deeper than {DEPTH_MAX} levels"))
}

impl<'b, 's, 'i> Reader<'b, 's, 'i> {
    fn new(
        scope: &'b mut v8::PinScope<'s, 'i>,
        value: v8::Local<'s, v8::Value>,
        depth: usize,
        reading: &'b Reading<'s>,
    ) -> Result<Self, Error> {
        reading.budget.take(VALUE_BYTES)?;
        let value = to_json(scope, value, reading.to_json)?;
        Ok(Self {
            scope,
            value,
            depth,
            reading,
        })
    }

    fn below(&self) -> Result<usize, Error> {
        self.depth.checked_sub(1).ok_or_else(too_deep)
    }

    fn is_text(&self) -> bool {
        self.value.is_string() || self.value.is_string_object()
    }

    fn string(&mut self) -> Result<String, Error> {
        if !self.is_text() {
            return Err(expected("string"));
        }
        let text = self.value.to_string(self.scope).ok_or_else(threw)?;
        self.reading.budget.take(text.utf8_length(self.scope))?;
        Ok(text.to_rust_string_lossy(self.scope))
    }

    fn text<'de, V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.string()?)
    }

    fn buffer<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if !self.value.is_array_buffer_view() && !self.value.is_array_buffer() {
            return Err(expected("bytes"));
        }
        let bytes: JsBuffer = serde_v8::from_v8(self.scope, self.value).map_err(Error::custom)?;
        self.reading.budget.take(bytes.len())?;
        visitor.visit_byte_buf(Vec::from(&*bytes))
    }

    #[expect(clippy::unused_self, reason = "as the others")]
    fn nothing<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn integer<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if let Ok(number) = v8::Local::<v8::Number>::try_from(self.value) {
            return match whole(number.value()) {
                Some(whole) => whole.visit(visitor),
                None => Err(expected("a whole number of 64 bits")),
            };
        }
        let number = v8::Local::<v8::BigInt>::try_from(self.value).map_err(|_| expected("integer"))?;
        match big(number) {
            Some(whole) => whole.visit(visitor),
            None => Err(expected("a whole number of 64 bits")),
        }
    }

    fn float<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if let Ok(number) = v8::Local::<v8::Number>::try_from(self.value) {
            return visitor.visit_f64(number.value());
        }
        let number = v8::Local::<v8::BigInt>::try_from(self.value).map_err(|_| expected("number"))?;
        match number.i64_value() {
            #[expect(clippy::cast_precision_loss, reason = "the caller asks for a float")]
            (number, true) => visitor.visit_f64(number as f64),
            _ => Err(expected("number")),
        }
    }

    /// The number of a function among those that are passed with the value.
    fn function(&self) -> Option<u32> {
        let function = v8::Local::<v8::Function>::try_from(self.value).ok()?;
        let functions = ReadFunctions::of_isolate(self.scope)?;
        (functions.encode)(v8::Global::new(self.scope, function.cast()))
    }

    /// An object whose properties are its value.
    fn object(&mut self, what: &str) -> Result<v8::Local<'s, v8::Object>, Error> {
        let object = v8::Local::<v8::Object>::try_from(self.value).map_err(|_| expected(what))?;
        let has_none = self.value.is_native_error()
            || self.value.is_function()
            || self.value.is_array_buffer_view()
            || self.value.is_map()
            || self.value.is_set();
        if has_none {
            return Err(expected(what));
        }
        Ok(object)
    }

    fn properties<'de, V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        let depth = self.below()?;
        if let Ok(map) = v8::Local::<v8::Map>::try_from(self.value) {
            let pairs = map.as_array(self.scope);
            return visitor.visit_map(Pairs(self.list(pairs.into(), 0..pairs.length(), depth)));
        }
        let object = self.object("object")?;
        let names = v8::GetPropertyNamesArgsBuilder::new()
            .key_conversion(v8::KeyConversionMode::ConvertToString)
            .build();
        let names = object.get_own_property_names(self.scope, names).ok_or_else(threw)?;
        if names.length() == 0 && !is_plain(self.scope, object) {
            return Err(expected("object"));
        }
        let names = self.list(names.into(), 0..names.length(), depth);
        visitor.visit_map(Properties {
            object,
            names,
            value: None,
        })
    }

    fn list(self, array: v8::Local<'s, v8::Object>, range: Range<u32>, depth: usize) -> List<'b, 's, 'i> {
        List {
            scope: self.scope,
            array,
            range,
            depth,
            reading: self.reading,
        }
    }
}

/// An integer of either sign.
pub(super) enum Whole {
    Signed(i64),
    Unsigned(u64),
}

impl Whole {
    pub(super) fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Signed(number) => visitor.visit_i64(number),
            Self::Unsigned(number) => visitor.visit_u64(number),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is checked before"
)]
pub(super) fn whole(number: f64) -> Option<Whole> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    match number {
        _ if number.fract() != 0.0 => None,
        _ if (0.0..2.0 * TWO_TO_63).contains(&number) => Some(Whole::Unsigned(number as u64)),
        _ if (-TWO_TO_63..0.0).contains(&number) => Some(Whole::Signed(number as i64)),
        _ => None,
    }
}

fn big(number: v8::Local<'_, v8::BigInt>) -> Option<Whole> {
    match (number.i64_value(), number.u64_value()) {
        ((signed, true), _) => Some(Whole::Signed(signed)),
        (_, (unsigned, true)) => Some(Whole::Unsigned(unsigned)),
        _ => None,
    }
}

/// Returns the result of the value's `toJSON()`, if it has one, as `Date` and `URL` do: `JSON.stringify()` uses it as well.
fn to_json<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
    key: v8::Local<'s, v8::String>,
) -> Result<v8::Local<'s, v8::Value>, Error> {
    if !value.is_object() || value.is_array() || value.is_function() || value.is_array_buffer_view() {
        return Ok(value);
    }
    let object = v8::Local::<v8::Object>::try_from(value).map_err(|_| threw())?;
    let method = object.get(scope, key.into()).ok_or_else(threw)?;
    match v8::Local::<v8::Function>::try_from(method) {
        Ok(method) => method.call(scope, value, &[]).ok_or_else(threw),
        Err(_) => Ok(value),
    }
}

/// Returns true if an object has no class. An object with a class and without properties keeps its value elsewhere.
fn is_plain(scope: &mut v8::PinScope<'_, '_>, object: v8::Local<'_, v8::Object>) -> bool {
    let root = v8::Object::new(scope).get_prototype(scope);
    object
        .get_prototype(scope)
        .is_none_or(|prototype| prototype.is_null() || Some(prototype) == root)
}

/// Gives a bigint to a caller that accepts any value. JSON has no bigint, so it is wrapped in a newtype, which only the encoding accepts.
pub(super) fn visit_big<'de, V: Visitor<'de>>(whole: Whole, visitor: V) -> Result<V::Value, Error> {
    let number: i128 = match whole {
        Whole::Signed(number) => number.into(),
        Whole::Unsigned(number) => number.into(),
    };
    let given = visitor.visit_newtype_struct(number.into_deserializer());
    given.map_err(|_: Error| expected("a plain value"))
}

macro_rules! read_as {
    ($($how:ident: $($method:ident)*;)*) => {$($(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.$how(visitor)
        }
    )*)*};
}

impl<'de> Deserializer<'de> for Reader<'_, '_, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let value = self.value;
        if value.is_null_or_undefined() {
            visitor.visit_unit()
        } else if value.is_boolean() {
            visitor.visit_bool(value.is_true())
        } else if let Ok(number) = v8::Local::<v8::Number>::try_from(value) {
            let number = number.value();
            let is_zero_below = number == 0.0 && number.is_sign_negative();
            match whole(number).filter(|_| number.abs() <= SAFE_INTEGER_MAX && !is_zero_below) {
                Some(whole) => whole.visit(visitor),
                None => visitor.visit_f64(number),
            }
        } else if self.is_text() {
            self.text(visitor)
        } else if value.is_array() {
            self.deserialize_seq(visitor)
        } else if value.is_array_buffer() || value.is_array_buffer_view() {
            self.buffer(visitor)
        } else if let Some(number) = self.function() {
            let given = visitor.visit_newtype_struct(number.into_deserializer());
            given.map_err(|_: Error| expected("a plain value"))
        } else if value.is_object() {
            self.properties(visitor)
        } else if let Some(whole) = v8::Local::<v8::BigInt>::try_from(value).ok().and_then(big) {
            visit_big(whole, visitor)
        } else {
            Err(expected("a plain value"))
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value.is_boolean() {
            true => visitor.visit_bool(self.value.is_true()),
            false => Err(expected("boolean")),
        }
    }

    read_as! {
        integer: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128;
        integer: deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128;
        float: deserialize_f32 deserialize_f64;
        text: deserialize_char deserialize_str deserialize_string deserialize_identifier;
        buffer: deserialize_bytes deserialize_byte_buf;
        properties: deserialize_map;
        // A caller that asks for no value accepts any.
        nothing: deserialize_unit deserialize_ignored_any;
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value.is_null_or_undefined() {
            true => visitor.visit_none(),
            false => visitor.visit_some(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let depth = self.below()?;
        let array = v8::Local::<v8::Array>::try_from(self.value).map_err(|_| expected("array"))?;
        visitor.visit_seq(self.list(array.into(), 0..array.length(), depth))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        let depth = self.below()?;
        let array = v8::Local::<v8::Array>::try_from(self.value)
            .ok()
            .filter(|array| array.length() as usize == len)
            .ok_or_else(|| expected(&format!("array of {len}")))?;
        visitor.visit_seq(self.list(array.into(), 0..array.length(), depth))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name.starts_with(MAGIC) {
            let mut magic = serde_v8::Deserializer::new(self.scope, self.value, None);
            return magic.deserialize_struct(name, fields, visitor).map_err(Error::custom);
        }
        let depth = self.below()?;
        let object = self.object("object")?;
        visitor.visit_map(Fields {
            object,
            names: fields.iter(),
            value: None,
            scope: self.scope,
            depth,
            reading: self.reading,
        })
    }

    /// As in JSON: the variant's name, or an object with that as its only key.
    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.is_text() {
            let variant: StringDeserializer<Error> = self.string()?.into_deserializer();
            return variant.deserialize_enum("", &[], visitor);
        }
        let depth = self.below()?;
        let object = self.object("enum")?;
        let names = object
            .get_own_property_names(self.scope, v8::GetPropertyNamesArgs::default())
            .ok_or_else(threw)?;
        if names.length() != 1 {
            return Err(expected("an object with one key"));
        }
        let name = names.get_index(self.scope, 0).ok_or_else(threw)?;
        let value = object.get(self.scope, name).ok_or_else(threw)?;
        visitor.visit_enum(Variant {
            name,
            reader: Reader { value, depth, ..self },
        })
    }
}
