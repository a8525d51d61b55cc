//! Internals exposed to the fuzz targets. Not part of the API.

use deno_core::convert::ByteString;
use deno_core::url::Url;
use http::HeaderMap;

/// Headers passed by scripts.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn bytes(pairs: Pairs) -> Vec<(ByteString, ByteString)> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.as_slice().into(), value.as_slice().into()))
        .collect()
}

/// The headers of a request sent by `fetch`; removes the credentials from its URL.
///
/// # Errors
/// As reported to the script.
pub fn request_headers(url: &mut Url, pairs: Pairs) -> Result<HeaderMap, String> {
    crate::fetch::request_headers(url, bytes(pairs)).map_err(|error| error.to_string())
}

/// The head of a response returned by a script.
///
/// # Errors
/// As reported to the script.
pub fn response_head(status: u16, pairs: Pairs) -> Result<http::Response<()>, String> {
    crate::handlers::response(status, b"", bytes(pairs)).map_err(|error| error.to_string())
}

pub use crate::sql::fuzzing::{Dialect, Parsed, statements};
