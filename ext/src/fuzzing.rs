//! What the fuzz targets look at that is nobody else's. Not part of the API.

use deno_core::convert::ByteString;
use deno_core::url::Url;
use http::HeaderMap;

/// Headers as scripts give them.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn bytes(pairs: Pairs) -> Vec<(ByteString, ByteString)> {
    pairs
        .into_iter()
        .map(|(name, value)| (name.as_slice().into(), value.as_slice().into()))
        .collect()
}

/// The headers of a request that `fetch` sends; takes the credentials out of its URL.
///
/// # Errors
/// As the script is told.
pub fn request_headers(url: &mut Url, pairs: Pairs) -> Result<HeaderMap, String> {
    crate::fetch::request_headers(url, bytes(pairs)).map_err(|error| error.to_string())
}

/// The head of a response that a script gives.
///
/// # Errors
/// As the script is told.
pub fn response_head(status: u16, pairs: Pairs) -> Result<http::Response<()>, String> {
    crate::handlers::response(status, bytes(pairs)).map_err(|error| error.to_string())
}

pub use crate::sql::fuzzing::{Dialect, Parsed, statements};
