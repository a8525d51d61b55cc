//! Brotli (RFC 7932).

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{BrotliEncoderOperation, BrotliEncoderParameter, BrotliEncoderStateStruct};
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

use super::{BUFFER_ERROR, Engine, OK, STREAM_END, Step};

/// Tables; the window is charged once the data has said its size.
pub(super) const DECODER_BYTES: usize = 256 << 10;

/// Brotli's own error codes are this much above the codes of steps, so that none is one of zlib's.
const ERROR_BASE: i32 = 1_000;

const UNSET: u32 = u32::MAX;
/// Parameters by number: <https://github.com/google/brotli/blob/v1.1.0/c/include/brotli/encode.h>
const QUALITY: usize = 1;
const WINDOW_LOG: usize = 2;
const LARGE_WINDOW: usize = 6;
/// As in brotli's own header.
const DEFAULT_QUALITY: u32 = 11;
/// Not 22 as there: an encoder would take 42 MiB.
const DEFAULT_WINDOW_LOG: u32 = 20;

/// Of the decoder: <https://github.com/google/brotli/blob/v1.1.0/c/include/brotli/decode.h>
const DECODER_LARGE_WINDOW: usize = 1;

const TOO_LARGE: &str = "windows of more than 16 MiB are not available in workers";

fn given(parameters: &[u32], number: usize) -> Option<u32> {
    parameters.get(number).copied().filter(|value| *value != UNSET)
}

/// Refuses what is not part of the format.
pub(super) fn check_decoder(parameters: &[u32]) -> Result<(), &'static str> {
    match given(parameters, DECODER_LARGE_WINDOW) {
        None | Some(0) => Ok(()),
        Some(_) => Err(TOO_LARGE),
    }
}

/// The parameters of an encoder.
#[derive(Debug)]
pub(super) struct Settings(Vec<(BrotliEncoderParameter, u32)>, usize);

impl Settings {
    pub(super) fn new(parameters: &[u32]) -> Result<Self, &'static str> {
        use BrotliEncoderParameter as Name;
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

/// Two windows, and tables: from quality 10 on, two numbers for each byte of a window.
fn memory(quality: u32, window_log: u32) -> usize {
    let window = 1usize << window_log;
    let tables = match quality {
        0..=4 => 1 << 20,
        5..=9 => 4 << 20,
        _ => 8 * window + (2 << 20),
    };
    2 * window + tables
}

pub(super) struct Encoder(Box<BrotliEncoderStateStruct<StandardAlloc>>);

impl Encoder {
    pub(super) fn new(settings: &Settings) -> Self {
        let mut state = BrotliEncoderStateStruct::new(StandardAlloc::default());
        for (name, value) in &settings.0 {
            state.set_parameter(*name, *value);
        }
        Self(Box::new(state))
    }
}

impl Engine for Encoder {
    fn step(&mut self, flush: i32, input: &[u8], output: &mut [u8]) -> Step {
        let operation = match flush {
            1 => BrotliEncoderOperation::BROTLI_OPERATION_FLUSH,
            2 => BrotliEncoderOperation::BROTLI_OPERATION_FINISH,
            3 => BrotliEncoderOperation::BROTLI_OPERATION_EMIT_METADATA,
            _ => BrotliEncoderOperation::BROTLI_OPERATION_PROCESS,
        };
        let (mut input_left, mut output_left) = (input.len(), output.len());
        let (mut used, mut written) = (0, 0);
        // A failure leaves all input, which says so.
        self.0.compress_stream(
            operation,
            &mut input_left,
            input,
            &mut used,
            &mut output_left,
            output,
            &mut written,
            &mut None,
            &mut |_, _, _, _| (),
        );
        let code = if self.0.is_finished() { STREAM_END } else { OK };
        Step { code, used, written }
    }

    fn message(&self) -> Option<String> {
        None
    }
}

pub(super) struct Decoder {
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    has_begun: bool,
}

impl Decoder {
    pub(super) fn new() -> Self {
        let alloc = StandardAlloc::default;
        Self {
            // Strict: without windows of up to 1 GiB, which are not part of the format.
            state: Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())),
            has_begun: false,
        }
    }
}

/// The binary logarithm of the window's size by the first byte (section 9.1).
fn window_log(first: u8) -> u32 {
    match (first & 1, first >> 1 & 0b111, first >> 4 & 0b111) {
        (0, _, _) => 16,
        (_, 0, 0) => 17,
        (_, 0, more) => 8 + u32::from(more),
        (_, more, _) => 17 + u32::from(more),
    }
}

impl Engine for Decoder {
    fn needs(&self, first: u8) -> usize {
        match self.has_begun {
            true => 0,
            false => DECODER_BYTES + (1 << window_log(first)),
        }
    }

    fn step(&mut self, _flush: i32, input: &[u8], output: &mut [u8]) -> Step {
        self.has_begun |= !input.is_empty();
        let (mut input_left, mut output_left) = (input.len(), output.len());
        let (mut used, mut written) = (0, 0);
        let result = BrotliDecompressStream(
            &mut input_left,
            &mut used,
            input,
            &mut output_left,
            &mut written,
            output,
            &mut 0,
            &mut self.state,
        );
        let code = match result {
            BrotliResult::ResultSuccess => STREAM_END,
            BrotliResult::NeedsMoreOutput => OK,
            BrotliResult::NeedsMoreInput => BUFFER_ERROR,
            BrotliResult::ResultFailure => self.state.error_code as i32 - ERROR_BASE,
        };
        Step { code, used, written }
    }

    /// The name of the error, as it is in brotli's header.
    fn message(&self) -> Option<String> {
        let name = format!("{:?}", self.state.error_code);
        Some(name.trim_start_matches("BROTLI_DECODER").to_owned())
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
