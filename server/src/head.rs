//! Response heads: removal of headers that the server controls, and framing of the body.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body::Body as _;

use crate::body::ServerBody;

/// Hop-by-hop headers (RFC 9110, section 7.6.1).
const HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Removes headers that a worker does not control, and returns the body, which is empty if the protocol allows none. The length is
/// always the body's.
pub(crate) fn frame(body: ServerBody, is_head: bool, status: StatusCode, headers: &mut HeaderMap) -> ServerBody {
    strip(headers);
    let declared = take_length(headers);
    if !has_one_date(headers) {
        headers.remove(header::DATE);
    }
    if is_head {
        if let Some(length) = length_of_get(&body, declared, status) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        return ServerBody::empty();
    }
    match status {
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED => ServerBody::empty(),
        _ => body,
    }
}

/// Returns the length that the response to a `GET` would have, if known (RFC 9110, section 8.6): the worker's, if it answers
/// `HEAD` without a body, else the body's.
fn length_of_get(body: &ServerBody, declared: Option<u64>, status: StatusCode) -> Option<u64> {
    match (status, body.size_hint().exact()) {
        (StatusCode::NO_CONTENT, _) => None,
        (_, Some(0)) => declared,
        (_, own) => own,
    }
}

/// Removes and returns the worker's length, if it is valid (RFC 9112, section 6.3).
fn take_length(headers: &mut HeaderMap) -> Option<u64> {
    let mut declared = headers.get_all(header::CONTENT_LENGTH).iter();
    let length = match (declared.next(), declared.next()) {
        (Some(length), None) => length.to_str().ok().and_then(decimal),
        _ => None,
    };
    headers.remove(header::CONTENT_LENGTH);
    length
}

/// Parses `1*DIGIT`, without a sign or spaces.
fn decimal(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Returns whether there is exactly one valid date, as in a forwarded response. Otherwise hyper sets the date.
fn has_one_date(headers: &HeaderMap) -> bool {
    let mut dates = headers.get_all(header::DATE).iter();
    match (dates.next(), dates.next()) {
        (None, _) => true,
        (Some(date), None) => date.to_str().is_ok_and(|date| httpdate::parse_http_date(date).is_ok()),
        (Some(_), Some(_)) => false,
    }
}

/// Removes hop-by-hop headers and headers named by `Connection`.
pub(crate) fn strip(headers: &mut HeaderMap) {
    // Comparing the few present names is cheaper than looking up all possible ones.
    if !headers.keys().any(|name| HOP.contains(name)) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP.into_iter().chain(named) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;

    use super::*;

    fn full(text: &'static str) -> ServerBody {
        ServerBody::from(text)
    }

    fn stream() -> ServerBody {
        ServerBody::new(StreamBody::new(futures::stream::empty::<
            Result<http_body::Frame<bytes::Bytes>, crate::BoxError>,
        >()))
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        lines.iter().map(line).collect()
    }

    /// Returns the length sent with a response.
    fn sent(body: ServerBody, is_head: bool, status: u16, declared: &[(&'static str, &'static str)]) -> Option<String> {
        let mut headers = headers(declared);
        let body = frame(body, is_head, StatusCode::from_u16(status).unwrap(), &mut headers);
        let declared = headers.get(header::CONTENT_LENGTH);
        let declared = declared.map(|length| length.to_str().unwrap().to_owned());
        if body.is_end_stream() {
            return declared;
        }
        assert_eq!(declared, None, "the length of a body is hyper's to write");
        body.size_hint().exact().map(|length| length.to_string())
    }

    #[test]
    fn the_length_is_the_body_s_regardless_of_headers() {
        for declared in ["3", "5", "30", "five", "5, 5", "+5", "-1", "", "99999999999999999999"] {
            let declared = [("content-length", declared)];
            assert_eq!(sent(full("hello"), false, 200, &declared).as_deref(), Some("5"));
            assert_eq!(sent(full("hello"), true, 200, &declared).as_deref(), Some("5"));
            assert_eq!(sent(stream(), false, 200, &declared), None);
            assert_eq!(sent(stream(), true, 200, &declared), None);
            for status in [204, 205, 304] {
                assert_eq!(sent(full("hello"), false, status, &declared), None);
            }
        }
    }

    #[test]
    fn a_head_without_a_body_keeps_the_length_it_would_have_had_if_it_is_one() {
        let head = |declared: &[(&'static str, &'static str)]| sent(full(""), true, 200, declared);
        assert_eq!(head(&[("content-length", "1234")]).as_deref(), Some("1234"));
        for malformed in ["five", "5, 5", "+5", "0x5", "5 5", ""] {
            assert_eq!(head(&[("content-length", malformed)]), None, "{malformed:?}");
        }
        assert_eq!(head(&[("content-length", "5"), ("content-length", "5")]), None);
        assert_eq!(sent(full(""), true, 204, &[("content-length", "5")]), None);
        assert_eq!(
            sent(full(""), true, 304, &[("content-length", "5")]).as_deref(),
            Some("5")
        );
    }

    #[test]
    fn a_worker_cannot_set_hop_by_hop_headers() {
        let mut given = headers(&[
            ("connection", "close, x-private"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("transfer-encoding", "gzip, chunked"),
            ("te", "trailers"),
            ("trailer", "x-sum"),
            ("upgrade", "h2c"),
            ("x-kept", "1"),
        ]);
        frame(full("hello"), false, StatusCode::OK, &mut given);
        assert_eq!(given, headers(&[("x-kept", "1")]));
    }

    #[test]
    fn one_date_is_passed_on_and_several_or_none_are_not() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        for (given, kept) in [
            (&[("date", date)][..], 1),
            (&[("date", date), ("date", date)], 0),
            (&[("date", "yesterday")], 0),
        ] {
            let mut headers = headers(given);
            frame(full("hello"), false, StatusCode::OK, &mut headers);
            assert_eq!(headers.len(), kept, "{given:?}");
        }
    }
}
