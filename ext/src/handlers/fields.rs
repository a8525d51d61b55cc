//! Converts a request's header fields for scripts.

use deno_core::convert::ByteString;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

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
    }
}
