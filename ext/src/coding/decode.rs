//! Decodes response bodies on the I/O runtime, with a limit on the decoded size.

use std::io;
use std::pin::Pin;
use std::task::Poll;

use async_compression::tokio::bufread::{BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::io::AsyncRead;
use tokio_util::io::{ReaderStream, StreamReader};

use super::Coding;
use super::window::{ZSTD_WINDOW_LOG_MAX, decoder_bytes};
use crate::event::CpuMeter;
use crate::ledger::MemoryLedger;

/// A body as it passes through the I/O runtime.
pub(crate) type ByteStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// The first bits of a brotli body with a window of up to 1 GiB. The decoder supports these, though they are not part
/// of the format (RFC 7932, section 9.1).
const LARGE_WINDOW: u8 = 0b001_0001;
/// Maximum number of bytes decoded in one step.
const CHUNK_BYTES: usize = 64 << 10;

/// Decodes the layers of a body, the last one first.
///
/// An empty body has no layers: no coding has an empty form, but servers send empty bodies with a label. The decoders'
/// memory is charged to the ledger and their CPU time to the meter, whose limit ends the body.
pub(crate) fn decode(body: ByteStream, layers: &[Coding], ledger: &MemoryLedger, cpu: &CpuMeter) -> ByteStream {
    let layers = layers.iter().rev();
    let decoded = layers.fold(body, |body, coding| decode_layer(body, *coding, ledger.clone()));
    metered(decoded, cpu.clone())
}

/// Charges the CPU time of getting each chunk; waiting is free.
fn metered(mut body: ByteStream, cpu: CpuMeter) -> ByteStream {
    let mut is_over = false;
    Box::pin(futures::stream::poll_fn(move |context| {
        if is_over {
            return Poll::Ready(None);
        }
        cpu.measure(|| body.poll_next_unpin(context))
            .unwrap_or_else(|exceeded| {
                is_over = true;
                Poll::Ready(Some(Err(io::Error::other(exceeded))))
            })
    }))
}

fn decode_layer(mut body: ByteStream, coding: Coding, ledger: MemoryLedger) -> ByteStream {
    flattened(async move {
        let first = loop {
            match body.next().await {
                None => return Ok(futures::stream::empty().boxed()),
                Some(chunk) => {
                    let chunk = chunk?;
                    if !chunk.is_empty() {
                        break chunk;
                    }
                }
            }
        };
        // A zlib stream has 8 in the low half of its first byte. In raw deflate, which some servers send instead, that
        // would be a stored or reserved block, with which no encoder begins.
        let is_zlib = first.first().is_some_and(|first| first & 0x0f == 8);
        if coding == Coding::Brotli && first.first().is_some_and(|first| first & 0x7f == LARGE_WINDOW) {
            return Err(io::Error::other("corrupt brotli data: its window is too large"));
        }
        let charge = ledger.charge(decoder_bytes(coding, &first));
        let reader = StreamReader::new(futures::stream::iter([Ok(first)]).chain(body));
        let decoded = match coding {
            // A gzip file may have several members, and a zstd body several frames.
            Coding::Gzip => {
                let mut decoder = GzipDecoder::new(reader);
                decoder.multiple_members(true);
                chunks(decoder)
            }
            Coding::Brotli => chunks(BrotliDecoder::new(reader)),
            Coding::Zstd => {
                let mut decoder = ZstdDecoder::with_params(reader, &[DParameter::window_log_max(ZSTD_WINDOW_LOG_MAX)]);
                decoder.multiple_members(true);
                chunks(decoder)
            }
            Coding::Deflate if is_zlib => chunks(ZlibDecoder::new(reader)),
            Coding::Deflate => chunks(DeflateDecoder::new(reader)),
        };
        Ok(decoded.inspect(move |_| _ = &charge).boxed())
    })
}

/// Flattens the future of a stream.
pub(crate) fn flattened(opening: impl Future<Output = io::Result<ByteStream>> + Send + 'static) -> ByteStream {
    Box::pin(futures::stream::once(opening).flat_map(|opened| match opened {
        Ok(stream) => stream,
        Err(error) => futures::stream::once(async { Err(error) }).boxed(),
    }))
}

/// Ends the stream with an error once more than `limit` bytes have passed.
pub(crate) fn capped(body: ByteStream, limit: u64) -> ByteStream {
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

#[cfg(test)]
mod tests {
    use async_compression::tokio::bufread::{BrotliEncoder, DeflateEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
    use async_compression::{Level, zstd::CParameter};
    use bytes::Bytes;
    use futures::{StreamExt, TryStreamExt};
    use tokio::io::AsyncReadExt;

    use super::super::Coding::{self, Brotli, Deflate, Gzip, Zstd};
    use super::{ByteStream, CpuMeter, MemoryLedger, capped};

    const TEXT: &[u8] = &[b'x'; 100_000];

    fn decode(body: ByteStream, layers: &[Coding]) -> ByteStream {
        super::decode(body, layers, &MemoryLedger::default(), &CpuMeter::default())
    }

    fn body(bytes: &[u8]) -> ByteStream {
        let chunks: Vec<_> = bytes
            .chunks(1000)
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        futures::stream::iter(chunks).boxed()
    }

    async fn collect(stream: ByteStream) -> std::io::Result<Vec<u8>> {
        Ok(stream.try_collect::<Vec<_>>().await?.concat())
    }

    macro_rules! encoded {
        ($encoder:ident, $text:expr) => {{
            let mut out = Vec::new();
            $encoder::new($text).read_to_end(&mut out).await.unwrap();
            out
        }};
    }

    async fn each() -> [(Coding, Vec<u8>); 5] {
        [
            (Gzip, encoded!(GzipEncoder, TEXT)),
            (Brotli, encoded!(BrotliEncoder, TEXT)),
            (Zstd, encoded!(ZstdEncoder, TEXT)),
            // RFC 9110, section 8.4.1.2: the zlib format; "some non-conformant implementations" omit it.
            (Deflate, encoded!(ZlibEncoder, TEXT)),
            (Deflate, encoded!(DeflateEncoder, TEXT)),
        ]
    }

    #[tokio::test]
    async fn every_coding_is_decoded_up_to_the_cap() {
        for (coding, bytes) in each().await {
            assert!(bytes.len() < TEXT.len() / 10);
            assert_eq!(
                collect(decode(body(&bytes), &[coding])).await.unwrap(),
                TEXT,
                "{coding:?}"
            );
            let error = collect(capped(decode(body(&bytes), &[coding]), 99_999))
                .await
                .unwrap_err();
            assert!(error.to_string().contains("99999 bytes (decoded_bytes_max)"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_truncated_body_is_an_error() {
        for (coding, bytes) in each().await {
            for length in [1, bytes.len() / 2, bytes.len() - 1] {
                let decoded = collect(decode(body(&bytes[..length]), &[coding])).await;
                assert!(decoded.is_err(), "{coding:?} {length}");
            }
        }
    }

    /// RFC 9110, section 8.4: codings are listed in the order in which they were applied.
    #[tokio::test]
    async fn layers_are_taken_off_from_the_last_to_the_first() {
        let gzip = encoded!(GzipEncoder, TEXT);
        let both = encoded!(BrotliEncoder, &gzip[..]);
        assert_eq!(collect(decode(body(&both), &[Gzip, Brotli])).await.unwrap(), TEXT);
        assert!(collect(decode(body(&both), &[Brotli, Gzip])).await.is_err());
    }

    #[tokio::test]
    async fn a_decoded_empty_body_is_empty_in_every_coding() {
        for coding in Coding::ALL {
            assert_eq!(collect(decode(body(b""), &[coding, Gzip])).await.unwrap(), b"");
        }
    }

    #[tokio::test]
    async fn a_broken_body_is_an_error() {
        assert!(collect(decode(body(b"not gzip at all"), &[Gzip])).await.is_err());
    }

    #[tokio::test]
    async fn a_body_that_asks_for_a_giant_window_is_an_error() {
        let encoded = |log| async move {
            let mut out = Vec::new();
            let params = [CParameter::window_log(log)];
            let mut encoder = ZstdEncoder::with_quality_and_params(TEXT, Level::Default, &params);
            encoder.read_to_end(&mut out).await.unwrap();
            collect(decode(body(&out), &[Zstd])).await
        };
        assert!(encoded(23).await.is_ok());
        assert!(encoded(27).await.is_err());
        // RFC 7932, section 9.1: windows of up to 16 MiB.
        assert!(
            collect(decode(body(&[0b001_0001, 30, 0, 0, 0]), &[Brotli]))
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn a_window_is_charged_while_the_body_is_decoded() {
        let ledger = MemoryLedger::default();
        // The first of several parts, with a window of 16 MiB.
        let first =
            futures::stream::iter([Ok(Bytes::from_static(&[0x0f, 0, 0, 0, 0]))]).chain(futures::stream::pending());
        let mut decoding = super::decode(first.boxed(), &[Brotli], &ledger, &CpuMeter::default());
        assert!(futures::poll!(decoding.next()).is_pending());
        assert!(ledger.held() > 16 << 20, "{}", ledger.held());
        drop(decoding);
        assert_eq!(ledger.held(), 0);
    }
}
