//! Copies bytes of scripts. The script chooses their number, and an allocation may fail: that is an error of the
//! script, and must not end the process.

use bytes::Bytes;
use deno_core::v8;

use crate::quotas::MemoryRoom;

/// Allocations up to this size are assumed to succeed.
const SMALL_BYTES: usize = 1 << 20;

/// There is no memory for a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory left to copy {0} bytes (`limits.memory`)")]
pub struct NoMemory(pub usize);

/// Checks for room in the worker's memory for a copy of this size, before it is made.
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

/// The bytes of a text or a view, if there is room for them; `None` for any other value.
pub(super) fn of_text_or_view(
    scope: &mut v8::PinScope<'_, '_>,
    value: v8::Local<'_, v8::Value>,
) -> Result<Option<Bytes>, NoMemory> {
    if let Ok(text) = v8::Local::<v8::String>::try_from(value) {
        room(scope, text.length())?;
        Ok(Some(of_text(scope, text)?))
    } else if let Ok(view) = v8::Local::<v8::ArrayBufferView>::try_from(value) {
        room(scope, view.byte_length())?;
        Ok(Some(of_view(view)?))
    } else {
        Ok(None)
    }
}

/// The bytes of a view.
pub(crate) fn of_view(view: v8::Local<'_, v8::ArrayBufferView>) -> Result<Bytes, NoMemory> {
    let mut bytes = zeroed(view.byte_length())?;
    let copied = view.copy_contents(&mut bytes);
    bytes.truncate(copied);
    Ok(bytes.into())
}

/// A text as UTF-8; lone surrogates become U+FFFD.
pub(crate) fn of_text(scope: &v8::Isolate, text: v8::Local<'_, v8::String>) -> Result<Bytes, NoMemory> {
    // A character has at most three bytes.
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
