//! The memory that an op allocates for a text, estimated from the text before the op is called.
//!
//! A text composed of a few repeated pieces takes no memory until it is read; then V8 flattens it, and the op copies
//! that, often several times. `guards.js` names the [`Use`] of each op.

use deno_core::v8;
use deno_core::v8::ValueViewData;

/// An op's use of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Reads it in place.
    Read,
    /// Copies it as UTF-8.
    Copy,
    /// Parses it as a URL, or percent-encodes it into one.
    Url,
    /// Splits it into names and values, as in `application/x-www-form-urlencoded`.
    Pairs,
}

/// Memory of an array of two strings, in Rust and on V8's heap, as measured.
const PAIR_BYTES: usize = 256;

impl Use {
    /// The use with this number in `guards.js`.
    pub(super) fn of(number: u32) -> Self {
        match number {
            0 => Self::Read,
            1 => Self::Copy,
            2 => Self::Url,
            _ => Self::Pairs,
        }
    }

    /// Bytes allocated for a text with this length in UTF-8, this length when percent-encoded, and this many
    /// ampersands.
    fn bytes(self, parts: Parts) -> usize {
        match self {
            Self::Read => 0,
            Self::Copy => parts.utf8,
            // A buffer that doubles, and the resulting text.
            Self::Url => parts.utf8 + 3 * parts.encoded,
            Self::Pairs => 3 * parts.utf8 + (parts.ampersands + 1) * PAIR_BYTES,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parts {
    utf8: usize,
    encoded: usize,
    ampersands: usize,
}

impl Parts {
    fn of(units: impl Iterator<Item = u16>) -> Self {
        let mut parts = Self::default();
        for unit in units {
            let utf8 = match unit {
                0..0x80 => 1,
                0x80..0x800 => 2,
                // A surrogate is half of four bytes, or a lone one that becomes U+FFFD.
                _ => 3,
            };
            let is_plain =
                u8::try_from(unit).is_ok_and(|byte| byte.is_ascii_alphanumeric() || b"-._~/:?=&".contains(&byte));
            parts.utf8 += utf8;
            parts.encoded += if is_plain { 1 } else { 3 * utf8 };
            parts.ampersands += usize::from(unit == u16::from(b'&'));
        }
        parts
    }
}

/// Bytes of the flattened text itself.
pub(super) fn own_bytes(text: v8::Local<'_, v8::String>) -> usize {
    text.length() * if text.is_onebyte() { 1 } else { 2 }
}

/// Bytes that a use allocates for a text, which is flattened.
pub(super) fn bytes_of_text(isolate: &mut v8::Isolate, text: v8::Local<'_, v8::String>, used: Use) -> usize {
    if used == Use::Read {
        return 0;
    }
    let view = v8::ValueView::new(isolate, text);
    used.bytes(match view.data() {
        ValueViewData::OneByte(bytes) => Parts::of(bytes.iter().copied().map(u16::from)),
        ValueViewData::TwoByte(units) => Parts::of(units.iter().copied()),
    })
}

/// Bytes that a use allocates for a text in UTF-8.
pub(super) fn bytes_of_utf8(utf8: &[u8], used: Use) -> usize {
    used.bytes(Parts {
        utf8: utf8.len(),
        encoded: 3 * utf8.len(),
        ampersands: utf8.iter().filter(|byte| **byte == b'&').count(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// https://url.spec.whatwg.org/#percent-encoded-bytes: `%` and two digits for each byte of UTF-8.
    #[test]
    fn a_text_is_as_long_as_its_bytes_percent_encoded() {
        let parts = |text: &str| Parts::of(text.encode_utf16());
        assert_eq!(
            parts("a/b"),
            Parts {
                utf8: 3,
                encoded: 3,
                ampersands: 0
            }
        );
        assert_eq!(
            parts("a b&é€"),
            Parts {
                utf8: 9,
                encoded: 21,
                ampersands: 1
            }
        );
    }

    #[test]
    fn pairs_take_more_than_their_text() {
        assert!(bytes_of_utf8(b"a&b&c", Use::Pairs) > 3 * PAIR_BYTES);
        assert_eq!(bytes_of_utf8(b"abc", Use::Copy), 3);
    }
}
