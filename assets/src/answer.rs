//! The response with a file: conditional requests and ranges.

use std::fs::{File, Metadata};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use futures::Stream as _;
use http::header::{
    ACCEPT_RANGES, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
    RANGE,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;

use crate::etag::names;
use crate::range::{Range, range_of};

/// Files up to this size are read with their metadata.
const SMALL_BYTES: u64 = 64 << 10;

/// The body of a response: the bytes of a file, or none. A large file is read while it is sent, on Tokio's blocking threads.
#[derive(Debug)]
pub struct AssetBody {
    kind: Kind,
    left: u64,
}

#[derive(Debug)]
enum Kind {
    Whole(Option<Bytes>),
    File(Box<ReaderStream<tokio::io::Take<tokio::fs::File>>>),
}

impl AssetBody {
    pub(crate) fn empty() -> Self {
        Self {
            kind: Kind::Whole(None),
            left: 0,
        }
    }

    /// The bytes, if they are in memory.
    #[must_use]
    pub fn as_bytes(&self) -> Option<Bytes> {
        match &self.kind {
            Kind::Whole(bytes) => Some(bytes.clone().unwrap_or_default()),
            Kind::File(_) => None,
        }
    }

    fn of(mut file: File, from: u64, length: u64) -> std::io::Result<Self> {
        if from > 0 {
            file.seek(SeekFrom::Start(from))?;
        }
        let kind = if length <= SMALL_BYTES {
            let mut bytes = Vec::new();
            file.take(length).read_to_end(&mut bytes)?;
            if bytes.len() as u64 != length {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            Kind::Whole((!bytes.is_empty()).then(|| bytes.into()))
        } else {
            let file = tokio::fs::File::from_std(file).take(length);
            Kind::File(Box::new(ReaderStream::with_capacity(file, 128 << 10)))
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
            Kind::File(stream) => std::task::ready!(Pin::new(stream).poll_next(context)),
        };
        Poll::Ready(match next {
            Some(Ok(bytes)) => {
                self.left = self.left.saturating_sub(bytes.len() as u64);
                Some(Ok(Frame::data(bytes)))
            }
            Some(Err(error)) => Some(Err(error)),
            // The file has become shorter: a part must not look like the whole.
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

/// Returns the response with a file. Blocks.
pub(crate) fn with_file(
    path: &Path,
    status: StatusCode,
    method: &Method,
    headers: &HeaderMap,
) -> std::io::Result<Response<AssetBody>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let etag = etag(&metadata);
    let mut response = bare(status);
    let own = response.headers_mut();
    if let Some(kind) = content_type(path) {
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
    let length = metadata.len();
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
        *response.body_mut() = AssetBody::of(file, from, length)?;
    }
    Ok(response)
}

fn insert(response: &mut Response<AssetBody>, name: http::HeaderName, value: &str) -> std::io::Result<()> {
    let value = HeaderValue::from_str(value).map_err(std::io::Error::other)?;
    response.headers_mut().insert(name, value);
    Ok(())
}

/// A strong validator: it changes whenever the file is written.
fn etag(metadata: &Metadata) -> String {
    let modified = metadata
        .modified()
        .ok()
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let modified = modified.map_or(0, |since| since.as_nanos());
    format!("\"{:x}-{modified:x}\"", metadata.len())
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
