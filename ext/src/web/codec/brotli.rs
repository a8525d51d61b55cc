//! `brotli` (RFC 7932).

use std::io;

use super::{Codec, Step, trailing, truncated};
use crate::coding::brotli::{self, BrotliResult, Moved, Operation, Parameter};

pub(super) use crate::coding::brotli::DECODER_BYTES;
/// A buffer of two windows, hash tables, commands.
pub(super) const ENCODER_BYTES: usize = 6 << 20;

/// The quality that servers use for dynamic content.
const QUALITY: u32 = 6;
/// A window of 1 MiB.
const WINDOW_LOG: u32 = 20;

fn corrupt() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "corrupt brotli data")
}

impl From<Moved> for Step {
    fn from(Moved { used, written }: Moved) -> Self {
        Self { used, written }
    }
}

#[derive(Default)]
pub(super) struct Decoder {
    stream: brotli::Decoder,
    ended: bool,
}

impl Codec for Decoder {
    fn needs(&self, first: u8) -> usize {
        brotli::Decoder::bytes(first)
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        if self.ended {
            return if input.is_empty() {
                Ok(Step::default())
            } else {
                Err(trailing())
            };
        }
        let (result, moved) = self.stream.step(input, output);
        match result {
            BrotliResult::ResultFailure => return Err(corrupt()),
            BrotliResult::ResultSuccess => self.ended = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        Ok(moved.into())
    }

    fn finish(&mut self, _output: &mut [u8]) -> io::Result<usize> {
        if self.ended { Ok(0) } else { Err(truncated()) }
    }
}

pub(super) struct Encoder(brotli::Encoder);

impl Encoder {
    pub(super) fn new() -> Self {
        Self(brotli::Encoder::new(&[
            (Parameter::BROTLI_PARAM_QUALITY, QUALITY),
            (Parameter::BROTLI_PARAM_LGWIN, WINDOW_LOG),
        ]))
    }
}

impl Codec for Encoder {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        let moved = self.0.step(Operation::BROTLI_OPERATION_PROCESS, input, output);
        Ok(moved.ok_or_else(corrupt)?.into())
    }

    fn finish(&mut self, output: &mut [u8]) -> io::Result<usize> {
        if self.0.is_finished() {
            return Ok(0);
        }
        let moved = self.0.step(Operation::BROTLI_OPERATION_FINISH, &[], output);
        Ok(moved.ok_or_else(corrupt)?.written)
    }
}
