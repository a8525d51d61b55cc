//! The `Range` of a request: <https://www.rfc-editor.org/rfc/rfc9110#section-14.2>.

use http::HeaderValue;

/// The part of a representation that a `Range` header selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The whole, without a range or with an ignored one.
    Whole,
    /// The first and the last byte.
    Part(u64, u64),
    /// A range beyond its end.
    Outside,
}

/// Returns the range of a representation of this length.
///
/// Several ranges and invalid ones select the whole, as RFC 9110 (14.2) permits.
#[must_use]
pub fn range_of(range: &HeaderValue, length: u64) -> Range {
    let parsed = range
        .to_str()
        .ok()
        .and_then(|range| http_range_header::parse_range_header(range).ok());
    let Some(parsed) = parsed.filter(|parsed| parsed.ranges.len() == 1) else {
        return Range::Whole;
    };
    // The library treats 0 bytes as one.
    if length == 0 {
        return Range::Outside;
    }
    match parsed.validate(length) {
        Ok(ranges) => match ranges.first() {
            Some(range) => Range::Part(*range.start(), *range.end()),
            None => Range::Whole,
        },
        Err(_) => Range::Outside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: RFC 9110, 14.1.2, with its examples for 10,000 bytes.
    #[test]
    fn one_range_is_a_part() {
        let of = |text: &'static str| range_of(&HeaderValue::from_static(text), 10_000);
        assert_eq!(of("bytes=0-499"), Range::Part(0, 499));
        assert_eq!(of("bytes=500-999"), Range::Part(500, 999));
        assert_eq!(of("bytes=-500"), Range::Part(9500, 9999));
        assert_eq!(of("bytes=9500-"), Range::Part(9500, 9999));
        assert_eq!(of("bytes=9500-20000"), Range::Part(9500, 9999));
        assert_eq!(of("bytes=10000-"), Range::Outside);
        assert_eq!(range_of(&HeaderValue::from_static("bytes=0-"), 0), Range::Outside);
        for whole in ["bytes=0-0,-1", "lines=0-1", "bytes=x"] {
            assert_eq!(of(whole), Range::Whole, "{whole}");
        }
    }
}
