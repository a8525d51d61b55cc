//! The codecs of `CompressionStream` and `DecompressionStream`.
//!
//! A codec works in steps: it gets some input and an output buffer, and returns how much of each it has used. The
//! buffer belongs to the script, so the memory limit covers it before it is filled, and a small input cannot produce
//! more than the worker may hold. <https://compression.spec.whatwg.org/>

mod brotli;
mod deflate;
mod gzip;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use deno_core::{OpState, Resource, ResourceId, op2};

use crate::ledger::Charge;
use crate::quotas::{QuotaError, Usage};
use crate::unwind;

/// Maximum input of a step: a step is native code, which no limit can interrupt.
const INPUT_BYTES_MAX: usize = 256 << 10;

/// Number of bits for the input used in a step's result; the output is above them.
const USED_BITS: u32 = 20;

/// The bytes read and written in a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Step {
    used: usize,
    written: usize,
}

/// One direction of one format.
trait Codec {
    /// The maximum memory it needs, once the first byte of its input is known.
    fn needs(&self, first: u8) -> usize {
        let _ = first;
        0
    }

    /// Consumes input and produces output. If it does neither, it waits for more input.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step>;

    /// Produces the remaining output, when no input is left; returns 0 at the end.
    fn finish(&mut self, output: &mut [u8]) -> io::Result<usize>;
}

fn truncated() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the compressed data is incomplete")
}

fn trailing() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "unexpected data after the end of the compressed data",
    )
}

/// An error of a codec.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
enum CodecError {
    #[class(type)]
    #[error("unknown format: {0}")]
    Format(String),
    #[class(type)]
    #[error("the stream is closed")]
    Closed,
    #[class(type)]
    #[error("{0}")]
    Data(#[from] io::Error),
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    #[class(generic)]
    #[error(transparent)]
    Panicked(#[from] unwind::Panicked),
}

struct CodecResource {
    codec: RefCell<Box<dyn Codec>>,
    /// The memory of its windows and tables.
    charge: RefCell<Charge>,
    has_begun: Cell<bool>,
}

impl Resource for CodecResource {
    fn name(&self) -> Cow<'_, str> {
        "codec".into()
    }
}

/// Creates a codec, and returns the maximum memory it needs.
fn make(format: &str, decodes: bool) -> Option<(Box<dyn Codec>, usize)> {
    Some(match (format, decodes) {
        ("deflate", true) => (Box::new(deflate::Decoder::new(true)), deflate::DECODER_BYTES),
        ("deflate", false) => (Box::new(deflate::Encoder::new(true)), deflate::ENCODER_BYTES),
        ("deflate-raw", true) => (Box::new(deflate::Decoder::new(false)), deflate::DECODER_BYTES),
        ("deflate-raw", false) => (Box::new(deflate::Encoder::new(false)), deflate::ENCODER_BYTES),
        ("gzip", true) => (Box::new(gzip::Decoder::new()), deflate::DECODER_BYTES),
        ("gzip", false) => (Box::new(gzip::Encoder::new()), deflate::ENCODER_BYTES),
        ("brotli", true) => (Box::new(brotli::Decoder::default()), brotli::DECODER_BYTES),
        ("brotli", false) => (Box::new(brotli::Encoder::new()), brotli::ENCODER_BYTES),
        _ => return None,
    })
}

#[op2(fast)]
#[smi]
pub(super) fn op_isopod_codec_new(
    state: &mut OpState,
    #[string] format: &str,
    decodes: bool,
) -> Result<ResourceId, CodecError> {
    let usage = Usage::of(state);
    usage.room_for_handle(state)?;
    let (codec, bytes) = make(format, decodes).ok_or_else(|| CodecError::Format(format.to_owned()))?;
    let charge = usage.hold(bytes)?;
    Ok(state.resource_table.add(CodecResource {
        codec: RefCell::new(codec),
        charge: RefCell::new(charge),
        has_begun: Cell::new(false),
    }))
}

fn codec(state: &OpState, rid: ResourceId) -> Result<Rc<CodecResource>, CodecError> {
    state.resource_table.get(rid).map_err(|_| CodecError::Closed)
}

/// Runs a step on the input from an offset on. Returns one number: the bytes read, and above them the bytes written.
#[op2]
#[number]
pub(super) fn op_isopod_codec_step(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[anybuffer] input: &[u8],
    #[number] offset: usize,
    #[buffer] output: &mut [u8],
) -> Result<u64, CodecError> {
    let resource = codec(state, rid)?;
    // The script may have shrunk its buffer meanwhile.
    let input = input.get(offset..).unwrap_or_default();
    let input = &input[..input.len().min(INPUT_BYTES_MAX)];
    if let Some(first) = input.first()
        && !resource.has_begun.replace(true)
    {
        let mut charge = resource.charge.borrow_mut();
        let more = resource.codec.borrow().needs(*first).saturating_sub(charge.bytes());
        let all = charge.bytes() + Usage::of(state).hold(more)?.bytes();
        charge.resize(all);
    }
    let Step { used, written } = unwind::catch(|| resource.codec.borrow_mut().step(input, output))??;
    Ok(used as u64 | (written as u64) << USED_BITS)
}

/// The next part of the remaining output, after all input; 0 at the end.
#[op2(fast)]
#[number]
pub(super) fn op_isopod_codec_finish(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[buffer] output: &mut [u8],
) -> Result<u64, CodecError> {
    let resource = codec(state, rid)?;
    let written = unwind::catch(|| resource.codec.borrow_mut().finish(output))??;
    Ok(written as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: [&str; 4] = ["deflate", "deflate-raw", "gzip", "brotli"];

    fn run(format: &str, decodes: bool, input: &[u8], chunk: usize, room: usize) -> io::Result<Vec<u8>> {
        let (mut codec, _) = make(format, decodes).expect("a known format");
        let (mut all, mut output) = (Vec::new(), vec![0; room]);
        for part in input.chunks(chunk) {
            let mut at = 0;
            loop {
                let step = codec.step(&part[at..], &mut output)?;
                all.extend_from_slice(&output[..step.written]);
                at += step.used;
                if step == Step::default() {
                    assert_eq!(at, part.len(), "{format}: waits with input left");
                    break;
                }
            }
        }
        loop {
            match codec.finish(&mut output)? {
                0 => return Ok(all),
                written => all.extend_from_slice(&output[..written]),
            }
        }
    }

    fn text() -> Vec<u8> {
        (0..200_000u32).flat_map(|i| (i / 7 % 1000).to_le_bytes()).collect()
    }

    #[test]
    fn compression_round_trips_for_any_chunks() {
        let text = text();
        for format in FORMATS {
            for (chunk, room) in [(1 << 20, 64 << 10), (1000, 777), (3, 64 << 10)] {
                let packed = run(format, false, &text, chunk, room).unwrap();
                assert!(packed.len() < text.len() / 2, "{format}: {}", packed.len());
                let unpacked = run(format, true, &packed, chunk, room).unwrap();
                assert!(unpacked == text, "{format}, {chunk}, {room}");
            }
        }
    }

    #[test]
    fn compressed_empty_data_round_trips() {
        for format in FORMATS {
            let packed = run(format, false, b"", 1, 1000).unwrap();
            assert!(!packed.is_empty(), "{format}");
            assert_eq!(run(format, true, &packed, 1, 1000).unwrap(), b"", "{format}");
        }
    }

    // https://compression.spec.whatwg.org/#decompress-flush-and-enqueue: "If the end of the compressed input has not been
    // reached, then throw a TypeError."
    #[test]
    fn data_that_ends_early_is_an_error_wherever_it_ends() {
        let text = b"the quick brown fox jumps over the lazy dog, the quick brown fox".repeat(3);
        for format in FORMATS {
            let packed = run(format, false, &text, 100, 1000).unwrap();
            for length in 0..packed.len() {
                let error = run(format, true, &packed[..length], 5, 1000);
                assert!(error.is_err(), "{format}: {length} of {}", packed.len());
            }
        }
    }

    // https://compression.spec.whatwg.org/#supported-formats: "It is an error if there is additional input data after" the end.
    #[test]
    fn data_after_the_end_is_an_error() {
        for format in FORMATS {
            let mut packed = run(format, false, b"text", 100, 1000).unwrap();
            packed.push(0);
            for chunk in [1, 1000] {
                let error = run(format, true, &packed, chunk, 1000).unwrap_err();
                assert!(error.to_string().contains("after the end"), "{format}: {error}");
            }
        }
    }

    #[test]
    fn corrupt_data_is_an_error() {
        // RFC 1950, section 2.2: the checksum; RFC 1952, section 2.3.1: the checksum and the length.
        for (format, from_end) in [("deflate", 1), ("gzip", 1), ("gzip", 5)] {
            let mut packed = run(format, false, b"text", 100, 1000).unwrap();
            let at = packed.len() - from_end;
            packed[at] ^= 1;
            assert!(run(format, true, &packed, 100, 1000).is_err(), "{format}, {from_end}");
        }
        for format in FORMATS {
            assert!(run(format, true, &[0xff; 100], 100, 1000).is_err(), "{format}");
        }
        // RFC 7932, section 9.1, has windows of at most 16 MiB; the decoder supports some of 1 GiB.
        assert!(run("brotli", true, &[0x11, 30, 0, 0, 0], 100, 1000).is_err());
    }
}
