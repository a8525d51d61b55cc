//! Converts header fields: a request's for scripts, and a script's `content-type`.

use bytes::Bytes;
use deno_core::convert::{ByteString, FromV8};
use deno_core::v8;
use http::header::{COOKIE, HeaderName};
use http::{HeaderMap, HeaderValue};

use super::HandlerError;

/// The names and values, byte for byte: `ByteString` is the Fetch standard's "isomorphic decode".
///
/// Several fields of one name stay separate, and `Headers` joins them with `, `. `Cookie` fields are joined with `; `,
/// because HTTP/2 splits them (RFC 9113, section 8.2.3). `Set-Cookie` is never joined.
pub(super) fn pairs(headers: &HeaderMap) -> Vec<Vec<ByteString>> {
    let mut pairs = Vec::with_capacity(headers.len());
    for name in headers.keys() {
        let mut values = headers.get_all(name).iter().map(HeaderValue::as_bytes);
        if *name == COOKIE {
            let crumbs: Vec<&[u8]> = values.filter(|crumb| !crumb.is_empty()).collect();
            pairs.push(vec![name.as_str().into(), crumbs.join(&b"; "[..]).as_slice().into()]);
        } else {
            pairs.extend(values.by_ref().map(|value| vec![name.as_str().into(), value.into()]));
        }
    }
    pairs
}

/// The value of the header with this name, as `Headers.get` has it: several fields are joined.
pub(super) fn value(headers: &HeaderMap, name: &[u8]) -> Option<ByteString> {
    let name = HeaderName::from_bytes(name).ok()?;
    let mut values = headers.get_all(&name).iter().map(HeaderValue::as_bytes);
    let first = values.next()?;
    let Some(second) = values.next() else {
        return Some(first.into());
    };
    let all = [first, second].into_iter().chain(values);
    let joined = match name == COOKIE {
        true => all
            .filter(|crumb| !crumb.is_empty())
            .collect::<Vec<_>>()
            .join(&b"; "[..]),
        false => all.collect::<Vec<_>>().join(&b", "[..]),
    };
    Some(joined.as_slice().into())
}

/// A string for scripts. What is not UTF-8 becomes U+FFFD.
pub(super) fn text<'s>(scope: &v8::PinScope<'s, '_, ()>, bytes: &[u8]) -> Option<v8::Local<'s, v8::String>> {
    match bytes.is_ascii() {
        true => v8::String::new_from_one_byte(scope, bytes, v8::NewStringType::Normal),
        false => v8::String::new(scope, &String::from_utf8_lossy(bytes)),
    }
}

/// The `content-type` of a script's response: none for a value that is neither a number nor a string, and that of texts for a
/// number.
pub(super) fn content_type<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    value: v8::Local<'s, v8::Value>,
) -> Result<Option<HeaderValue>, HandlerError> {
    if value.is_number() {
        return Ok(Some(HeaderValue::from_static("text/plain;charset=UTF-8")));
    }
    if !value.is_string() {
        return Ok(None);
    }
    let invalid = |error: String| HandlerError::Header("content-type".to_owned(), error);
    let value = ByteString::from_v8(scope, value).map_err(|error| invalid(error.to_string()))?;
    match value.as_slice() {
        b"application/json" => Ok(Some(HeaderValue::from_static("application/json"))),
        other => HeaderValue::from_maybe_shared(Bytes::copy_from_slice(other))
            .map(Some)
            .map_err(|error| invalid(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_one_field_and_other_lines_stay_several() {
        let headers: HeaderMap = [
            ("cookie", "a=b"),
            ("x-a", "1"),
            ("cookie", "c=d; e=f"),
            ("set-cookie", "g=h"),
            ("x-a", "caf\u{e9}"),
            ("cookie", ""),
            ("set-cookie", "i=j"),
        ]
        .into_iter()
        .map(|(name, value)| {
            (
                name.parse().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            )
        })
        .collect::<HeaderMap>();
        let pairs = pairs(&headers);
        let pairs: Vec<_> = pairs
            .iter()
            .map(|pair| (pair[0].as_slice(), pair[1].as_slice()))
            .collect();
        let expected: [(&[u8], &[u8]); 5] = [
            (b"cookie", b"a=b; c=d; e=f"),
            (b"x-a", b"1"),
            (b"x-a", b"caf\xc3\xa9"),
            (b"set-cookie", b"g=h"),
            (b"set-cookie", b"i=j"),
        ];
        assert_eq!(pairs, expected);
        let joined = |name: &str| value(&headers, name.as_bytes()).map(|value| value.to_vec());
        assert_eq!(joined("Cookie").as_deref(), Some(&b"a=b; c=d; e=f"[..]));
        assert_eq!(joined("x-a").as_deref(), Some(&b"1, caf\xc3\xa9"[..]));
        assert_eq!(joined("set-cookie").as_deref(), Some(&b"g=h, i=j"[..]));
        assert_eq!((joined("x-b"), joined("no name")), (None, None));
    }
}
