//! Bytes out of a script's hands. A script decides how many they are, and there may be no memory for so many at once: that is an
//! error of the script's, and not the end of the process.

use bytes::Bytes;
use deno_core::v8;

use crate::quotas::MemoryRoom;

/// Below this there is memory, or there is none for anything else either.
const SMALL_BYTES: usize = 1 << 20;

/// There is no memory for a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory left to copy {0} bytes (`limits.memory`)")]
pub struct NoMemory(pub usize);

/// Asks whether the worker's memory has room for a copy of so many bytes, before it is made.
pub(crate) fn room(isolate: &mut v8::Isolate, bytes: usize) -> Result<(), NoMemory> {
    if bytes < SMALL_BYTES {
        return Ok(());
    }
    let ask = isolate.get_slot::<MemoryRoom>().map(|room| room.ask.clone());
    match ask.is_none_or(|ask| ask(isolate, bytes, false)) {
        true => Ok(()),
        false => Err(NoMemory(bytes)),
    }
}

/// The bytes that a view shows.
pub(crate) fn of_view(view: v8::Local<'_, v8::ArrayBufferView>) -> Result<Bytes, NoMemory> {
    let mut bytes = zeroed(view.byte_length())?;
    let copied = view.copy_contents(&mut bytes);
    bytes.truncate(copied);
    Ok(bytes.into())
}

/// A text in UTF-8; half a pair of surrogates becomes U+FFFD.
pub(crate) fn of_text(scope: &v8::Isolate, text: v8::Local<'_, v8::String>) -> Result<Bytes, NoMemory> {
    // A character has three bytes at most.
    if text.length() < SMALL_BYTES / 3 {
        return Ok(text.to_rust_string_lossy(scope).into());
    }
    let mut bytes = zeroed(text.utf8_length(scope))?;
    let written = text.write_utf8_v2(scope, &mut bytes, v8::WriteFlags::kReplaceInvalidUtf8, None);
    bytes.truncate(written);
    Ok(bytes.into())
}

fn zeroed(length: usize) -> Result<Vec<u8>, NoMemory> {
    if length < SMALL_BYTES {
        return Ok(vec![0; length]);
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| NoMemory(length))?;
    bytes.resize(length, 0);
    Ok(bytes)
}
