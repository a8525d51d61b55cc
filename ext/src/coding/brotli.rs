//! Streams of brotli (RFC 7932), under the codecs of the web platform and of Node.js.

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct};
use brotli::{BrotliDecompressStream, BrotliState};

pub use brotli::BrotliResult;
pub use brotli::enc::encode::{BrotliEncoderOperation as Operation, BrotliEncoderParameter as Parameter};

/// Memory of a decoder without its window: tables.
pub const DECODER_BYTES: usize = 256 << 10;

/// Bytes that one step has read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Bytes of the input that were used.
    pub used: usize,
    /// Bytes of the output that were written.
    pub written: usize,
}

/// A decoder of windows of up to 16 MiB. Larger ones, of up to 1 GiB, are not part of the format.
pub struct Decoder(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>);

impl Decoder {
    /// Creates a decoder.
    #[must_use]
    pub fn new() -> Self {
        let alloc = StandardAlloc::default;
        Self(Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())))
    }

    /// Returns the memory that a decoder needs for data that begins with this byte.
    #[must_use]
    pub fn bytes(first: u8) -> usize {
        DECODER_BYTES + (1 << window_log(first))
    }

    /// Decodes as much as there is room for.
    pub fn step(&mut self, input: &[u8], output: &mut [u8]) -> (BrotliResult, Moved) {
        let (mut moved, mut input_left, mut output_left) = (Moved::default(), input.len(), output.len());
        let result = BrotliDecompressStream(
            &mut input_left,
            &mut moved.used,
            input,
            &mut output_left,
            &mut moved.written,
            output,
            &mut 0,
            &mut self.0,
        );
        (result, moved)
    }

    /// Returns the number of the error after a failure, and its name in brotli's header.
    #[must_use]
    pub fn error(&self) -> (i32, String) {
        (self.0.error_code as i32, format!("{:?}", self.0.error_code))
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
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

/// An encoder.
pub struct Encoder(Box<BrotliEncoderStateStruct<StandardAlloc>>);

impl Encoder {
    /// Creates an encoder with these parameters.
    #[must_use]
    pub fn new(parameters: &[(BrotliEncoderParameter, u32)]) -> Self {
        let mut state = BrotliEncoderStateStruct::new(StandardAlloc::default());
        for (name, value) in parameters {
            state.set_parameter(*name, *value);
        }
        Self(Box::new(state))
    }

    /// Encodes as much as there is room for. `None`: the operation failed.
    pub fn step(&mut self, operation: BrotliEncoderOperation, input: &[u8], output: &mut [u8]) -> Option<Moved> {
        let (mut moved, mut input_left, mut output_left) = (Moved::default(), input.len(), output.len());
        let well = self.0.compress_stream(
            operation,
            &mut input_left,
            input,
            &mut moved.used,
            &mut output_left,
            output,
            &mut moved.written,
            &mut None,
            &mut |_, _, _, _| (),
        );
        well.then_some(moved)
    }

    /// Returns whether all output of a finished stream was taken.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
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
