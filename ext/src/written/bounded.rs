//! Lists with a limit, as `deserialize_with` of a field.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

/// The largest number of headers, and of arguments that are counted one by one: as many as an HTTP head can have.
pub const PARTS_MAX: usize = 32 << 10;

/// Decodes a list of at most [`PARTS_MAX`] elements: they take more memory than bytes in the frame.
///
/// # Errors
/// There are more, or one is invalid.
pub fn bounded<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Bounded<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {PARTS_MAX}")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut elements = Vec::new();
            while let Some(element) = list.next_element()? {
                if elements.len() == PARTS_MAX {
                    return Err(A::Error::invalid_length(PARTS_MAX + 1, &self));
                }
                elements.push(element);
            }
            Ok(elements)
        }
    }

    deserializer.deserialize_seq(Bounded(PhantomData))
}
