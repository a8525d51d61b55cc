//! Validators: <https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3>.

use http::HeaderValue;

/// Returns true if an `If-None-Match` header names the validator, by weak comparison (RFC 9110, 13.1.2).
#[must_use]
pub fn names(known: &HeaderValue, etag: &str) -> bool {
    let known = known.to_str().unwrap_or_default();
    known
        .split(',')
        .map(str::trim)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validators_are_compared_weakly() {
        let is = |text: &'static str| names(&HeaderValue::from_static(text), "\"a\"");
        assert!(is("\"a\"") && is("W/\"a\"") && is("\"b\", \"a\"") && is("*"));
        assert!(!is("\"b\"") && !is("a"));
    }
}
