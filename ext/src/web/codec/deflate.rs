//! `deflate` (RFC 1950, the zlib format) and `deflate-raw` (RFC 1951).

use std::io;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{Codec, Step, trailing, truncated};

/// A window of 32 KiB and tables.
pub(super) const DECODER_BYTES: usize = 64 << 10;
/// Windows, hash chains and buffers.
pub(super) const ENCODER_BYTES: usize = 320 << 10;

#[expect(clippy::cast_possible_truncation, reason = "bytes of slices that are in memory")]
fn step(before: (u64, u64), after: (u64, u64)) -> Step {
    Step {
        used: (after.0 - before.0) as usize,
        written: (after.1 - before.1) as usize,
    }
}

pub(super) struct Decoder {
    inner: Decompress,
    ended: bool,
}

impl Decoder {
    pub(super) fn new(framed: bool) -> Self {
        Self {
            inner: Decompress::new(framed),
            ended: false,
        }
    }

    /// Returns true at the end of the compressed data.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }
}

impl Codec for Decoder {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        if self.ended {
            return if input.is_empty() {
                Ok(Step::default())
            } else {
                Err(trailing())
            };
        }
        let before = (self.inner.total_in(), self.inner.total_out());
        let status = self.inner.decompress(input, output, FlushDecompress::None)?;
        self.ended = status == Status::StreamEnd;
        Ok(step(before, (self.inner.total_in(), self.inner.total_out())))
    }

    fn finish(&mut self, _output: &mut [u8]) -> io::Result<usize> {
        // All output for the input has been returned.
        if self.ended { Ok(0) } else { Err(truncated()) }
    }
}

pub(super) struct Encoder {
    inner: Compress,
    ended: bool,
}

impl Encoder {
    pub(super) fn new(framed: bool) -> Self {
        Self {
            inner: Compress::new(Compression::default(), framed),
            ended: false,
        }
    }
}

impl Codec for Encoder {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        let before = (self.inner.total_in(), self.inner.total_out());
        self.inner.compress(input, output, FlushCompress::None)?;
        Ok(step(before, (self.inner.total_in(), self.inner.total_out())))
    }

    fn finish(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        let before = (self.inner.total_in(), self.inner.total_out());
        let status = self.inner.compress(&[], output, FlushCompress::Finish)?;
        self.ended = status == Status::StreamEnd;
        Ok(step(before, (self.inner.total_in(), self.inner.total_out())).written)
    }
}
