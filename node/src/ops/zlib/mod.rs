//! The ops of `node:zlib`: one engine for each stream.
//!
//! A call reads input and fills a buffer of the script, so the memory limit covers the output in advance. The memory of an engine is
//! charged when it is created. `zlib_binding.js` calls it in steps, because native code cannot be interrupted.

mod brotli;
mod deflate;

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::{OpState, Resource, ResourceId, op2};
use deno_error::JsErrorBox;
use isopod_ext::ledger::Charge;
use isopod_ext::quotas::{QuotaError, Usage};
use isopod_ext::unwind::{self, Panicked};

/// <https://github.com/madler/zlib/blob/v1.3.1/zlib.h>, "Return codes"
const OK: i32 = 0;
const STREAM_END: i32 = 1;
const NEED_DICTIONARY: i32 = 2;
const STREAM_ERROR: i32 = -2;
const DATA_ERROR: i32 = -3;
const MEMORY_ERROR: i32 = -4;
const BUFFER_ERROR: i32 = -5;

/// The result of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Step {
    /// One of zlib's return codes, or brotli's error code.
    code: i32,
    used: usize,
    written: usize,
}

/// A compressor or decompressor.
trait Engine {
    /// Consumes input and writes output. `flush` is a constant of the format.
    fn step(&mut self, flush: i32, input: &[u8], output: &mut [u8]) -> Step;

    /// Returns the message of the last error; `None` if the format has none.
    fn message(&self) -> Option<String>;

    /// Resets the engine.
    fn reset(&mut self) {}

    /// Returns the maximum memory for input that begins with this byte.
    fn needs(&self, first: u8) -> usize {
        let _ = first;
        0
    }
}

#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub(super) enum ZlibError {
    #[class(inherit)]
    #[error(transparent)]
    Refused(#[from] JsErrorBox),
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    #[class(inherit)]
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

struct EngineResource {
    engine: RefCell<Box<dyn Engine>>,
    charge: RefCell<Charge>,
}

impl Resource for EngineResource {
    fn name(&self) -> std::borrow::Cow<'_, str> {
        "zlib".into()
    }
}

fn engine(state: &OpState, rid: ResourceId) -> Result<Rc<EngineResource>, ZlibError> {
    let closed = |_| ZlibError::Refused(JsErrorBox::generic("the stream is closed"));
    state.resource_table.get(rid).map_err(closed)
}

/// Charges the memory, then creates the engine.
fn add(
    state: &mut OpState,
    bytes: usize,
    make: impl FnOnce() -> Result<Box<dyn Engine>, String>,
) -> Result<ResourceId, ZlibError> {
    let usage = Usage::of(state);
    usage.room_for_handle(state)?;
    let charge = usage.hold(bytes)?;
    let engine = unwind::catch(make)?.map_err(JsErrorBox::generic)?;
    Ok(state.resource_table.add(EngineResource {
        engine: RefCell::new(engine),
        charge: RefCell::new(charge),
    }))
}

/// Creates an engine for zlib's formats. `mode` is one of Node.js's.
#[op2]
#[smi]
pub(super) fn op_isopod_zlib_new(
    state: &mut OpState,
    #[smi] mode: i32,
    #[smi] window_bits: i32,
    #[smi] level: i32,
    #[smi] memory_level: i32,
    #[smi] strategy: i32,
    #[buffer] dictionary: Option<&[u8]>,
) -> Result<ResourceId, ZlibError> {
    let settings = deflate::Settings::new(mode, window_bits, level, memory_level, strategy, dictionary)
        .map_err(JsErrorBox::type_error)?;
    add(state, settings.bytes(), || settings.engine())
}

/// Creates an engine for brotli. `parameters`: values by number, `u32::MAX` for the default.
#[op2(fast)]
#[smi]
pub(super) fn op_isopod_brotli_new(
    state: &mut OpState,
    decodes: bool,
    #[buffer] parameters: &[u32],
) -> Result<ResourceId, ZlibError> {
    if decodes {
        brotli::check_decoder(parameters).map_err(JsErrorBox::generic)?;
        return add(state, brotli::DECODER_BYTES, || {
            Ok(Box::new(brotli::Decoder::default()))
        });
    }
    let settings = brotli::Settings::new(parameters).map_err(JsErrorBox::generic)?;
    add(state, settings.bytes(), || {
        Ok(Box::new(brotli::Encoder::new(&settings)))
    })
}

/// Runs a step, and writes the numbers of consumed and written bytes to `done`. Returns a code.
#[op2(fast)]
#[smi]
pub(super) fn op_isopod_zlib_step(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[smi] flush: i32,
    #[buffer] input: &[u8],
    #[buffer] output: &mut [u8],
    #[buffer] done: &mut [u32],
) -> Result<i32, ZlibError> {
    let resource = engine(state, rid)?;
    if let Some(first) = input.first() {
        let mut charge = resource.charge.borrow_mut();
        let more = resource.engine.borrow().needs(*first).saturating_sub(charge.bytes());
        if more > 0 {
            let all = charge.bytes() + Usage::of(state).hold(more)?.bytes();
            charge.resize(all);
        }
    }
    let step = unwind::catch(|| resource.engine.borrow_mut().step(flush, input, output))?;
    if let [used, written, ..] = done {
        *used = u32::try_from(step.used).unwrap_or(u32::MAX);
        *written = u32::try_from(step.written).unwrap_or(u32::MAX);
    }
    Ok(step.code)
}

/// Returns the message of the last error.
#[op2]
#[string]
pub(super) fn op_isopod_zlib_message(state: &mut OpState, #[smi] rid: ResourceId) -> Result<Option<String>, ZlibError> {
    Ok(engine(state, rid)?.engine.borrow().message())
}

#[op2(fast)]
pub(super) fn op_isopod_zlib_reset(state: &mut OpState, #[smi] rid: ResourceId) -> Result<(), ZlibError> {
    let resource = engine(state, rid)?;
    Ok(unwind::catch(|| resource.engine.borrow_mut().reset())?)
}

/// Returns the checksum of gzip, continued from an earlier one.
#[op2(fast)]
pub(super) fn op_isopod_crc32(#[buffer] data: &[u8], begun: u32) -> u32 {
    zlib_rs::crc32::crc32(begun, data)
}
