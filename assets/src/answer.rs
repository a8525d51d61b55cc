//! The response with a file: conditional requests and ranges.

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    RANGE,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};

use crate::etag::names;
use crate::files::{FileBytes, FileChunks, OpenFile};
use crate::range::{Range, range_of};

/// The body of a response: the bytes of a file, or none. A large file is read while it is sent.
pub struct AssetBody {
    kind: Kind,
    left: u64,
}

enum Kind {
    Whole(Option<Bytes>),
    Chunks(FileChunks),
}

impl fmt::Debug for AssetBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssetBody")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl AssetBody {
    pub(crate) fn empty() -> Self {
        Self {
            kind: Kind::Whole(None),
            left: 0,
        }
    }

    /// Returns the bytes, if they are in memory.
    #[must_use]
    pub fn as_bytes(&self) -> Option<Bytes> {
        match &self.kind {
            Kind::Whole(bytes) => Some(bytes.clone().unwrap_or_default()),
            Kind::Chunks(_) => None,
        }
    }

    fn of(bytes: FileBytes, length: u64) -> std::io::Result<Self> {
        let kind = match bytes {
            FileBytes::Whole(bytes) if bytes.len() as u64 != length => {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            FileBytes::Whole(bytes) => Kind::Whole((!bytes.is_empty()).then_some(bytes)),
            FileBytes::Chunks(chunks) => Kind::Chunks(chunks),
        };
        Ok(Self { kind, left: length })
    }
}

impl Body for AssetBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let next = match &mut self.kind {
            Kind::Whole(bytes) => bytes.take().map(Ok),
            Kind::Chunks(chunks) => std::task::ready!(chunks.as_mut().poll_next(context)),
        };
        Poll::Ready(match next {
            Some(Ok(bytes)) => {
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Some(Ok(Frame::data(bytes)))
            }
            Some(Err(error)) => Some(Err(error)),
            // The file has become shorter, and a part must not look like the whole.
            None if self.left > 0 => {
                self.left = 0;
                Some(Err(std::io::ErrorKind::UnexpectedEof.into()))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Returns a response without a body.
pub(crate) fn bare(status: StatusCode) -> Response<AssetBody> {
    let mut response = Response::new(AssetBody::empty());
    *response.status_mut() = status;
    response
}

/// Returns the response with a file, with the type by the file's name. Blocks.
pub(crate) fn with_file(
    name: &str,
    file: Box<dyn OpenFile>,
    status: StatusCode,
    method: &Method,
    headers: &HeaderMap,
) -> std::io::Result<Response<AssetBody>> {
    let etag = file.etag();
    let mut response = bare(status);
    let own = response.headers_mut();
    if let Some(kind) = content_type(Path::new(name)) {
        own.insert(CONTENT_TYPE, kind);
    }
    if !headers.contains_key(AUTHORIZATION) && !headers.contains_key(RANGE) {
        own.insert(
            CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=0, must-revalidate"),
        );
    }
    own.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let is_known = headers.get_all(IF_NONE_MATCH).iter().any(|known| names(known, &etag));
    own.insert(ETAG, HeaderValue::from_str(&etag).map_err(std::io::Error::other)?);
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let length = file.length();
    let range = match headers.get(RANGE).filter(|_| status == StatusCode::OK) {
        Some(range) => range_of(range, length),
        None => Range::Whole,
    };
    let (from, length) = match range {
        Range::Whole => (0, length),
        Range::Part(from, to) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            insert(&mut response, CONTENT_RANGE, &format!("bytes {from}-{to}/{length}"))?;
            (from, to - from + 1)
        }
        Range::Outside => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            insert(&mut response, CONTENT_RANGE, &format!("bytes */{length}"))?;
            return Ok(response);
        }
    };
    insert(&mut response, CONTENT_LENGTH, &length.to_string())?;
    if *method != Method::HEAD {
        *response.body_mut() = AssetBody::of(file.read(from, length)?, length)?;
    }
    Ok(response)
}

fn insert(response: &mut Response<AssetBody>, name: http::HeaderName, value: &str) -> std::io::Result<()> {
    let value = HeaderValue::from_str(value).map_err(std::io::Error::other)?;
    response.headers_mut().insert(name, value);
    Ok(())
}

fn content_type(path: &Path) -> Option<HeaderValue> {
    let mime = mime_guess::from_path(path).first()?;
    let text = match mime.type_() == mime_guess::mime::TEXT {
        true => format!("{mime}; charset=utf-8"),
        false => mime.to_string(),
    };
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: https://mimesniff.spec.whatwg.org/ for JavaScript, the IANA registry for the others.
    #[test]
    fn text_has_a_charset() {
        let of = |name: &str| content_type(Path::new(name)).map(|kind| kind.to_str().unwrap().to_owned());
        assert_eq!(of("a.html"), Some("text/html; charset=utf-8".to_owned()));
        assert_eq!(of("a.js"), Some("text/javascript; charset=utf-8".to_owned()));
        assert_eq!(of("a.css"), Some("text/css; charset=utf-8".to_owned()));
        assert_eq!(of("a.png"), Some("image/png".to_owned()));
        assert_eq!(of("a.woff2"), Some("font/woff2".to_owned()));
        assert_eq!(of("a"), None);
    }
}
