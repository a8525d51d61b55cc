//! The memory that a body's decoder needs, derived from the first bytes: the sender chooses the window.

use super::Coding;

/// Memory of a decoder besides its window: tables and buffers.
const TABLES_BYTES: usize = 128 << 10;

/// RFC 9659: decoders on the web support windows of at most 8 MiB. Otherwise a body could make its decoder reserve 128
/// MiB.
pub(super) const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// The memory of a decoder for a body that begins with these bytes.
pub(super) fn decoder_bytes(coding: Coding, first: &[u8]) -> usize {
    let window = match coding {
        Coding::Gzip | Coding::Deflate => 32 << 10,
        Coding::Brotli => brotli_window(first),
        Coding::Zstd => zstd_window(first),
    };
    window + TABLES_BYTES
}

/// RFC 7932, sections 9.1 and 9.2. A body of one part needs no more than that part.
fn brotli_window(first: &[u8]) -> usize {
    let mut bits = first
        .iter()
        .take(8)
        .rev()
        .fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    let mut take = |count: u32| {
        let taken = bits & ((1 << count) - 1);
        bits >>= count;
        taken
    };
    let log = match take(1) {
        0 => 16,
        _ => match (take(3), &mut take) {
            (0, take) => match take(3) {
                0 => 17,
                more => 8 + more,
            },
            (more, _) => 17 + more,
        },
    };
    let window = 1usize << log;
    let (is_last, is_empty) = (take(1) == 1, take(1) == 1);
    match (is_last, is_empty) {
        (false, _) => window,
        (true, true) => 0,
        (true, false) => {
            let nibbles = match take(2) {
                3 => 0,
                more => 4 + more as u32,
            };
            let length = take(4 * nibbles) as usize + 1;
            // Missing bytes count as zero.
            if first.len() < 5 {
                window
            } else {
                window.min(length.next_power_of_two())
            }
        }
    }
}

/// RFC 8878, section 3.1.1.1.
fn zstd_window(first: &[u8]) -> usize {
    const MAX: usize = 1 << ZSTD_WINDOW_LOG_MAX;
    let [0x28, 0xb5, 0x2f, 0xfd, descriptor, rest @ ..] = first else {
        return MAX;
    };
    let is_single_segment = descriptor & 0x20 != 0;
    if !is_single_segment {
        let Some(window) = rest.first() else { return MAX };
        let base = 1u64 << (10 + (window >> 3));
        let window = base + base / 8 * u64::from(window & 7);
        return usize::try_from(window).map_or(MAX, |window| window.min(MAX));
    }
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let (length, more) = [(1, 0), (2, 256), (4, 0), (8, 0)][usize::from(descriptor >> 6)];
    let Some(size) = rest.get(dictionary..dictionary + length) else {
        return MAX;
    };
    let size = size.iter().rev().fold(0u64, |size, byte| size << 8 | u64::from(*byte)) + more;
    usize::try_from(size).map_or(MAX, |size| size.min(MAX))
}

#[cfg(test)]
mod tests {
    use async_compression::Level;
    use async_compression::brotli::EncoderParams;
    use async_compression::tokio::bufread::{BrotliEncoder, ZstdEncoder};
    use async_compression::zstd::CParameter;
    use tokio::io::AsyncReadExt;

    use super::{brotli_window, zstd_window};

    /// More than encoders put into one part.
    fn text() -> Vec<u8> {
        (0..30 << 20)
            .map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8 & 0x3f)
            .collect()
    }

    #[tokio::test]
    async fn the_window_of_a_brotli_body_is_read() {
        let text = text();
        for log in [16, 17, 18] {
            let params = EncoderParams::default().quality(Level::Precise(4)).window_size(log);
            let mut first = vec![0; 100];
            let mut encoder = BrotliEncoder::with_params(&text[..], params);
            encoder.read_exact(&mut first).await.unwrap();
            assert_eq!(brotli_window(&first), 1 << log, "{log}");
        }
        for (first, log) in [
            (0b010_0001, 10),
            (0b111_0001, 15),
            (0b0011, 18),
            (0b1011, 22),
            (0b1111, 24),
        ] {
            assert_eq!(brotli_window(&[first, 0, 0, 0, 0]), 1 << log, "{log}");
        }
        let mut small = Vec::new();
        BrotliEncoder::new(&text[..1000]).read_to_end(&mut small).await.unwrap();
        assert_eq!(brotli_window(&small), 1024);
        assert_eq!(brotli_window(&small[..1]), 1 << 22);
    }

    #[tokio::test]
    async fn the_window_of_a_zstd_body_is_read() {
        let text = text();
        for log in [18, 21, 23] {
            let params = [CParameter::window_log(log)];
            let mut first = vec![0; 100];
            let mut encoder = ZstdEncoder::with_quality_and_params(&text[..], Level::Default, &params);
            encoder.read_exact(&mut first).await.unwrap();
            assert_eq!(zstd_window(&first), 1 << log);
        }
        // A single-segment frame, with its length in one, two and four bytes.
        assert_eq!(zstd_window(&[0x28, 0xb5, 0x2f, 0xfd, 0x20, 9]), 9);
        assert_eq!(zstd_window(&[0x28, 0xb5, 0x2f, 0xfd, 0x60, 0, 1]), 512);
        assert_eq!(zstd_window(&[0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 1, 0]), 65536);
        assert_eq!(zstd_window(b"(\xb5"), 8 << 20);
    }
}
