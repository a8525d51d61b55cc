//! Decoding and encoding of paths, as on the platform.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The characters that `encodeURIComponent` leaves as they are.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// Decodes a path, segment by segment. A segment that is not UTF-8 stays encoded, and repeated slashes become one.
pub(crate) fn decode(path: &str) -> String {
    let mut decoded = String::with_capacity(path.len());
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 && !decoded.ends_with('/') {
            decoded.push('/');
        }
        match percent_decode_str(segment).decode_utf8() {
            Ok(text) => decoded.push_str(&text),
            Err(_) => decoded.push_str(segment),
        }
    }
    decoded
}

/// Encodes a path, segment by segment.
pub(crate) fn encode(path: &str) -> String {
    let segments = path
        .split('/')
        .map(|segment| utf8_percent_encode(segment, COMPONENT).to_string());
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: `decodeURIComponent` and `encodeURIComponent` of each segment.
    #[test]
    fn segments_are_decoded_and_encoded_on_their_own() {
        for (path, decoded) in [
            ("/", "/"),
            ("/a%20b/%C3%BC", "/a b/ü"),
            ("//a///b/", "/a/b/"),
            ("/100%/x", "/100%/x"),
            ("/%ff", "/%ff"),
            ("/a%2Fb", "/a/b"),
        ] {
            assert_eq!(decode(path), decoded);
        }
        assert_eq!(encode("/a b/ü@x/(1)!.html"), "/a%20b/%C3%BC%40x/(1)!.html");
    }
}
