//! Objects and arrays of a script, read part by part.

use std::ops::Range;

use deno_core::v8;
use serde::de::value::{Error, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::{Reader, Reading, expected, threw};

/// The elements of an array.
pub(super) struct List<'b, 's, 'i> {
    pub(super) scope: &'b mut v8::PinScope<'s, 'i>,
    pub(super) array: v8::Local<'s, v8::Object>,
    pub(super) range: Range<u32>,
    pub(super) depth: usize,
    pub(super) reading: &'b Reading<'s>,
}

impl<'s> List<'_, 's, '_> {
    fn next(&mut self) -> Result<Option<v8::Local<'s, v8::Value>>, Error> {
        let Some(index) = self.range.next() else {
            return Ok(None);
        };
        self.array.get_index(self.scope, index).map(Some).ok_or_else(threw)
    }

    fn read<'de, T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
        value: v8::Local<'s, v8::Value>,
    ) -> Result<T::Value, Error> {
        seed.deserialize(Reader::new(self.scope, value, self.depth, self.reading)?)
    }
}

impl<'de> SeqAccess<'de> for List<'_, '_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let next = self.next()?;
        next.map(|value| self.read(seed, value)).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.range.len())
    }
}

/// The keys and values of a `Map`, one after the other.
pub(super) struct Pairs<'b, 's, 'i>(pub(super) List<'b, 's, 'i>);

impl<'de> MapAccess<'de> for Pairs<'_, '_, '_> {
    type Error = Error;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.next_element_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        self.0.next_element_seed(seed)?.ok_or_else(threw)
    }
}

/// All properties of an object.
pub(super) struct Properties<'b, 's, 'i> {
    pub(super) object: v8::Local<'s, v8::Object>,
    pub(super) names: List<'b, 's, 'i>,
    pub(super) value: Option<v8::Local<'s, v8::Value>>,
}

impl<'de> MapAccess<'de> for Properties<'_, '_, '_> {
    type Error = Error;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        while let Some(name) = self.names.next()? {
            let value = self.object.get(self.names.scope, name).ok_or_else(threw)?;
            // As in JSON, a property that is `undefined` is left out.
            if !value.is_undefined() {
                self.value = Some(value);
                return self.names.read(seed, name).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let value = self.value.take().ok_or_else(threw)?;
        self.names.read(seed, value)
    }
}

/// The properties that are fields of a struct.
pub(super) struct Fields<'b, 's, 'i> {
    pub(super) object: v8::Local<'s, v8::Object>,
    pub(super) names: std::slice::Iter<'static, &'static str>,
    pub(super) value: Option<v8::Local<'s, v8::Value>>,
    pub(super) scope: &'b mut v8::PinScope<'s, 'i>,
    pub(super) depth: usize,
    pub(super) reading: &'b Reading<'s>,
}

impl<'de> MapAccess<'de> for Fields<'_, '_, '_> {
    type Error = Error;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        for name in self.names.by_ref() {
            let key = v8::String::new(self.scope, name).ok_or_else(threw)?;
            let value = self.object.get(self.scope, key.into()).ok_or_else(threw)?;
            if !value.is_undefined() {
                self.value = Some(value);
                let name: StrDeserializer<'_, Error> = (*name).into_deserializer();
                return seed.deserialize(name).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let value = self.value.take().ok_or_else(threw)?;
        seed.deserialize(Reader::new(self.scope, value, self.depth, self.reading)?)
    }
}

/// A variant of an enum with content.
pub(super) struct Variant<'b, 's, 'i> {
    pub(super) name: v8::Local<'s, v8::Value>,
    pub(super) reader: Reader<'b, 's, 'i>,
}

impl<'de, 'b, 's, 'i> EnumAccess<'de> for Variant<'b, 's, 'i> {
    type Error = Error;
    type Variant = Reader<'b, 's, 'i>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self::Variant), Error> {
        let Reader {
            scope,
            value,
            depth,
            reading,
        } = self.reader;
        let name = seed.deserialize(Reader::new(scope, self.name, depth, reading)?)?;
        Ok((name, Reader::new(scope, value, depth, reading)?))
    }
}

impl<'de> VariantAccess<'de> for Reader<'_, '_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.value.is_null_or_undefined() {
            true => Ok(()),
            false => Err(expected("null")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        self.deserialize_struct("", fields, visitor)
    }
}
