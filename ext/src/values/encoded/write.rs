//! Encoding a Rust value.

use serde::de::value::Error;
use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::BYTES;
use super::token::Token;
use crate::values::reader::{DEPTH_MAX, MAGIC, too_deep};

/// Encodes one value.
pub(super) struct Writer<'w> {
    bytes: &'w mut Vec<u8>,
    /// Number of levels that may be below it.
    depth: usize,
    /// The value is the content of a [`BYTES`].
    as_bytes: bool,
}

impl<'w> Writer<'w> {
    pub(super) fn new(bytes: &'w mut Vec<u8>) -> Self {
        Self::at(bytes, DEPTH_MAX)
    }

    fn at(bytes: &'w mut Vec<u8>, depth: usize) -> Self {
        Self {
            bytes,
            depth,
            as_bytes: false,
        }
    }

    fn push(self, token: Token<'_>) -> Result<(), Error> {
        token.push(self.bytes)
    }

    fn open(self, bracket: Token<'_>) -> Result<Parts<'w>, Error> {
        let depth = self.depth.checked_sub(1).ok_or_else(too_deep)?;
        bracket.push(self.bytes)?;
        Ok(Parts {
            bytes: self.bytes,
            depth,
            open: 1,
        })
    }

    /// Begins `{ Variant: … }`.
    fn variant(self, name: &str) -> Result<Parts<'w>, Error> {
        let mut parts = self.open(Token::Map)?;
        parts.add(name)?;
        Ok(parts)
    }

    fn open_in_variant(self, name: &str, bracket: Token<'_>) -> Result<Parts<'w>, Error> {
        let Parts { bytes, depth, .. } = self.variant(name)?;
        let parts = Self::at(bytes, depth).open(bracket)?;
        Ok(Parts { open: 2, ..parts })
    }
}

/// The parts of a list or map.
pub(super) struct Parts<'w> {
    bytes: &'w mut Vec<u8>,
    depth: usize,
    /// Number of brackets that its end closes.
    open: usize,
}

impl Parts<'_> {
    fn add<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(Writer::at(self.bytes, self.depth))
    }

    fn close(self) -> Result<(), Error> {
        (0..self.open).try_for_each(|_| Token::End.push(self.bytes))
    }
}

macro_rules! scalars {
    ($($method:ident($value:ident: $type:ty) => $token:expr;)*) => {$(
        fn $method(self, $value: $type) -> Result<(), Error> {
            self.push($token)
        }
    )*};
}

impl<'w> Serializer for Writer<'w> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Parts<'w>;
    type SerializeTuple = Parts<'w>;
    type SerializeTupleStruct = Parts<'w>;
    type SerializeTupleVariant = Parts<'w>;
    type SerializeMap = Parts<'w>;
    type SerializeStruct = Parts<'w>;
    type SerializeStructVariant = Parts<'w>;

    scalars! {
        serialize_bool(value: bool) => Token::Bool(value);
        serialize_i8(value: i8) => Token::Integer(value.into());
        serialize_i16(value: i16) => Token::Integer(value.into());
        serialize_i32(value: i32) => Token::Integer(value.into());
        serialize_i64(value: i64) => Token::Integer(value);
        serialize_u8(value: u8) => Token::Integer(value.into());
        serialize_u16(value: u16) => Token::Integer(value.into());
        serialize_u32(value: u32) => Token::Integer(value.into());
        serialize_u64(value: u64) => i64::try_from(value).map_or(Token::Unsigned(value), Token::Integer);
        serialize_f32(value: f32) => Token::Float(value.into());
        serialize_f64(value: f64) => Token::Float(value);
        serialize_char(value: char) => Token::Text(value.encode_utf8(&mut [0; 4]));
        serialize_str(value: &str) => Token::Text(value);
        serialize_bytes(value: &[u8]) => Token::Bytes(value);
    }

    fn is_human_readable(&self) -> bool {
        !self.as_bytes
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.push(Token::Null)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.push(Token::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.push(Token::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.push(Token::Text(variant))
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.as_bytes = name == BYTES;
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let mut parts = self.variant(variant)?;
        parts.add(value)?;
        parts.close()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'w>, Error> {
        self.open(Token::List)
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'w>, Error> {
        self.open(Token::List)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'w>, Error> {
        self.open(Token::List)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'w>, Error> {
        self.open_in_variant(variant, Token::List)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'w>, Error> {
        self.open(Token::Map)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Parts<'w>, Error> {
        // Its only field would be a pointer.
        if name.starts_with(MAGIC) {
            return Err(Error::custom("a value of V8 cannot be encoded"));
        }
        self.open(Token::Map)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'w>, Error> {
        self.open_in_variant(variant, Token::Map)
    }
}

macro_rules! lists {
    ($($trait:ident::$method:ident;)*) => {$(
        impl $trait for Parts<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
                self.add(value)
            }

            fn end(self) -> Result<(), Error> {
                self.close()
            }
        }
    )*};
}

lists! {
    SerializeSeq::serialize_element;
    SerializeTuple::serialize_element;
    SerializeTupleStruct::serialize_field;
    SerializeTupleVariant::serialize_field;
}

macro_rules! structs {
    ($($trait:ident;)*) => {$(
        impl $trait for Parts<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: ?Sized + Serialize>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
                self.add(name)?;
                self.add(value)
            }

            fn end(self) -> Result<(), Error> {
                self.close()
            }
        }
    )*};
}

structs! {
    SerializeStruct;
    SerializeStructVariant;
}

impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Error> {
        self.add(key)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Error> {
        self.add(value)
    }

    fn end(self) -> Result<(), Error> {
        self.close()
    }
}
