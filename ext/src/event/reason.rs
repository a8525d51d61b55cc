//! Reason phrases: the text after the status of an HTTP/1.1 response, which is `statusText` in scripts.

use http::{Extensions, Response, StatusCode};
use hyper::ext::ReasonPhrase;

/// A reason phrase with bytes that HTTP does not allow.
#[derive(Debug, thiserror::Error)]
#[error("the status text of a response has a character that HTTP does not allow")]
pub(crate) struct InvalidReason;

/// Returns the reason phrase of a response: its own, or that of its status. A character stands for a byte.
pub(crate) fn reason_of(status: StatusCode, extensions: &Extensions) -> String {
    match own_reason(extensions) {
        Some(own) => own.iter().copied().map(char::from).collect(),
        None => status.canonical_reason().unwrap_or_default().to_owned(),
    }
}

/// Returns the reason phrase of a response, if it is not the standard one of its status.
pub(crate) fn own_reason(extensions: &Extensions) -> Option<&[u8]> {
    extensions.get::<ReasonPhrase>().map(ReasonPhrase::as_bytes)
}

/// Sets the reason phrase of a response. An empty one keeps the standard one of its status.
pub(crate) fn set_reason<B>(response: &mut Response<B>, reason: &[u8]) -> Result<(), InvalidReason> {
    let usual = response.status().canonical_reason().unwrap_or_default();
    if !reason.is_empty() && reason != usual.as_bytes() {
        let reason = ReasonPhrase::try_from(reason).map_err(|_| InvalidReason)?;
        response.extensions_mut().insert(reason);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_and_standard_reason_phrases() {
        let mut response = Response::builder().status(404).body(()).unwrap();
        let reason = |response: &Response<()>| reason_of(response.status(), response.extensions());
        for usual in [&b""[..], b"Not Found"] {
            set_reason(&mut response, usual).unwrap();
            assert!(response.extensions().is_empty());
            assert_eq!(reason(&response), "Not Found");
        }
        assert!(set_reason(&mut response, b"two\r\nlines").is_err());
        set_reason(&mut response, b"Caf\xe9 closed").unwrap();
        assert_eq!(reason(&response), "Caf\u{e9} closed");
        *response.extensions_mut() = Extensions::new();
        *response.status_mut() = StatusCode::from_u16(299).unwrap();
        assert_eq!(reason(&response), "");
    }
}
