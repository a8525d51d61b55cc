//! `node:buffer`: comparison, and texts in several encodings.

use std::cmp::Ordering;

use deno_core::convert::Uint8Array;
use deno_core::{op2, v8};
use deno_error::JsErrorBox;

#[op2(fast)]
pub(super) fn op_is_ascii(#[buffer] bytes: &[u8]) -> bool {
    bytes.is_ascii()
}

#[op2(fast)]
pub(super) fn op_is_utf8(#[buffer] bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok()
}

/// Prevents the transfer of this buffer, which small buffers share.
#[op2(fast)]
pub(super) fn op_mark_as_untransferable(scope: &mut v8::PinScope<'_, '_>, buffer: v8::Local<'_, v8::ArrayBuffer>) {
    if let Some(key) = v8::String::new(scope, "untransferable") {
        buffer.set_detach_key(key.into());
    }
}

const fn sign(ordering: Ordering) -> i32 {
    match ordering {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }
}

#[op2(fast)]
#[smi]
pub(super) fn op_node_buffer_compare(#[buffer] one: &[u8], #[buffer] other: &[u8]) -> i32 {
    sign(one.cmp(other))
}

#[op2(fast)]
#[smi]
pub(super) fn op_node_buffer_compare_offset(
    #[buffer] source: &[u8],
    #[buffer] target: &[u8],
    #[smi] source_start: usize,
    #[smi] target_start: usize,
    #[smi] source_end: usize,
    #[smi] target_end: usize,
) -> Result<i32, JsErrorBox> {
    let out_of_range = || JsErrorBox::range_error("the range is outside of the buffer");
    let source = source.get(source_start..source_end).ok_or_else(out_of_range)?;
    let target = target.get(target_start..target_end).ok_or_else(out_of_range)?;
    Ok(sign(source.cmp(target)))
}

/// An encoding of [`op_node_encoding_slice`], as `internal/buffer.mjs` numbers them.
#[derive(Debug, Clone, Copy)]
enum Encoding {
    Utf8,
    Latin1,
    Ascii,
    Utf16,
}

impl Encoding {
    const fn of(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Utf8),
            1 => Some(Self::Latin1),
            2 => Some(Self::Ascii),
            3 => Some(Self::Utf16),
            _ => None,
        }
    }
}

/// Returns the text of a part of a buffer. The caller has checked that there is memory for it.
#[op2(reentrant)]
pub(super) fn op_node_encoding_slice<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    buffer: v8::Local<'s, v8::ArrayBufferView>,
    start: v8::Local<'s, v8::Value>,
    end: v8::Local<'s, v8::Value>,
    #[smi] encoding: u32,
) -> Result<v8::Local<'s, v8::String>, JsErrorBox> {
    let length = buffer.byte_length();
    // Converted before the bytes are borrowed: a conversion may call the script, which may shrink the buffer.
    let start = index(scope, start, 0)?;
    let end = index(scope, end, length)?.max(start);
    let mut in_heap = [0; v8::TYPED_ARRAY_MAX_SIZE_IN_HEAP];
    let bytes = buffer.get_contents(&mut in_heap);
    let bytes = bytes
        .get(start..end)
        .ok_or_else(|| JsErrorBox::range_error("Index out of range"))?;
    let encoding = Encoding::of(encoding).ok_or_else(|| JsErrorBox::type_error("unknown encoding"))?;
    text_of(scope, bytes, encoding).ok_or_else(too_long)
}

fn text_of<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    bytes: &[u8],
    encoding: Encoding,
) -> Option<v8::Local<'s, v8::String>> {
    let kind = v8::NewStringType::Normal;
    match encoding {
        _ if bytes.is_empty() => Some(v8::String::empty(scope)),
        Encoding::Utf8 if bytes.is_ascii() => v8::String::new_from_one_byte(scope, bytes, kind),
        // V8 replaces invalid sequences differently from the Encoding Standard.
        Encoding::Utf8 => v8::String::new_from_utf8(scope, String::from_utf8_lossy(bytes).as_bytes(), kind),
        Encoding::Latin1 => v8::String::new_from_one_byte(scope, bytes, kind),
        // https://nodejs.org/api/buffer.html#buffers-and-character-encodings: decoding "unsets the highest bit".
        Encoding::Ascii => {
            let ascii: Vec<u8> = bytes.iter().map(|byte| byte & 0x7f).collect();
            v8::String::new_from_one_byte(scope, &ascii, kind)
        }
        Encoding::Utf16 => {
            let units: Vec<u16> = bytes
                .chunks_exact(2)
                .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
                .collect();
            v8::String::new_from_two_byte(scope, &units, kind)
        }
    }
}

/// The text of the error: <https://nodejs.org/api/errors.html#err_string_too_long>.
fn too_long() -> JsErrorBox {
    let max = v8::String::MAX_LENGTH;
    JsErrorBox::generic(format!("Cannot create a string longer than 0x{max:x} characters"))
}

fn index(
    scope: &mut v8::PinScope<'_, '_>,
    value: v8::Local<'_, v8::Value>,
    absent: usize,
) -> Result<usize, JsErrorBox> {
    if value.is_undefined() {
        return Ok(absent);
    }
    let number = value.integer_value(scope).unwrap_or(0);
    usize::try_from(number).map_err(|_| JsErrorBox::range_error("Index out of range"))
}

/// Converts bytes from one encoding to another. Characters that the second one lacks become `?`.
#[op2]
pub(super) fn op_transcode(
    #[buffer] bytes: &[u8],
    #[string] from: &str,
    #[string] to: &str,
) -> Result<Uint8Array, JsErrorBox> {
    transcode(bytes, from, to)
        .map(Uint8Array::from)
        .ok_or_else(|| JsErrorBox::generic(format!("Unable to transcode Buffer {from}->{to}")))
}

fn transcode(bytes: &[u8], from: &str, to: &str) -> Option<Vec<u8>> {
    let text: String = match from {
        "utf8" => String::from_utf8_lossy(bytes).into_owned(),
        "latin1" | "ascii" => bytes.iter().copied().map(char::from).collect(),
        "utf16le" => {
            let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            char::decode_utf16(units)
                .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        _ => return None,
    };
    let up_to = |max: u32| {
        text.chars().map(move |c| {
            u8::try_from(u32::from(c))
                .ok()
                .filter(|byte| u32::from(*byte) <= max)
                .unwrap_or(b'?')
        })
    };
    Some(match to {
        "utf8" => text.into_bytes(),
        "latin1" => up_to(0xff).collect(),
        "ascii" => up_to(0x7f).collect(),
        "utf16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::transcode;

    /// https://nodejs.org/api/buffer.html#buffertranscodesource-fromenc-toenc has the first one.
    #[test]
    fn unencodable_characters_become_question_marks() {
        for (text, from, to, expected) in [
            ("€", "utf8", "ascii", &b"?"[..]),
            ("é€", "utf8", "latin1", b"\xe9?"),
            ("é", "utf8", "utf16le", b"\xe9\0"),
        ] {
            assert_eq!(
                transcode(text.as_bytes(), from, to).as_deref(),
                Some(expected),
                "{text}"
            );
        }
        assert_eq!(
            transcode(b"\xac\x20", "utf16le", "utf8").as_deref(),
            Some("€".as_bytes())
        );
        assert_eq!(transcode(b"\xe9", "latin1", "utf8").as_deref(), Some("é".as_bytes()));
        assert_eq!(transcode(b"a", "hex", "utf8"), None);
    }
}
