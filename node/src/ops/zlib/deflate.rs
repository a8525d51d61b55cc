//! zlib (RFC 1950), raw deflate (RFC 1951) and gzip (RFC 1952).

use zlib_rs::Strategy;
use zlib_rs::{
    Deflate, DeflateConfig, DeflateError, DeflateFlush, Inflate, InflateError, InflateFlush, Method, Status,
};

use super::{BUFFER_ERROR, DATA_ERROR, Engine, MEMORY_ERROR, NEED_DICTIONARY, OK, STREAM_END, STREAM_ERROR, Step};

/// A window of 32 KiB and tables.
const DECODER_BYTES: usize = 64 << 10;
/// Windows, hash chains and buffers, with the usual settings.
const ENCODER_BYTES: usize = 320 << 10;

const GZIP_FIRST: u8 = 0x1f;

/// Size of the window, beyond which a dictionary has no use.
const DICTIONARY_BYTES_MAX: usize = 32 << 10;

/// Added to the bits of the window for gzip, and for a format that the data determines.
/// <https://github.com/madler/zlib/blob/v1.3.1/zlib.h>, `inflateInit2`
const GZIP_BITS: u8 = 16;
const ANY_BITS: u8 = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Zlib,
    Raw,
    Gzip,
    /// Zlib or gzip, determined by the data.
    Any,
}

/// The parameters of an engine.
#[derive(Debug)]
pub(super) struct Settings {
    format: Format,
    decodes: bool,
    window_bits: u8,
    level: i32,
    memory_level: i32,
    strategy: Strategy,
    dictionary: Option<Vec<u8>>,
}

impl Settings {
    pub(super) fn new(
        mode: i32,
        window_bits: i32,
        level: i32,
        memory_level: i32,
        strategy: i32,
        dictionary: Option<&[u8]>,
    ) -> Result<Self, &'static str> {
        // `node_zlib_mode`: https://github.com/nodejs/node/blob/v24.0.0/src/node_zlib.h
        let (format, decodes) = match mode {
            1 => (Format::Zlib, false),
            2 => (Format::Zlib, true),
            3 => (Format::Gzip, false),
            4 => (Format::Gzip, true),
            5 => (Format::Raw, false),
            6 => (Format::Raw, true),
            7 => (Format::Any, true),
            _ => return Err("unknown mode"),
        };
        let window_bits = match (window_bits, decodes) {
            // The data has the size; the largest is always sufficient.
            (0, true) => 15,
            (8..=15, _) => u8::try_from(window_bits).unwrap_or(15),
            _ => return Err("invalid windowBits"),
        };
        if !(-1..=9).contains(&level) {
            return Err("invalid level");
        }
        if !(1..=9).contains(&memory_level) {
            return Err("invalid memLevel");
        }
        let last = |dictionary: &[u8]| dictionary[dictionary.len().saturating_sub(DICTIONARY_BYTES_MAX)..].to_vec();
        // A decoder checks the whole dictionary.
        let kept = |dictionary: &[u8]| if decodes { dictionary.to_vec() } else { last(dictionary) };
        Ok(Self {
            format,
            decodes,
            window_bits,
            level,
            memory_level,
            strategy: Strategy::try_from(strategy).map_err(|()| "invalid strategy")?,
            dictionary: dictionary.map(kept),
        })
    }

    /// The memory of the engine.
    pub(super) fn bytes(&self) -> usize {
        let engine = match self.decodes {
            true => DECODER_BYTES,
            // Up to twice as much with the highest `memLevel`.
            false => ENCODER_BYTES + (1 << (self.memory_level + 9)),
        };
        engine + self.dictionary.as_ref().map_or(0, Vec::len)
    }

    pub(super) fn engine(self) -> Result<Box<dyn Engine>, String> {
        match self.decodes {
            true => Ok(Box::new(Decoder::new(self))),
            false => Ok(Box::new(Encoder::new(self)?)),
        }
    }
}

fn lengths(code: i32, before: (u64, u64), after: (u64, u64)) -> Step {
    let difference = |before, after: u64| usize::try_from(after.wrapping_sub(before)).unwrap_or(usize::MAX);
    Step {
        code,
        used: difference(before.0, after.0),
        written: difference(before.1, after.1),
    }
}

struct Encoder {
    inner: Deflate,
    settings: Settings,
}

fn compressor(settings: &Settings) -> Result<Deflate, String> {
    let bits = i32::from(settings.window_bits);
    let mut inner = Deflate::new_with_config(DeflateConfig {
        level: settings.level,
        method: Method::Deflated,
        window_bits: match settings.format {
            Format::Raw => -bits.max(9),
            Format::Gzip => bits.max(9) + i32::from(GZIP_BITS),
            Format::Zlib | Format::Any => bits,
        },
        mem_level: settings.memory_level,
        strategy: settings.strategy,
    });
    if let (Some(dictionary), Format::Zlib | Format::Raw) = (&settings.dictionary, settings.format) {
        inner
            .set_dictionary(dictionary)
            .map_err(|_| "Failed to set dictionary")?;
    }
    Ok(inner)
}

impl Encoder {
    fn new(settings: Settings) -> Result<Self, String> {
        Ok(Self {
            inner: compressor(&settings)?,
            settings,
        })
    }

    fn totals(&self) -> (u64, u64) {
        (self.inner.total_in(), self.inner.total_out())
    }
}

fn deflate_code(result: Result<Status, DeflateError>) -> i32 {
    match result {
        Ok(Status::Ok) => OK,
        Ok(Status::BufError) => BUFFER_ERROR,
        Ok(Status::StreamEnd) => STREAM_END,
        Err(DeflateError::StreamError) => STREAM_ERROR,
        Err(DeflateError::DataError) => DATA_ERROR,
        Err(DeflateError::MemError) => MEMORY_ERROR,
    }
}

impl Engine for Encoder {
    fn step(&mut self, flush: i32, input: &[u8], output: &mut [u8]) -> Step {
        let Ok(flush) = DeflateFlush::try_from(flush) else {
            return Step {
                code: STREAM_ERROR,
                ..Step::default()
            };
        };
        let before = self.totals();
        let result = self.inner.compress(input, output, flush);
        lengths(deflate_code(result), before, self.totals())
    }

    fn message(&self) -> Option<String> {
        self.inner.error_message().map(str::to_owned)
    }

    fn reset(&mut self) {
        self.inner.reset();
        if let (Some(dictionary), Format::Zlib | Format::Raw) = (&self.settings.dictionary, self.settings.format) {
            // The same dictionary was accepted before.
            let _ = self.inner.set_dictionary(dictionary);
        }
    }
}

struct Decoder {
    inner: Inflate,
    settings: Settings,
    /// True if the data is gzip, which may have several members.
    is_gzip: bool,
    has_begun: bool,
}

fn decompressor(settings: &Settings) -> Inflate {
    let bits = settings.window_bits;
    let mut inner = match settings.format {
        Format::Raw => Inflate::new(false, bits),
        Format::Zlib => Inflate::new(true, bits),
        Format::Gzip => Inflate::new(true, bits + GZIP_BITS),
        Format::Any => Inflate::new(true, bits + ANY_BITS),
    };
    if let (Some(dictionary), Format::Raw) = (&settings.dictionary, settings.format) {
        // Raw data accepts a dictionary of any length.
        let _ = inner.set_dictionary(dictionary);
    }
    inner
}

impl Decoder {
    fn new(settings: Settings) -> Self {
        Self {
            inner: decompressor(&settings),
            is_gzip: settings.format == Format::Gzip,
            has_begun: false,
            settings,
        }
    }

    fn inflate(&mut self, flush: InflateFlush, input: &[u8], output: &mut [u8]) -> Step {
        let totals = |inner: &Inflate| (inner.total_in(), inner.total_out());
        let before = totals(&self.inner);
        let code = match self.inner.decompress(input, output, flush) {
            Ok(Status::Ok) => OK,
            Ok(Status::BufError) => BUFFER_ERROR,
            Ok(Status::StreamEnd) => STREAM_END,
            Err(InflateError::NeedDict { .. }) => NEED_DICTIONARY,
            Err(InflateError::StreamError) => STREAM_ERROR,
            Err(InflateError::DataError) => DATA_ERROR,
            Err(InflateError::MemError) => MEMORY_ERROR,
        };
        lengths(code, before, totals(&self.inner))
    }

    /// Continues after a step with the remaining input and room.
    fn then(&mut self, done: &mut Step, flush: InflateFlush, input: &[u8], output: &mut [u8]) {
        let more = self.inflate(flush, &input[done.used..], &mut output[done.written..]);
        *done = Step {
            code: more.code,
            used: done.used + more.used,
            written: done.written + more.written,
        };
    }
}

impl Engine for Decoder {
    fn step(&mut self, flush: i32, input: &[u8], output: &mut [u8]) -> Step {
        let flush = InflateFlush::try_from(flush).unwrap_or(InflateFlush::SyncFlush);
        if let (Some(first), false) = (input.first(), self.has_begun) {
            self.has_begun = true;
            self.is_gzip |= self.settings.format == Format::Any && *first == GZIP_FIRST;
        }
        let mut done = self.inflate(flush, input, output);
        if done.code == NEED_DICTIONARY
            && let Some(dictionary) = &self.settings.dictionary
        {
            match self.inner.set_dictionary(dictionary) {
                Ok(_) => self.then(&mut done, flush, input, output),
                Err(_) => done.code = NEED_DICTIONARY,
            }
        }
        // Another member; zeros are padding.
        while self.is_gzip && done.code == STREAM_END && input.get(done.used).is_some_and(|next| *next != 0) {
            self.inner = decompressor(&self.settings);
            self.then(&mut done, flush, input, output);
        }
        done
    }

    fn message(&self) -> Option<String> {
        self.inner.error_message().map(str::to_owned)
    }

    fn reset(&mut self) {
        self.inner = decompressor(&self.settings);
        self.is_gzip = self.settings.format == Format::Gzip;
        self.has_begun = false;
    }
}
