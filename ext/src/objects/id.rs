//! The ids of objects: 64 hex digits, of which the last 16 identify the namespace.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};

/// Number of bytes of an id that are derived from its name, or random.
const OWN_BYTES: usize = 24;
/// Size of an id in bytes.
const BYTES: usize = 32;

/// The id of a Durable Object, and the name from which it was derived.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectId {
    hex: Arc<str>,
    name: Option<Arc<str>>,
}

impl ObjectId {
    /// Creates an id from 64 checked hex digits.
    #[must_use]
    pub fn new(hex: impl Into<Arc<str>>, name: Option<Arc<str>>) -> Self {
        Self { hex: hex.into(), name }
    }

    /// Returns the id as 64 hex digits.
    #[must_use]
    pub fn as_hex(&self) -> &str {
        &self.hex
    }

    /// Returns the name from which it was derived, if known.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex)
    }
}

/// Generator and checker of the ids of a namespace.
pub(super) struct Ids(Key);

impl Ids {
    pub(super) fn new(script: &str, class: &str) -> Self {
        let unique = format!("isopod durable object\0{script}\0{class}");
        Self(Key::new(HMAC_SHA256, digest(&SHA256, unique.as_bytes()).as_ref()))
    }

    /// Returns the id of a name.
    pub(super) fn of_name(&self, name: &str) -> String {
        let mut own = [0; OWN_BYTES];
        own.copy_from_slice(&sign(&self.0, name.as_bytes()).as_ref()[..OWN_BYTES]);
        self.with_mark(own)
    }

    /// Generates a unique id.
    pub(super) fn unique(&self) -> Result<String, aws_lc_rs::error::Unspecified> {
        let mut own = [0; OWN_BYTES];
        aws_lc_rs::rand::fill(&mut own)?;
        Ok(self.with_mark(own))
    }

    /// Returns whether the id belongs to this namespace; `None` if it is not an id.
    pub(super) fn check(&self, hex: &str) -> Option<bool> {
        if hex.len() != 2 * BYTES || !hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let mut own = [0; OWN_BYTES];
        for (at, byte) in own.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(self.with_mark(own) == hex)
    }

    fn with_mark(&self, own: [u8; OWN_BYTES]) -> String {
        let mark = sign(&self.0, &own);
        let bytes = own.iter().chain(&mark.as_ref()[..BYTES - OWN_BYTES]);
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Ids;

    #[test]
    fn the_id_of_a_name_is_always_the_same_and_belongs_to_its_namespace() {
        let (rooms, others) = (Ids::new("chat", "Room"), Ids::new("chat", "Other"));
        let id = rooms.of_name("lobby");
        assert_eq!((id.len(), rooms.of_name("lobby")), (64, id.clone()));
        assert_ne!(others.of_name("lobby"), id);
        assert_eq!((rooms.check(&id), others.check(&id)), (Some(true), Some(false)));
    }

    #[test]
    fn unique_ids_differ_and_what_is_no_id_is_refused() {
        let ids = Ids::new("chat", "Room");
        let (one, other) = (ids.unique().unwrap(), ids.unique().unwrap());
        assert_ne!(one, other);
        assert_eq!(ids.check(&one), Some(true));
        for wrong in ["", "12", &one[1..], &one.to_uppercase(), &"g".repeat(64)] {
            assert!(ids.check(wrong).is_none(), "{wrong}");
        }
    }
}
