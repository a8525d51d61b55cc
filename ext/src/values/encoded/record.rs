//! Encoding of the values of a deserializer, such as that of a script's value.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::token::Token;

/// Encodes a value into these bytes.
pub(super) struct Recorder<'w>(pub(super) &'w mut Vec<u8>);

impl Recorder<'_> {
    fn push<E: Error>(self, token: Token<'_>) -> Result<(), E> {
        token.push(self.0).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Recorder<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Recorder<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.push(Token::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<(), E> {
        self.push(Token::Bool(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.push(Token::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.push(i64::try_from(number).map_or(Token::Unsigned(number), Token::Integer))
    }

    /// A bigint, or the number of a function.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, special: D) -> Result<(), D::Error> {
        self.push(special.deserialize_any(Special)?)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.push(Token::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.push(Token::Text(text))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        self.push(Token::Bytes(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        Recorder(self.0).push(Token::List)?;
        while list.next_element_seed(Recorder(self.0))?.is_some() {}
        self.push(Token::End)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        Recorder(self.0).push(Token::Map)?;
        while map.next_key_seed(Recorder(self.0))?.is_some() {
            map.next_value_seed(Recorder(self.0))?;
        }
        self.push(Token::End)
    }
}

/// Converts a value that JSON does not have.
struct Special;

impl Visitor<'_> for Special {
    type Value = Token<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bigint or a function")
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<Token<'static>, E> {
        Ok(Token::BigInt(number))
    }

    fn visit_u32<E: Error>(self, number: u32) -> Result<Token<'static>, E> {
        Ok(Token::Function(number))
    }
}
