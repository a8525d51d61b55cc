//! `brotli` (RFC 7932).

use std::io;

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct};
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

use super::{Codec, Step, trailing, truncated};

/// Tables; the window is reserved once the data has specified its size.
pub(super) const DECODER_BYTES: usize = 256 << 10;
/// A buffer of two windows, hash tables, commands.
pub(super) const ENCODER_BYTES: usize = 6 << 20;

/// The quality that servers use for dynamic content.
const QUALITY: u32 = 6;
/// A window of 1 MiB.
const WINDOW_LOG: u32 = 20;

fn corrupt() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "corrupt brotli data")
}

pub(super) struct Decoder {
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    ended: bool,
}

impl Decoder {
    pub(super) fn new() -> Self {
        let alloc = StandardAlloc::default;
        Self {
            // Strict: without windows of up to 1 GiB, which are not part of the format.
            state: Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())),
            ended: false,
        }
    }
}

/// The binary logarithm of the window size specified by the first byte (section 9.1).
fn window_log(first: u8) -> u32 {
    match (first & 1, first >> 1 & 0b111, first >> 4 & 0b111) {
        (0, _, _) => 16,
        (_, 0, 0) => 17,
        (_, 0, more) => 8 + u32::from(more),
        (_, more, _) => 17 + u32::from(more),
    }
}

impl Codec for Decoder {
    fn needs(&self, first: u8) -> usize {
        DECODER_BYTES + (1 << window_log(first))
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        if self.ended {
            return if input.is_empty() {
                Ok(Step::default())
            } else {
                Err(trailing())
            };
        }
        let (mut step, mut input_left, mut output_left) = (Step::default(), input.len(), output.len());
        let result = BrotliDecompressStream(
            &mut input_left,
            &mut step.used,
            input,
            &mut output_left,
            &mut step.written,
            output,
            &mut 0,
            &mut self.state,
        );
        match result {
            BrotliResult::ResultFailure => return Err(corrupt()),
            BrotliResult::ResultSuccess => self.ended = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        Ok(step)
    }

    fn finish(&mut self, _output: &mut [u8]) -> io::Result<usize> {
        if self.ended { Ok(0) } else { Err(truncated()) }
    }
}

pub(super) struct Encoder(Box<BrotliEncoderStateStruct<StandardAlloc>>);

impl Encoder {
    pub(super) fn new() -> Self {
        let mut state = BrotliEncoderStateStruct::new(StandardAlloc::default());
        state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_QUALITY, QUALITY);
        state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_LGWIN, WINDOW_LOG);
        Self(Box::new(state))
    }

    fn run(&mut self, operation: BrotliEncoderOperation, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        let (mut step, mut input_left, mut output_left) = (Step::default(), input.len(), output.len());
        let well = self.0.compress_stream(
            operation,
            &mut input_left,
            input,
            &mut step.used,
            &mut output_left,
            output,
            &mut step.written,
            &mut None,
            &mut |_, _, _, _| (),
        );
        if well { Ok(step) } else { Err(corrupt()) }
    }
}

impl Codec for Encoder {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        self.run(BrotliEncoderOperation::BROTLI_OPERATION_PROCESS, input, output)
    }

    fn finish(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if self.0.is_finished() {
            return Ok(0);
        }
        let step = self.run(BrotliEncoderOperation::BROTLI_OPERATION_FINISH, &[], output)?;
        Ok(step.written)
    }
}

#[cfg(test)]
mod tests {
    use super::window_log;

    // RFC 7932, section 9.1.
    #[test]
    fn the_window_is_as_large_as_the_first_byte_says() {
        let sizes = [
            (0b0, 16),
            (0b000_0001, 17),
            (0b0011, 18),
            (0b1111, 24),
            (0b010_0001, 10),
            (0b111_0001, 15),
        ];
        for (first, size) in sizes {
            assert_eq!(window_log(first), size, "{first:b}");
        }
    }
}
