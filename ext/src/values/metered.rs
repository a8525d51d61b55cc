//! Reading a script's value into a Rust one, up to a budget.
//!
//! A value is a graph in the script and a tree in Rust: ten lists of ten lists that are one and the same take a few hundred
//! bytes of heap, and as a tree whatever there is. So what is read is counted while it is read.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use deno_core::{JsRuntime, serde_v8, v8};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde_path_to_error::Track;

use super::place;
use crate::quotas::{QuotaError, Usage};
use crate::unwind;

/// What a value counts beside its text: a number, a flag, a place in a list.
const VALUE_BYTES: usize = 8;

/// Reads a value; a script's getters run meanwhile.
///
/// # Errors
/// Which part of the value is of another shape than was asked for, and what it is.
pub(crate) fn read<'s, T: DeserializeOwned>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
) -> Result<T, String> {
    let max = Usage::of_isolate(scope).quotas.message_bytes;
    let budget = Budget {
        left: Cell::new(max),
        max,
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
    let mut inner = serde_v8::Deserializer::new(scope, value, None);
    let metered = Metered {
        inner: &mut inner,
        budget: &budget,
    };
    let tracked = serde_path_to_error::Deserializer::new(metered, &mut track);
    // serde_v8 panics at a symbol, wherever in the value one is. Nothing is left half done then: only reading went on.
    let read = catch_unwind(AssertUnwindSafe(|| T::deserialize(tracked))).unwrap_or_else(|payload| {
        if unwind::message(&*payload).contains("unknown ValueType") {
            Err(serde_v8::Error::custom("a symbol has no counterpart"))
        } else {
            forget();
            resume_unwind(payload)
        }
    });
    let read = read.map_err(|error| {
        forget();
        place::told(scope, value, &track.path(), &error)
    })?;
    if let Some(functions) = functions {
        (functions.lend)(scope).map_err(|error| error.to_string())?;
    }
    Ok(read)
}

/// Handles the functions among the values that are read. `native` puts its own into the worker's state; without it, functions
/// cannot be read.
#[derive(Clone, Copy)]
pub(crate) struct ReadFunctions {
    /// Called before a value is read.
    pub(crate) begin: fn(),
    /// Forgets the functions of a value that could not be read.
    pub(crate) forget: fn(),
    /// Lends the functions of a value that was read to the host.
    pub(crate) lend: fn(&mut v8::PinScope<'_, '_>) -> Result<(), serde_v8::Error>,
}

impl ReadFunctions {
    /// Those of this isolate. Nothing must hold the worker's state meanwhile.
    fn of_isolate(isolate: &v8::Isolate) -> Option<Self> {
        let state = JsRuntime::op_state_from(isolate);
        state.try_borrow().ok()?.try_borrow::<Self>().copied()
    }
}

struct Budget {
    left: Cell<usize>,
    max: usize,
}

impl Budget {
    fn take<E: Error>(&self, bytes: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(bytes);
        self.left
            .set(left.ok_or_else(|| E::custom(QuotaError::Message(self.max)))?);
        Ok(())
    }
}

/// A deserializer, a visitor or what either hands to the other, with the budget beside it.
struct Metered<'b, T> {
    inner: T,
    budget: &'b Budget,
}

impl<'b, T> Metered<'b, T> {
    fn of<U>(&self, inner: U) -> Metered<'b, U> {
        Metered {
            inner,
            budget: self.budget,
        }
    }
}

macro_rules! deserialize {
    ($($method:ident($($name:ident: $type:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.budget.take(VALUE_BYTES)?;
            let visitor = self.of(visitor);
            self.inner.$method($($name,)* visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Metered<'_, D> {
    type Error = D::Error;

    deserialize! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_option();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! visit {
    // What has a size of its own was counted before it was read.
    (plain: $($method:ident($type:ty);)*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
    (long: $($method:ident($type:ty);)*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.budget.take(value.len())?;
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Metered<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visit! { plain:
        visit_bool(bool);
        visit_i8(i8);
        visit_i16(i16);
        visit_i32(i32);
        visit_i64(i64);
        visit_i128(i128);
        visit_u8(u8);
        visit_u16(u16);
        visit_u32(u32);
        visit_u64(u64);
        visit_u128(u128);
        visit_f32(f32);
        visit_f64(f64);
        visit_char(char);
    }

    visit! { long:
        visit_str(&str);
        visit_borrowed_str(&'de str);
        visit_string(String);
        visit_bytes(&[u8]);
        visit_borrowed_bytes(&'de [u8]);
        visit_byte_buf(Vec<u8>);
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.of(deserializer);
        self.inner.visit_some(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.of(deserializer);
        self.inner.visit_newtype_struct(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let access = self.of(access);
        self.inner.visit_seq(access)
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let access = self.of(access);
        self.inner.visit_map(access)
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        let access = self.of(access);
        self.inner.visit_enum(access)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Metered<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let deserializer = self.of(deserializer);
        self.inner.deserialize(deserializer)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Metered<'_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        let seed = self.of(seed);
        self.inner.next_element_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Metered<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let seed = self.of(seed);
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        let seed = self.of(seed);
        self.inner.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'b, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Metered<'b, A> {
    type Error = A::Error;
    type Variant = Metered<'b, A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self::Variant), A::Error> {
        let budget = self.budget;
        let (value, inner) = self.inner.variant_seed(Metered { inner: seed, budget })?;
        Ok((value, Metered { inner, budget }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Metered<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        let seed = self.of(seed);
        self.inner.newtype_variant_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.of(visitor);
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.of(visitor);
        self.inner.struct_variant(fields, visitor)
    }
}
