//! The part of an object that is read.

use http::HeaderValue;
use isopod_assets::range::{Range, range_of};

use super::rules::R2Fault;

/// The part of an object that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum R2Range {
    /// From an offset, to the end or up to a length.
    From {
        /// The first byte.
        offset: u64,
        /// The number of bytes. Default: up to the end.
        length: Option<u64>,
    },
    /// A number of bytes at the end.
    Last(u64),
    /// The value of a `Range` header. An unsatisfiable one selects the whole object.
    Header(HeaderValue),
}

impl R2Range {
    /// Returns the offset and the length of the part of an object of this size.
    ///
    /// # Errors
    /// [`R2Fault::Range`] if the range is empty.
    pub fn of(&self, size: u64) -> Result<(u64, u64), R2Fault> {
        let (offset, length) = match self {
            Self::From { offset, length } => {
                let left = size.checked_sub(*offset).ok_or(R2Fault::Range)?;
                (*offset, length.map_or(left, |length| length.min(left)))
            }
            Self::Last(length) => {
                let length = (*length).min(size);
                (size - length, length)
            }
            Self::Header(header) => match range_of(header, size) {
                Range::Part(first, last) => (first, last - first + 1),
                Range::Whole | Range::Outside => return Ok((0, size)),
            },
        };
        match length {
            0 => Err(R2Fault::Range),
            length => Ok((offset, length)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_with_the_object_and_is_not_empty() {
        let from = |offset, length| R2Range::From { offset, length };
        for (range, size, expected) in [
            (from(0, None), 10, Ok((0, 10))),
            (from(3, Some(u64::MAX)), 10, Ok((3, 7))),
            (from(10, None), 10, Err(R2Fault::Range)),
            (from(u64::MAX, Some(1)), 10, Err(R2Fault::Range)),
            (from(0, Some(0)), 10, Err(R2Fault::Range)),
            (from(0, None), 0, Err(R2Fault::Range)),
            (R2Range::Last(20), 10, Ok((0, 10))),
            (R2Range::Last(0), 10, Err(R2Fault::Range)),
            (R2Range::Header(HeaderValue::from_static("bytes=2-4")), 10, Ok((2, 3))),
            (R2Range::Header(HeaderValue::from_static("bytes=10-")), 10, Ok((0, 10))),
            (R2Range::Header(HeaderValue::from_static("bytes=0-")), 0, Ok((0, 0))),
        ] {
            assert_eq!(range.of(size), expected, "{range:?} of {size}");
        }
    }
}
