//! The ops with which `guards.js` checks quotas and memory for deno's scripts.

use std::rc::Rc;
use std::sync::Arc;

use deno_core::{FromV8, OpState, op2, v8};
use deno_error::JsErrorBox;
use deno_web::BlobStoreTrait;

use super::text::{self, Use};
use super::wasm_types::{op_isopod_room_for_module, op_isopod_room_for_tag};
use super::{QuotaError, Usage};

impl Usage {
    /// Places it in a worker's state, before any JavaScript of its script runs.
    pub fn install(self: &Rc<Self>, state: &mut OpState) {
        state.put(Rc::clone(self));
        let blobs: Arc<dyn BlobStoreTrait> = self.blobs.clone();
        state.put(blobs);
    }
}

#[op2(nofast)]
fn op_isopod_room_for_timer(state: &mut OpState) -> Result<(), QuotaError> {
    Usage::of(state).room_for_timer()
}

/// Checks for room in a worker's memory. The runtime puts it into a slot of the isolate.
pub struct MemoryRoom {
    /// The worker's memory limit.
    pub limit: usize,
    /// Returns true if there is room for the bytes.
    pub ask: AskRoom,
}

/// Called with the isolate, the bytes, and whether something may have become garbage.
type AskRoom = Rc<dyn Fn(&mut v8::Isolate, usize, bool) -> bool>;

/// V8 would allocate more than there is room for.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[class(range)]
#[error("this worker has no memory left for another {0} bytes (`limits.memory`)")]
struct NoRoom(usize);

#[op2(nofast, reentrant)]
fn op_isopod_room_for_memory(
    scope: &mut v8::PinScope<'_, '_>,
    #[number] bytes: usize,
    freed: bool,
) -> Result<(), NoRoom> {
    room_for(scope, bytes, freed)
}

fn room_for(isolate: &mut v8::Isolate, bytes: usize, freed: bool) -> Result<(), NoRoom> {
    let room = isolate.get_slot::<MemoryRoom>().map(|room| Rc::clone(&room.ask));
    match room.is_none_or(|room| room(isolate, bytes, freed)) {
        true => Ok(()),
        false => Err(NoRoom(bytes)),
    }
}

/// Checks for room for the memory that an op allocates for its argument: a text, the bytes of one, or a list of either.
/// `times`: how many copies it makes.
#[op2(nofast, reentrant)]
fn op_isopod_room_for_text(
    scope: &mut v8::PinScope<'_, '_>,
    value: v8::Local<'_, v8::Value>,
    #[smi] used: u32,
    #[smi] times: u32,
) -> Result<(), NoRoom> {
    let mut whole = 0;
    let taken = bytes_taken(scope, value, Use::of(used), &mut whole)?;
    room_for(scope, whole.saturating_add(taken.saturating_mul(times as usize)), false)
}

/// Adds up the memory for the texts, and their own bytes in `whole`. Reading a text flattens it, for which there must
/// be room first.
fn bytes_taken(
    scope: &mut v8::PinScope<'_, '_>,
    value: v8::Local<'_, v8::Value>,
    used: Use,
    whole: &mut usize,
) -> Result<usize, NoRoom> {
    if let Ok(text) = v8::Local::<v8::String>::try_from(value) {
        let own = text::own_bytes(text);
        *whole = whole.saturating_add(own);
        room_for(scope, *whole, false)?;
        return Ok(text::bytes_of_text(scope, text, used));
    }
    if let Ok(view) = v8::Local::<v8::ArrayBufferView>::try_from(value) {
        return Ok(text::bytes_of_utf8(view.get_contents(&mut [0; 64]), used));
    }
    let Ok(list) = v8::Local::<v8::Array>::try_from(value) else {
        return Ok(0);
    };
    let mut bytes = 0_usize;
    for index in 0..list.length() {
        if let Some(item) = list.get_index(scope, index) {
            bytes = bytes.saturating_add(bytes_taken(scope, item, used, whole)?);
        }
    }
    Ok(bytes)
}

/// The worker's memory limit; infinite if memory is not counted.
#[op2(nofast)]
fn op_isopod_memory_limit(scope: &mut v8::PinScope<'_, '_>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far less than 2^53 bytes")]
    scope
        .get_slot::<MemoryRoom>()
        .map_or(f64::INFINITY, |room| room.limit as f64)
}

#[op2(nofast)]
fn op_isopod_room_for_handle(state: &mut OpState) -> Result<(), QuotaError> {
    Usage::of(state).room_for_handle(state)
}

#[op2(nofast)]
fn op_isopod_room_for_promise(state: &mut OpState, #[smi] waiting: u32) -> Result<(), QuotaError> {
    let max = Usage::of(state).quotas.wait_until_promises;
    super::usage::within(waiting as usize, max, QuotaError::WaitUntil)
}

#[op2(nofast)]
fn op_isopod_room_for_blob(state: &mut OpState, #[number] bytes: usize) -> Result<(), QuotaError> {
    let usage = Usage::of(state);
    usage.blobs.expect(usage.hold(bytes)?);
    Ok(())
}

/// A range of a part of a blob, as deno's scripts pass it.
#[derive(FromV8)]
struct SliceRange {
    start: usize,
    len: usize,
}

/// Replaces `op_blob_slice_part`, whose slices of slices nest.
#[op2]
fn op_isopod_blob_slice_part(
    state: &mut OpState,
    #[scoped] id: uuid::Uuid,
    #[scoped] range: SliceRange,
) -> Result<uuid::Uuid, JsErrorBox> {
    let slice = Usage::of(state).blobs.slice(&id, range.start, range.len);
    slice.ok_or_else(|| JsErrorBox::type_error("the blob has no such part"))
}

/// Checks for room for a part that shares its bytes with another.
#[op2(nofast)]
fn op_isopod_room_for_part(state: &mut OpState) -> Result<(), QuotaError> {
    Usage::of(state).hold(super::blobs::PART_BYTES).map(drop)
}

/// Charges bytes outside of the heap, until the script reports that they are released.
#[op2(nofast)]
fn op_isopod_hold(state: &mut OpState, #[number] bytes: usize) -> Result<(), QuotaError> {
    Usage::of(state).hold_unowned(bytes)
}

#[op2(fast)]
fn op_isopod_release(state: &mut OpState, #[number] bytes: usize) {
    Usage::of(state).release(bytes);
}

/// Begins an operation of deno's that copies this many bytes, to be ended with [`op_isopod_end_op`].
#[op2(nofast)]
fn op_isopod_begin_op(state: &mut OpState, #[number] bytes: usize) -> Result<(), QuotaError> {
    let usage = Usage::of(state);
    let slot = usage.begin_op()?;
    usage.hold_unowned(bytes)?;
    slot.keep();
    Ok(())
}

#[op2(fast)]
fn op_isopod_end_op(state: &mut OpState, #[number] bytes: usize) {
    let usage = Usage::of(state);
    usage.release(bytes);
    usage.end_op();
}

/// Checks the iterations of a key derivation, or the length of a key; 0 if not applicable.
#[op2(nofast)]
fn op_isopod_check_key(
    state: &mut OpState,
    #[number] iterations: usize,
    #[number] bits: usize,
) -> Result<(), QuotaError> {
    let clamped = |asked: usize| u32::try_from(asked).unwrap_or(u32::MAX);
    Usage::of(state).check_key(clamped(iterations), clamped(bits))
}

/// Checks the parameters of scrypt, and returns the bytes of its memory.
#[op2(nofast)]
#[number]
fn op_isopod_check_scrypt(
    state: &mut OpState,
    #[number] cost: u64,
    #[number] block_size: u64,
    #[number] parallelization: u64,
) -> Result<usize, QuotaError> {
    Usage::of(state).check_scrypt(cost, block_size, parallelization)
}

deno_core::extension!(
    isopod_quotas,
    deps = [deno_webidl, deno_web, deno_crypto],
    ops = [
        op_isopod_room_for_timer,
        op_isopod_room_for_handle,
        op_isopod_room_for_memory,
        op_isopod_room_for_text,
        op_isopod_memory_limit,
        op_isopod_room_for_promise,
        op_isopod_room_for_blob,
        op_isopod_room_for_part,
        op_isopod_hold,
        op_isopod_release,
        op_isopod_begin_op,
        op_isopod_end_op,
        op_isopod_check_key,
        op_isopod_room_for_module,
        op_isopod_room_for_tag,
        op_isopod_check_scrypt,
    ],
    lazy_loaded_js = [dir "src/quotas", "cryptography.js", "guards.js", "texts.js", "webassembly.js"],
    middleware = |op| match op.name {
        "op_blob_slice_part" => op.with_implementation_from(&op_isopod_blob_slice_part()),
        _ => op,
    },
);
