//! The tokens that an encoded value consists of.

use std::cell::RefCell;

use serde::de::value::Error;
use serde::ser::{Error as _, SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Serialize, Serializer};

use crate::values::reader::{DEPTH_MAX, too_deep};

/// A scalar, or a bracket around others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Token<'a> {
    /// `null` or `undefined`, `None`, `()`.
    Null,
    Bool(bool),
    Integer(i64),
    /// An integer above the range of signed 64 bits.
    Unsigned(u64),
    Float(f64),
    /// A script's bigint, of at most 64 bits.
    BigInt(i128),
    Text(&'a str),
    Bytes(#[serde(borrow, with = "serde_bytes")] &'a [u8]),
    /// Elements follow, then [`Token::End`].
    List,
    /// Keys and values follow in turn, then [`Token::End`].
    Map,
    End,
    /// A script's function, by its number among those that are passed with the value.
    Function(u32),
}

impl Token<'_> {
    pub(super) fn push(self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        *bytes = postcard::to_extend(&self, std::mem::take(bytes)).map_err(Error::custom)?;
        Ok(())
    }
}

/// The tokens that have not been read.
#[derive(Clone)]
pub(super) struct Tokens<'b>(&'b [u8]);

impl<'b> Tokens<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn next(&mut self) -> Result<Token<'b>, Error> {
        let (token, rest) = postcard::take_from_bytes(self.0)
            .map_err(|error| Error::custom(format!("it is not an encoded value: {error}")))?;
        self.0 = rest;
        Ok(token)
    }

    /// Skips the rest of a value whose first token was read.
    pub(super) fn skip(&mut self, token: Token<'_>) -> Result<(), Error> {
        match token {
            Token::List | Token::Map => self.skip_to_end(),
            _ => Ok(()),
        }
    }

    /// Skips the rest of a list or map.
    pub(super) fn skip_to_end(&mut self) -> Result<(), Error> {
        let mut open = 1_usize;
        while open > 0 {
            match self.next()? {
                Token::List | Token::Map => open += 1,
                Token::End => open -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks that no bytes follow.
    pub(super) fn finish(&self) -> Result<(), Error> {
        match self.0 {
            [] => Ok(()),
            rest => Err(Error::custom(format!("{} bytes follow the encoded value", rest.len()))),
        }
    }
}

/// Serializes the value that bytes encode.
pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let tokens = RefCell::new(Tokens::new(bytes));
    let token = tokens.borrow_mut().next().map_err(S::Error::custom)?;
    let value = Value {
        tokens: &tokens,
        token,
        depth: DEPTH_MAX,
    };
    let done = value.serialize(serializer)?;
    tokens.borrow().finish().map_err(S::Error::custom)?;
    Ok(done)
}

/// The value that a token begins.
struct Value<'t, 'b> {
    tokens: &'t RefCell<Tokens<'b>>,
    token: Token<'b>,
    depth: usize,
}

impl Value<'_, '_> {
    /// Returns the next element of this list or map.
    fn below<E: serde::ser::Error>(&self) -> Result<Option<Self>, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(too_deep).map_err(E::custom)?;
        let token = self.tokens.borrow_mut().next().map_err(E::custom)?;
        Ok((token != Token::End).then_some(Self { token, depth, ..*self }))
    }
}

impl Serialize for Value<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.token {
            Token::Null => serializer.serialize_unit(),
            Token::Bool(flag) => serializer.serialize_bool(flag),
            Token::Integer(number) => serializer.serialize_i64(number),
            Token::Unsigned(number) => serializer.serialize_u64(number),
            Token::Float(number) => serializer.serialize_f64(number),
            Token::BigInt(number) => serializer.serialize_i128(number),
            Token::Text(text) => serializer.serialize_str(text),
            Token::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Token::List => {
                let mut list = serializer.serialize_seq(None)?;
                while let Some(element) = self.below()? {
                    list.serialize_element(&element)?;
                }
                list.end()
            }
            Token::Map => {
                let mut map = serializer.serialize_map(None)?;
                while let Some(key) = self.below()? {
                    let value = self.below()?.ok_or_else(|| S::Error::custom("a key without a value"))?;
                    map.serialize_entry(&key, &value)?;
                }
                map.end()
            }
            Token::Function(_) => Err(S::Error::custom("a function cannot be a part of this value")),
            Token::End => Err(S::Error::custom("it is not an encoded value")),
        }
    }
}
