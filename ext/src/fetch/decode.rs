//! Content decoding on the I/O side, with a cap on what comes out.

use std::io;
use std::pin::Pin;

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};
use tokio::io::{AsyncBufRead, AsyncRead, BufReader};
use tokio_util::io::{ReaderStream, StreamReader};

/// The codings a request offers when it names none itself.
pub(super) const ACCEPTED: HeaderValue = HeaderValue::from_static("gzip, br, zstd, deflate");

/// A body on its way through the I/O runtime.
pub(super) type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// RFC 9659: a decoder of the web is asked for no more than 8 MiB. A body that says otherwise would have 128 MiB reserved for it,
/// outside of every limit of the worker.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Bytes decoded in one go.
const CHUNK_BYTES: usize = 64 << 10;

/// How a body is encoded, where we can decode it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Brotli,
    Zstd,
    Deflate,
}

impl Coding {
    /// The coding of a response. `None` when its body is to be passed on as it is: not encoded, in a way we do not know, in
    /// several layers, or empty (no valid encoding has zero bytes, but servers send that).
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        if headers
            .get(CONTENT_LENGTH)
            .is_some_and(|length| length.as_bytes() == b"0")
        {
            return None;
        }
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let (value, None) = (values.next()?, values.next()) else {
            return None;
        };
        match value.to_str().ok()?.trim().to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            "deflate" => Some(Self::Deflate),
            _ => None,
        }
    }

    pub(super) fn decode(self, body: ByteStream) -> ByteStream {
        let reader = StreamReader::new(body);
        match self {
            // One gzip file may be several members, and one zstd body several frames.
            Self::Gzip => {
                let mut decoder = GzipDecoder::new(reader);
                decoder.multiple_members(true);
                chunks(decoder)
            }
            Self::Brotli => chunks(BrotliDecoder::new(reader)),
            Self::Zstd => {
                let mut decoder = ZstdDecoder::with_params(reader, &[DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX)]);
                decoder.multiple_members(true);
                chunks(decoder)
            }
            Self::Deflate => deflate(reader),
        }
    }
}

/// Ends the stream with an error as soon as more than `limit` bytes came through.
pub(super) fn capped(body: ByteStream, limit: u64) -> ByteStream {
    let mut total = 0u64;
    Box::pin(body.map(move |chunk| {
        let chunk = chunk?;
        total = total.saturating_add(chunk.len() as u64);
        if total > limit {
            return Err(io::Error::other(format!(
                "the decoded response body is larger than this worker's limit of {limit} bytes (decoded_bytes_max)"
            )));
        }
        Ok(chunk)
    }))
}

fn chunks(decoder: impl AsyncRead + Send + 'static) -> ByteStream {
    Box::pin(ReaderStream::with_capacity(decoder, CHUNK_BYTES))
}

/// `deflate` is meant to be in the zlib format, but some servers leave out its frame. The first byte tells: in a zlib stream
/// its low half is 8, which as raw deflate would be a stored or reserved block no encoder starts with.
fn deflate(reader: impl AsyncBufRead + Send + Unpin + 'static) -> ByteStream {
    use async_compression::tokio::bufread::DeflateDecoder;
    use tokio::io::AsyncBufReadExt;

    let opened = async move {
        let mut reader = BufReader::new(reader);
        let zlib = reader.fill_buf().await?.first().is_some_and(|first| first & 0x0f == 8);
        Ok(if zlib {
            chunks(ZlibDecoder::new(reader))
        } else {
            chunks(DeflateDecoder::new(reader))
        })
    };
    Box::pin(
        futures::stream::once(opened).flat_map(|opened: io::Result<ByteStream>| match opened {
            Ok(stream) => stream,
            Err(error) => Box::pin(futures::stream::once(async { Err(error) })),
        }),
    )
}

#[cfg(test)]
mod tests {
    use async_compression::tokio::bufread::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
    use async_compression::{Level, zstd::CParameter};
    use bytes::Bytes;
    use futures::{StreamExt, TryStreamExt};
    use http::{HeaderMap, HeaderValue};
    use tokio::io::AsyncReadExt;

    use super::{ByteStream, Coding, capped};

    const TEXT: &[u8] = &[b'x'; 100_000];

    fn body(bytes: Vec<u8>) -> ByteStream {
        let chunks: Vec<_> = bytes
            .chunks(1000)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        futures::stream::iter(chunks).boxed()
    }

    async fn collect(stream: ByteStream) -> std::io::Result<Vec<u8>> {
        Ok(stream.try_collect::<Vec<_>>().await?.concat())
    }

    #[tokio::test]
    async fn every_coding_is_decoded() {
        macro_rules! encoded {
            ($encoder:ident) => {{
                let mut out = Vec::new();
                $encoder::new(TEXT).read_to_end(&mut out).await.unwrap();
                out
            }};
        }
        for (coding, bytes) in [
            (Coding::Gzip, encoded!(GzipEncoder)),
            (Coding::Brotli, encoded!(BrotliEncoder)),
            (Coding::Zstd, encoded!(ZstdEncoder)),
            (Coding::Deflate, encoded!(ZlibEncoder)),
            (Coding::Deflate, encoded!(DeflateEncoder)),
        ] {
            assert!(bytes.len() < TEXT.len() / 10);
            assert_eq!(
                collect(coding.decode(body(bytes.clone()))).await.unwrap(),
                TEXT,
                "{coding:?}"
            );
            let error = collect(capped(coding.decode(body(bytes)), 99_999)).await.unwrap_err();
            assert!(error.to_string().contains("99999 bytes (decoded_bytes_max)"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_broken_body_is_an_error() {
        assert!(
            collect(Coding::Gzip.decode(body(b"not gzip at all".to_vec())))
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn a_body_that_asks_for_a_giant_window_is_an_error() {
        let encoded = |log| async move {
            let mut out = Vec::new();
            let params = [CParameter::window_log(log)];
            let mut encoder = ZstdEncoder::with_quality_and_params(TEXT, Level::Default, &params);
            encoder.read_to_end(&mut out).await.unwrap();
            collect(Coding::Zstd.decode(body(out))).await
        };
        assert!(encoded(23).await.is_ok());
        assert!(encoded(27).await.is_err());
    }

    #[test]
    fn an_unknown_a_layered_or_an_empty_encoding_is_left_alone() {
        let with = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| ((*name).parse().unwrap(), HeaderValue::from_static(value)));
            Coding::of(&headers.collect::<HeaderMap>())
        };
        assert_eq!(with(&[("content-encoding", " GZIP ")]), Some(Coding::Gzip));
        assert_eq!(with(&[("content-encoding", "gzip, br")]), None);
        assert_eq!(with(&[("content-encoding", "identity")]), None);
        assert_eq!(with(&[("content-encoding", "gzip"), ("content-length", "0")]), None);
    }
}
