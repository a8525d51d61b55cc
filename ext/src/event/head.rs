//! Headers of messages that scripts compose.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Maximum number of headers in a request or response of a script. hyper empties the headers of a response on a thread of the
/// server, and that takes time that grows with the square of the number of values of a name: 100,000 took minutes, in which no
/// request was answered on that thread.
pub(crate) const HEADERS_MAX: usize = 1_000;

/// Maximum bytes of the names and values of these headers; as on Workers,
/// <https://developers.cloudflare.com/workers/platform/limits/>.
pub(crate) const HEADER_BYTES_MAX: usize = 128 << 10;

/// A message has more headers than can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many headers: at most {HEADERS_MAX}, of {} KiB together, can be sent", HEADER_BYTES_MAX >> 10)]
pub(crate) struct TooManyHeaders;

/// The headers of a message while it is composed.
#[derive(Default)]
pub(crate) struct Headers {
    map: HeaderMap,
    bytes: usize,
}

impl Headers {
    /// Adds a header behind those of the same name.
    ///
    /// # Errors
    /// The message has no room for it.
    pub(crate) fn append(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), TooManyHeaders> {
        self.bytes = self.bytes.saturating_add(name.as_str().len() + value.len());
        if self.map.len() >= HEADERS_MAX || self.bytes > HEADER_BYTES_MAX {
            return Err(TooManyHeaders);
        }
        self.map.try_append(name, value).map(drop).map_err(|_| TooManyHeaders)
    }

    /// Returns the headers.
    pub(crate) fn finish(self) -> HeaderMap {
        self.map
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::{SET_COOKIE, VARY};

    use super::{HEADER_BYTES_MAX, HEADERS_MAX, Headers, TooManyHeaders};

    #[test]
    fn values_of_one_name_count_as_headers_do() {
        let mut headers = Headers::default();
        for _ in 0..HEADERS_MAX {
            assert_eq!(headers.append(SET_COOKIE, HeaderValue::from_static("a=1")), Ok(()));
        }
        assert_eq!(headers.append(VARY, HeaderValue::from_static("*")), Err(TooManyHeaders));
        assert_eq!(headers.finish().len(), HEADERS_MAX);
    }

    #[test]
    fn names_and_values_count() {
        let text = "x".repeat(HEADER_BYTES_MAX - VARY.as_str().len());
        let mut headers = Headers::default();
        assert_eq!(headers.append(VARY, text.parse().unwrap()), Ok(()));
        assert_eq!(headers.append(VARY, HeaderValue::from_static("")), Err(TooManyHeaders));
    }
}
