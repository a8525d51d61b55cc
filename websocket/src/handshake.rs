//! Opening handshakes (RFC 6455, section 4, and RFC 8441): checks and headers.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Version, header};
use sha1::{Digest, Sha1};

/// The protocol version of RFC 6455.
pub const VERSION: HeaderValue = HeaderValue::from_static("13");

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A valid opening handshake of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    /// `GET` with `Upgrade` on HTTP/1.1, with the value of `Sec-WebSocket-Accept`.
    Http1(HeaderValue),
    /// Extended CONNECT, on HTTP/2.
    Http2,
}

/// Error of an opening handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    /// The version is missing or is not 13.
    #[error("the WebSocket version must be 13")]
    Version,
    /// `Sec-WebSocket-Key` is missing, repeated, or not 16 bytes in Base64.
    #[error("the WebSocket handshake needs one Sec-WebSocket-Key of 16 bytes in Base64")]
    Key,
}

/// Returns whether a request asks for a WebSocket by the header that workers check, `Upgrade: websocket`.
#[must_use]
pub fn is_asked_for(headers: &HeaderMap) -> bool {
    has_token(headers, &header::UPGRADE, "websocket")
}

/// Returns the handshake of a request that opens a WebSocket; `None` for other requests. `is_connect` tells an extended
/// CONNECT with the protocol `websocket`.
///
/// ```
/// use http::Request;
/// use isopod_websocket::handshake::{Opening, opening};
///
/// let request = Request::get("/chat")
///     .header("connection", "Upgrade")
///     .header("upgrade", "websocket")
///     .header("sec-websocket-version", "13")
///     .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
///     .body(())
///     .unwrap();
/// // The example of RFC 6455, section 1.3.
/// let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".parse().unwrap();
/// assert_eq!(opening(&request, false), Ok(Some(Opening::Http1(accept))));
/// ```
///
/// # Errors
///
/// The request asks for a WebSocket and violates the standard.
pub fn opening<B>(request: &Request<B>, is_connect: bool) -> Result<Option<Opening>, OpeningError> {
    let headers = request.headers();
    if is_connect {
        return version(headers).map(|()| Some(Opening::Http2));
    }
    let asks = request.version() == Version::HTTP_11
        && request.method() == Method::GET
        && has_token(headers, &header::UPGRADE, "websocket")
        && has_token(headers, &header::CONNECTION, "upgrade");
    if !asks {
        return Ok(None);
    }
    version(headers)?;
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    let key = match (keys.next(), keys.next()) {
        (Some(key), None) => key.as_bytes(),
        _ => return Err(OpeningError::Key),
    };
    match BASE64_STANDARD.decode(key) {
        Ok(nonce) if nonce.len() == 16 => Ok(Some(Opening::Http1(accept(key)))),
        _ => Err(OpeningError::Key),
    }
}

fn version(headers: &HeaderMap) -> Result<(), OpeningError> {
    let mut versions = headers.get_all(header::SEC_WEBSOCKET_VERSION).iter();
    match (versions.next(), versions.next()) {
        (Some(version), None) if version == VERSION => Ok(()),
        _ => Err(OpeningError::Version),
    }
}

/// Returns the value of `Sec-WebSocket-Accept` for a key.
#[must_use]
pub fn accept(key: &[u8]) -> HeaderValue {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    HeaderValue::from_str(&BASE64_STANDARD.encode(digest)).expect("Base64 is valid in a header")
}

/// Headers of the handshake, which an application cannot set.
const OURS: [HeaderName; 5] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_ACCEPT,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::CONTENT_LENGTH,
];

/// Sets the headers of the response that accepts a handshake. Other headers of the application stay, such as
/// `Sec-WebSocket-Protocol`.
pub fn complete(headers: &mut HeaderMap, opening: &Opening) {
    for name in &OURS {
        headers.remove(name);
    }
    if let Opening::Http1(accept) = opening {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept.clone());
    }
}

/// Adds the headers of a client's handshake with this key of 16 random bytes. Returns the `Sec-WebSocket-Accept` that the
/// server must answer with.
pub fn open(headers: &mut HeaderMap, key: [u8; 16]) -> HeaderValue {
    let key = BASE64_STANDARD.encode(key);
    headers.remove(header::SEC_WEBSOCKET_EXTENSIONS);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, VERSION);
    let expected = accept(key.as_bytes());
    headers.insert(
        header::SEC_WEBSOCKET_KEY,
        HeaderValue::from_str(&key).expect("Base64 is valid in a header"),
    );
    expected
}

/// Error of a server's answer to a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// `Upgrade` or `Connection` is wrong.
    #[error("the server did not switch to the WebSocket protocol")]
    Upgrade,
    /// `Sec-WebSocket-Accept` is wrong.
    #[error("the server did not accept the handshake: Sec-WebSocket-Accept is wrong")]
    Accept,
    /// The server uses an extension.
    #[error("the server uses a WebSocket extension that was not offered")]
    Extension,
    /// The server chose a subprotocol that was not offered.
    #[error("the server chose a subprotocol that was not offered")]
    Protocol,
}

/// Checks a server's answer with status 101 to a handshake that offered these headers (RFC 6455, section 4.1).
///
/// # Errors
///
/// The answer does not accept the handshake.
pub fn check_answer(answer: &HeaderMap, offered: &HeaderMap, expected: &HeaderValue) -> Result<(), AnswerError> {
    if !has_token(answer, &header::UPGRADE, "websocket") || !has_token(answer, &header::CONNECTION, "upgrade") {
        return Err(AnswerError::Upgrade);
    }
    if answer.get(header::SEC_WEBSOCKET_ACCEPT) != Some(expected) {
        return Err(AnswerError::Accept);
    }
    if answer.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        return Err(AnswerError::Extension);
    }
    let mut chosen = answer.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    match (chosen.next(), chosen.next()) {
        (None, _) => Ok(()),
        (Some(chosen), None) if offers(offered, chosen) => Ok(()),
        _ => Err(AnswerError::Protocol),
    }
}

/// Returns whether a subprotocol was offered. The names are case-sensitive.
fn offers(offered: &HeaderMap, chosen: &HeaderValue) -> bool {
    tokens(offered, &header::SEC_WEBSOCKET_PROTOCOL).any(|token| token == chosen.as_bytes().trim_ascii())
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).iter();
    values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii))
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|given| given.eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn request(pairs: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::get("/");
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn with(pairs: &[(&str, &str)]) -> Result<Option<Opening>, OpeningError> {
        let usual = [("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket")];
        opening(&request(&[&usual, pairs].concat()), false)
    }

    #[test]
    fn valid_openings() {
        let valid = Ok(Some(Opening::Http1(HeaderValue::from_static(ACCEPT))));
        assert_eq!(
            with(&[("sec-websocket-version", "13"), ("sec-websocket-key", KEY)]),
            valid
        );
        let connect = request(&[("sec-websocket-version", "13")]);
        assert_eq!(opening(&connect, true), Ok(Some(Opening::Http2)));
    }

    #[test]
    fn invalid_versions_and_keys() {
        for version in ["8", "13, 8", "", "+13"] {
            let opened = with(&[("sec-websocket-version", version), ("sec-websocket-key", KEY)]);
            assert_eq!(opened, Err(OpeningError::Version), "{version}");
        }
        assert_eq!(with(&[("sec-websocket-key", KEY)]), Err(OpeningError::Version));
        assert_eq!(with(&[("sec-websocket-version", "13")]), Err(OpeningError::Key));
        for key in [
            "",
            "dGhlIHNhbXBsZQ==",
            "dGhlIHNhbXBsZSBub25jZQ",
            "not base64 at all!!!!!!!",
        ] {
            let opened = with(&[("sec-websocket-version", "13"), ("sec-websocket-key", key)]);
            assert_eq!(opened, Err(OpeningError::Key), "{key}");
        }
        let twice = [
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", KEY),
            ("sec-websocket-key", KEY),
        ];
        assert_eq!(with(&twice), Err(OpeningError::Key));
    }

    #[test]
    fn other_requests() {
        let version = ("sec-websocket-version", "13");
        for pairs in [
            &[("upgrade", "websocket"), version][..],
            &[("connection", "upgrade"), version],
            &[("connection", "upgrade"), ("upgrade", "h2c"), version],
        ] {
            assert_eq!(opening(&request(pairs), false), Ok(None));
        }
        let mut post = request(&[("connection", "upgrade"), ("upgrade", "websocket")]);
        *post.method_mut() = Method::POST;
        assert_eq!(opening(&post, false), Ok(None));
        let mut old = request(&[("connection", "upgrade"), ("upgrade", "websocket")]);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(opening(&old, false), Ok(None));
    }

    #[test]
    fn answers() {
        let mut offered = HeaderMap::new();
        let expected = open(&mut offered, *b"the sample nonce");
        assert_eq!(offered.get("sec-websocket-key").unwrap(), KEY);
        assert_eq!(expected, ACCEPT);
        offered.insert("sec-websocket-protocol", HeaderValue::from_static("chat, v2"));
        let mut answer = HeaderMap::new();
        complete(&mut answer, &Opening::Http1(expected.clone()));
        assert_eq!(check_answer(&answer, &offered, &expected), Ok(()));
        for (protocol, result) in [("v2", Ok(())), ("V2", Err(AnswerError::Protocol))] {
            answer.insert("sec-websocket-protocol", HeaderValue::from_static(protocol));
            assert_eq!(check_answer(&answer, &offered, &expected), result);
        }
        answer.insert("sec-websocket-protocol", HeaderValue::from_static("chat"));
        answer.insert(
            "sec-websocket-extensions",
            HeaderValue::from_static("permessage-deflate"),
        );
        assert_eq!(check_answer(&answer, &offered, &expected), Err(AnswerError::Extension));
        answer.insert("sec-websocket-accept", HeaderValue::from_static("other"));
        assert_eq!(check_answer(&answer, &offered, &expected), Err(AnswerError::Accept));
        answer.remove("upgrade");
        assert_eq!(check_answer(&answer, &offered, &expected), Err(AnswerError::Upgrade));
    }
}
