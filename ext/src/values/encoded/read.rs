//! Decoding of a Rust value, by the rules that [`reader`](crate::values::reader) has for scripts' values.

use serde::de::value::{Error, StringDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use super::token::{Token, Tokens};
use super::{BYTES, FUNCTION};
use crate::values::budget::{Budget, VALUE_BYTES};
use crate::values::reader::{DEPTH_MAX, MAGIC, Whole, expected, too_deep, visit_big, whole};

/// A value to be decoded.
pub(super) struct Reader<'r, 'b> {
    tokens: &'r mut Tokens<'b>,
    token: Token<'b>,
    /// Number of levels that may be below it.
    depth: usize,
    budget: &'r Budget,
    /// The value is the content of a [`BYTES`].
    as_bytes: bool,
}

impl<'r, 'b> Reader<'r, 'b> {
    pub(super) fn first(tokens: &'r mut Tokens<'b>, budget: &'r Budget) -> Result<Self, Error> {
        let token = tokens.next()?;
        Self::at(tokens, token, DEPTH_MAX, budget)
    }

    fn at(tokens: &'r mut Tokens<'b>, token: Token<'b>, depth: usize, budget: &'r Budget) -> Result<Self, Error> {
        budget.take(VALUE_BYTES)?;
        if let Token::End = token {
            return Err(Error::custom("it is not an encoded value"));
        }
        Ok(Self {
            tokens,
            token,
            depth,
            budget,
            as_bytes: false,
        })
    }

    /// The parts of this list or map.
    fn parts(self) -> Result<Parts<'r, 'b>, Error> {
        Ok(Parts {
            depth: self.depth.checked_sub(1).ok_or_else(too_deep)?,
            tokens: self.tokens,
            budget: self.budget,
            fields: None,
            ended: false,
        })
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.token {
            Token::Text(text) => {
                self.budget.take(text.len())?;
                visitor.visit_str(text)
            }
            _ => Err(expected("string")),
        }
    }

    fn buffer<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.token {
            Token::Bytes(bytes) => {
                self.budget.take(bytes.len())?;
                visitor.visit_byte_buf(bytes.to_vec())
            }
            _ => Err(expected("bytes")),
        }
    }

    fn nothing<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.tokens.skip(self.token)?;
        visitor.visit_unit()
    }

    fn integer<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let whole = match self.token {
            Token::Integer(number) => Some(Whole::Signed(number)),
            Token::Unsigned(number) => Some(Whole::Unsigned(number)),
            Token::BigInt(number) => big(number),
            Token::Float(number) => whole(number),
            _ => return Err(expected("integer")),
        };
        match whole {
            Some(whole) => whole.visit(visitor),
            None => Err(expected("a whole number of 64 bits")),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "the caller asks for a float")]
    fn float<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(match self.token {
            Token::Integer(number) => number as f64,
            Token::Unsigned(number) => number as f64,
            Token::Float(number) => number,
            Token::BigInt(number) if i64::try_from(number).is_ok() => number as f64,
            _ => return Err(expected("number")),
        })
    }

    fn list<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Token::List = self.token else {
            return Err(expected("array"));
        };
        let mut parts = self.parts()?;
        let value = visitor.visit_seq(&mut parts)?;
        parts.skip_rest()?;
        Ok(value)
    }

    fn map<'de, V: Visitor<'de>>(self, fields: Option<&'static [&'static str]>, visitor: V) -> Result<V::Value, Error> {
        let Token::Map = self.token else {
            return Err(expected("object"));
        };
        let mut parts = self.parts()?;
        parts.fields = fields;
        let value = visitor.visit_map(&mut parts)?;
        parts.skip_rest()?;
        Ok(value)
    }

    fn properties<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.map(None, visitor)
    }
}

fn big(number: i128) -> Option<Whole> {
    let signed = i64::try_from(number).map(Whole::Signed);
    signed.or_else(|_| u64::try_from(number).map(Whole::Unsigned)).ok()
}

macro_rules! read_as {
    ($($how:ident: $($method:ident)*;)*) => {$($(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.$how(visitor)
        }
    )*)*};
}

impl<'de> Deserializer<'de> for Reader<'_, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.token {
            Token::Null => visitor.visit_unit(),
            Token::Bool(flag) => visitor.visit_bool(flag),
            Token::Integer(_) | Token::Unsigned(_) => self.integer(visitor),
            Token::Float(number) => visitor.visit_f64(number),
            Token::BigInt(number) => match big(number) {
                Some(whole) => visit_big(whole, visitor),
                None => Err(expected("a plain value")),
            },
            Token::Text(_) => self.text(visitor),
            Token::Bytes(_) => self.buffer(visitor),
            Token::List => self.list(visitor),
            Token::Function(_) => Err(expected("object")),
            Token::Map | Token::End => self.properties(visitor),
        }
    }

    fn is_human_readable(&self) -> bool {
        !self.as_bytes
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.token {
            Token::Bool(flag) => visitor.visit_bool(flag),
            _ => Err(expected("boolean")),
        }
    }

    read_as! {
        integer: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128;
        integer: deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128;
        float: deserialize_f32 deserialize_f64;
        text: deserialize_char deserialize_str deserialize_string deserialize_identifier;
        buffer: deserialize_bytes deserialize_byte_buf;
        list: deserialize_seq;
        properties: deserialize_map;
        // A caller that asks for no value accepts any.
        nothing: deserialize_unit deserialize_ignored_any;
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.token {
            Token::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.nothing(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == FUNCTION {
            return match self.token {
                Token::Function(number) => visitor.visit_u32(number),
                _ => Err(expected("a function")),
            };
        }
        self.as_bytes = name == BYTES;
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        let wrong_length = || expected(&format!("array of {len}"));
        let Token::List = self.token else {
            return Err(wrong_length());
        };
        let mut parts = self.parts()?;
        let value = visitor.visit_seq(&mut parts)?;
        match parts.next()? {
            None => Ok(value),
            Some(_) => Err(wrong_length()),
        }
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
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        // Its only field would be a pointer.
        if name.starts_with(MAGIC) {
            return Err(Error::custom("a value of V8 cannot be decoded"));
        }
        self.map(Some(fields), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.token {
            Token::Text(variant) => {
                self.budget.take(variant.len())?;
                let variant: StringDeserializer<Error> = variant.to_owned().into_deserializer();
                variant.deserialize_enum("", &[], visitor)
            }
            Token::Map => {
                let mut parts = self.parts()?;
                let value = visitor.visit_enum(&mut parts)?;
                match parts.next()? {
                    None => Ok(value),
                    Some(_) => Err(one_key()),
                }
            }
            _ => Err(expected("enum")),
        }
    }
}

fn one_key() -> Error {
    expected("an object with one key")
}

/// The parts of a list or map, as they are decoded.
struct Parts<'r, 'b> {
    tokens: &'r mut Tokens<'b>,
    depth: usize,
    budget: &'r Budget,
    /// The keys that are wanted, unless all are.
    fields: Option<&'static [&'static str]>,
    ended: bool,
}

impl<'b> Parts<'_, 'b> {
    fn next(&mut self) -> Result<Option<Token<'b>>, Error> {
        if self.ended {
            return Ok(None);
        }
        let token = self.tokens.next()?;
        self.ended = token == Token::End;
        Ok((!self.ended).then_some(token))
    }

    fn reader(&mut self, token: Token<'b>) -> Result<Reader<'_, 'b>, Error> {
        Reader::at(self.tokens, token, self.depth, self.budget)
    }

    fn skip_rest(&mut self) -> Result<(), Error> {
        match self.ended {
            true => Ok(()),
            false => self.tokens.skip_to_end(),
        }
    }
}

impl<'de> SeqAccess<'de> for Parts<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        match self.next()? {
            Some(token) => seed.deserialize(self.reader(token)?).map(Some),
            None => Ok(None),
        }
    }
}

impl<'de> MapAccess<'de> for Parts<'_, '_> {
    type Error = Error;

    fn next_key_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        while let Some(key) = self.next()? {
            let is_wanted = self
                .fields
                .is_none_or(|fields| matches!(key, Token::Text(name) if fields.contains(&name)));
            if is_wanted {
                return seed.deserialize(self.reader(key)?).map(Some);
            }
            self.tokens.skip(key)?;
            let value = self.tokens.next()?;
            self.tokens.skip(value)?;
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let value = self.next()?.ok_or_else(|| Error::custom("a key without a value"))?;
        seed.deserialize(self.reader(value)?)
    }
}

impl<'de, 'p, 'b> EnumAccess<'de> for &'p mut Parts<'_, 'b> {
    type Error = Error;
    type Variant = Reader<'p, 'b>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Reader<'p, 'b>), Error> {
        let name = self.next()?.ok_or_else(one_key)?;
        let name = seed.deserialize(self.reader(name)?)?;
        let content = self.next()?.ok_or_else(one_key)?;
        Ok((name, self.reader(content)?))
    }
}

impl<'de> VariantAccess<'de> for Reader<'_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.token {
            Token::Null => Ok(()),
            _ => Err(expected("null")),
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
