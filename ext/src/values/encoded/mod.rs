//! Values as bytes, for workers in other processes.
//!
//! [`Encoded`] implements `serde`'s traits, and stands for any value: read from a script it holds the value's bytes, and written into a
//! script it is that value again. A value therefore means the same whether it is passed as bytes or not.
//!
//! The bytes are a sequence of [tokens](token::Token) in `postcard`'s encoding.

mod part;
mod read;
mod record;
#[cfg(test)]
mod tests;
mod token;
mod write;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_path_to_error::Track;

use self::read::Reader;
use self::record::Recorder;
use self::token::Tokens;
use self::write::Writer;
use super::budget::Budget;
use super::{ValueError, place};

/// The name of a newtype struct whose content is written and read as bytes if the format is not
/// [human-readable](serde::Serializer::is_human_readable).
pub(super) const BYTES: &str = "$isopod::Bytes";

/// The name of a newtype struct that is read from a function.
pub(crate) const FUNCTION: &str = "$isopod::Function";

/// A value of any kind as bytes.
///
/// ```
/// use isopod_ext::values::Encoded;
///
/// let point = Encoded::of(&(1, "two"))?;
/// assert_eq!(point.read::<(u8, String)>(1024)?, (1, "two".to_owned()));
/// # Ok::<(), isopod_ext::values::ValueError>(())
/// ```
///
/// The bytes are checked when they are read. Reading invalid bytes is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded(Bytes);

impl Encoded {
    /// Encodes a value.
    ///
    /// # Errors
    /// A value that is nested deeper than 128 levels, or has no counterpart in JavaScript.
    pub fn of(value: &(impl Serialize + ?Sized)) -> Result<Self, ValueError> {
        let mut bytes = Vec::new();
        let written = value.serialize(Writer::new(&mut bytes));
        written.map_err(|error| ValueError::ToScript(error.to_string()))?;
        Ok(Self(bytes.into()))
    }

    /// Takes bytes that were encoded before.
    #[must_use]
    pub const fn from_bytes(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Returns the bytes.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// Reads a value of this type. Every part of it counts as 8 bytes and its text; the sum is limited by `bytes_max`.
    ///
    /// # Errors
    /// The part of the value that does not fit the type, and its value; or the bytes are invalid.
    pub fn read<T: DeserializeOwned>(&self, bytes_max: usize) -> Result<T, ValueError> {
        let budget = Budget::new(bytes_max);
        let mut tokens = Tokens::new(&self.0);
        let mut track = Track::new();
        let read = Reader::first(&mut tokens, &budget)
            .and_then(|reader| T::deserialize(serde_path_to_error::Deserializer::new(reader, &mut track)));
        read.and_then(|value| tokens.finish().map(|()| value)).map_err(|error| {
            let path = track.path();
            ValueError::FromScript(place::describe(&path, &error, part::at(&self.0, &path)))
        })
    }
}

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        token::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Encoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = Vec::new();
        deserializer.deserialize_any(Recorder(&mut bytes))?;
        Ok(Self(bytes.into()))
    }
}
