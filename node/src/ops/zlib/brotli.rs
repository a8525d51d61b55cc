//! Brotli (RFC 7932).

use isopod_ext::coding::brotli::{self, BrotliResult, Moved, Operation, Parameter};

use super::{BUFFER_ERROR, Engine, OK, STREAM_END, Step};

/// The window is charged once its size was read from the data.
pub(super) use isopod_ext::coding::brotli::DECODER_BYTES;

/// Offset of brotli's error codes, so that they differ from zlib's.
const ERROR_BASE: i32 = 1_000;

const UNSET: u32 = u32::MAX;
/// Parameters by number: <https://github.com/google/brotli/blob/v1.1.0/c/include/brotli/encode.h>
const QUALITY: usize = 1;
const WINDOW_LOG: usize = 2;
const LARGE_WINDOW: usize = 6;
/// As in brotli's header.
const DEFAULT_QUALITY: u32 = 11;
/// Less than the 22 of the header, with which an encoder takes 42 MiB.
const DEFAULT_WINDOW_LOG: u32 = 20;

/// A parameter of the decoder: <https://github.com/google/brotli/blob/v1.1.0/c/include/brotli/decode.h>
const DECODER_LARGE_WINDOW: usize = 1;

const TOO_LARGE: &str = "windows of more than 16 MiB are not available in workers";

fn given(parameters: &[u32], number: usize) -> Option<u32> {
    parameters.get(number).copied().filter(|value| *value != UNSET)
}

/// Refuses parameters that are not part of the format.
pub(super) fn check_decoder(parameters: &[u32]) -> Result<(), &'static str> {
    match given(parameters, DECODER_LARGE_WINDOW) {
        None | Some(0) => Ok(()),
        Some(_) => Err(TOO_LARGE),
    }
}

/// The parameters of an encoder.
#[derive(Debug)]
pub(super) struct Settings(Vec<(Parameter, u32)>, usize);

impl Settings {
    pub(super) fn new(parameters: &[u32]) -> Result<Self, &'static str> {
        use Parameter as Name;
        if given(parameters, LARGE_WINDOW).is_some_and(|large| large != 0) {
            return Err(TOO_LARGE);
        }
        let names = [
            Name::BROTLI_PARAM_MODE,
            Name::BROTLI_PARAM_QUALITY,
            Name::BROTLI_PARAM_LGWIN,
            Name::BROTLI_PARAM_LGBLOCK,
            Name::BROTLI_PARAM_DISABLE_LITERAL_CONTEXT_MODELING,
            Name::BROTLI_PARAM_SIZE_HINT,
        ];
        let set = names.into_iter().enumerate();
        let set = set
            .filter_map(|(number, name)| Some((name, given(parameters, number)?)))
            .collect();
        let window_log = given(parameters, WINDOW_LOG).unwrap_or(DEFAULT_WINDOW_LOG);
        if !(10..=24).contains(&window_log) {
            return Err("the size of the window is out of range");
        }
        let quality = given(parameters, QUALITY).unwrap_or(DEFAULT_QUALITY);
        Ok(Self(set, memory(quality, window_log)))
    }

    /// The memory of the encoder.
    pub(super) fn bytes(&self) -> usize {
        self.1
    }
}

/// Estimates the memory: two windows and tables, from quality 10 on with two numbers for each byte of a window.
fn memory(quality: u32, window_log: u32) -> usize {
    let window = 1usize << window_log;
    let tables = match quality {
        0..=4 => 1 << 20,
        5..=9 => 4 << 20,
        _ => 8 * window + (2 << 20),
    };
    2 * window + tables
}

pub(super) struct Encoder(brotli::Encoder);

impl Encoder {
    pub(super) fn new(settings: &Settings) -> Self {
        Self(brotli::Encoder::new(&settings.0))
    }
}

impl Engine for Encoder {
    fn step(&mut self, flush: i32, input: &[u8], output: &mut [u8]) -> Step {
        let operation = match flush {
            1 => Operation::BROTLI_OPERATION_FLUSH,
            2 => Operation::BROTLI_OPERATION_FINISH,
            3 => Operation::BROTLI_OPERATION_EMIT_METADATA,
            _ => Operation::BROTLI_OPERATION_PROCESS,
        };
        // A failure consumes no input, by which it is recognized.
        let Moved { used, written } = self.0.step(operation, input, output).unwrap_or_default();
        let code = if self.0.is_finished() { STREAM_END } else { OK };
        Step { code, used, written }
    }

    fn message(&self) -> Option<String> {
        None
    }
}

#[derive(Default)]
pub(super) struct Decoder {
    stream: brotli::Decoder,
    has_begun: bool,
}

impl Engine for Decoder {
    fn needs(&self, first: u8) -> usize {
        match self.has_begun {
            true => 0,
            false => brotli::Decoder::bytes(first),
        }
    }

    fn step(&mut self, _flush: i32, input: &[u8], output: &mut [u8]) -> Step {
        self.has_begun |= !input.is_empty();
        let (result, Moved { used, written }) = self.stream.step(input, output);
        let code = match result {
            BrotliResult::ResultSuccess => STREAM_END,
            BrotliResult::NeedsMoreOutput => OK,
            BrotliResult::NeedsMoreInput => BUFFER_ERROR,
            BrotliResult::ResultFailure => self.stream.error().0 - ERROR_BASE,
        };
        Step { code, used, written }
    }

    /// Returns the name of the error in brotli's header.
    fn message(&self) -> Option<String> {
        Some(self.stream.error().1.trim_start_matches("BROTLI_DECODER").to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{Settings, UNSET, check_decoder, memory};

    #[test]
    fn large_windows_are_refused() {
        assert!(check_decoder(&[UNSET, 1]).is_err());
        assert!(check_decoder(&[UNSET, 0]).is_ok());
        assert!(Settings::new(&[UNSET, UNSET, 25]).is_err());
        assert!(Settings::new(&[UNSET, UNSET, UNSET, UNSET, UNSET, UNSET, 1]).is_err());
    }

    #[test]
    fn the_memory_is_that_of_the_settings() {
        assert_eq!(Settings::new(&[]).unwrap().bytes(), memory(11, 20));
        assert_eq!(Settings::new(&[UNSET, 11, 22]).unwrap().bytes(), memory(11, 22));
        assert!(memory(11, 20) < 16 << 20 && memory(11, 22) < 64 << 20);
        assert!(memory(4, 18) < memory(9, 18) && memory(9, 18) < memory(9, 22));
    }
}
