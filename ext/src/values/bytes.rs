//! Bytes that are moved into and out of an isolate, or copied if a value is [encoded](super::Encoded).

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use deno_core::serde_v8;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::encoded::BYTES;

/// Bytes for a script, handed over without a copy: it gets a `Uint8Array` of the same memory. Serialized once.
#[derive(Debug)]
pub struct ToJsBuffer(RefCell<Option<Box<[u8]>>>);

impl From<Box<[u8]>> for ToJsBuffer {
    fn from(bytes: Box<[u8]>) -> Self {
        Self(RefCell::new(Some(bytes)))
    }
}

impl From<Vec<u8>> for ToJsBuffer {
    fn from(bytes: Vec<u8>) -> Self {
        bytes.into_boxed_slice().into()
    }
}

impl Serialize for ToJsBuffer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(BYTES, &Handed(&self.0))
    }
}

struct Handed<'a>(&'a RefCell<Option<Box<[u8]>>>);

impl Serialize for Handed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.0.take();
        let bytes = bytes.ok_or_else(|| serde::ser::Error::custom("these bytes have been handed over already"))?;
        match serializer.is_human_readable() {
            true => serde_v8::ToJsBuffer::from(bytes).serialize(serializer),
            false => serializer.serialize_bytes(&bytes),
        }
    }
}

/// Bytes taken from a script without a copy; its own view of them is empty afterwards. Use `serde_bytes::ByteBuf` to copy them
/// instead. From a worker in another process they are always a copy.
pub struct DetachedBuffer(Taken);

enum Taken {
    V8(serde_v8::DetachedBuffer),
    Decoded(Vec<u8>),
}

impl AsRef<[u8]> for DetachedBuffer {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Taken::V8(bytes) => bytes,
            Taken::Decoded(bytes) => bytes,
        }
    }
}

impl AsMut<[u8]> for DetachedBuffer {
    fn as_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Taken::V8(bytes) => bytes,
            Taken::Decoded(bytes) => bytes,
        }
    }
}

impl Deref for DetachedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_ref()
    }
}

impl DerefMut for DetachedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.as_mut()
    }
}

impl<'de> Deserialize<'de> for DetachedBuffer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(BYTES, Visitor)
    }
}

struct Visitor;

impl<'de> serde::de::Visitor<'de> for Visitor {
    type Value = DetachedBuffer;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bytes")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<DetachedBuffer, D::Error> {
        match inner.is_human_readable() {
            true => serde_v8::DetachedBuffer::deserialize(inner).map(|bytes| DetachedBuffer(Taken::V8(bytes))),
            false => inner.deserialize_byte_buf(self),
        }
    }

    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<DetachedBuffer, E> {
        Ok(DetachedBuffer(Taken::Decoded(bytes)))
    }
}
